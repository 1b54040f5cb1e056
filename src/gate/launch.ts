/**
 * Starts a prepared job behind a gate of its own: a waiter that has confined itself, and executes
 * nothing until it is released. Three lines hold against a gate that dies, by SIGKILL or otherwise,
 * at any moment:
 *
 * 1. setpriv --pdeathsig: the kernel kills the waiter with the gate's main thread;
 * 2. unshare --pid --fork --kill-child: the launcher is process 1 of a PID namespace, dies with the
 *   waiter, and the kernel kills all that is left in the namespace, also what called setsid;
 * 3. the control socket ends: the launcher kills everything, and before release starts nothing.
 *
 * Where no namespace can be had, the third line remains, and a warning says so. `launch` must be
 * called on the main thread: PR_SET_PDEATHSIG follows the thread (prctl(2)).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Duplex } from "node:stream";
import { boottimeMs } from "../clock.ts";
import { ExecError } from "./error.ts";
import { type PreparedJob, requirePrepared } from "./job.ts";
import { LAUNCHER, LAUNCHER_CALLS } from "./launcher.ts";
import { Lines } from "./lines.ts";
import type { Outcome } from "./outcome.ts";
import { PROGRAMS, systemCalls } from "./system-calls.ts";

/** How long the launcher may take for what it does on its own, beyond the job's run time. */
const GRACE_MS = 2_000;
/** How long a waiter may take to confine itself: it takes some 5 ms. */
const READY_MS = 10_000;

export type ForwardedSignal = "SIGINT" | "SIGTERM" | "SIGHUP";
const SIGNALS: { readonly [name in ForwardedSignal]: number } = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGTERM: 15,
};

/** A job that is ready to start and has not. */
export interface Pending {
  /** The prepared job's, and `namespace-unavailable`. */
  readonly warnings: readonly string[];
  /**
   * Starts the job, once. The caller has made intent and claims durable before: src/gate's
   * `execute` calls this, and only with an Admitted. The deadline is checked here, and again by the
   * launcher right before it starts the job.
   *
   * @param deadlineMs absolute, of boottimeMs()
   * @returns how the job ended; by then nothing that it started is left
   * @throws ExecError exec.deadline, exec.used: nothing of the job has run, and nothing will.
   */
  release(deadlineMs: number): Promise<Outcome>;
  /** Sends a signal to the job's process group; before release, or after the end, to nobody. */
  signal(name: ForwardedSignal): void;
  /** Ends the waiter and all that runs behind it. */
  cancel(): Promise<void>;
}

/**
 * The confinements, best first. The second is for systems that hide parts of /proc, as containers
 * do.
 */
function confinements(): { readonly command: readonly string[]; readonly isolated: boolean }[] {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-current-user"];
  const isolate = [...user, "--pid", "--fork", "--kill-child"];
  const waiter = [PROGRAMS.setpriv, "--pdeathsig", "KILL", "--", PROGRAMS.unshare, ...isolate];
  return [
    { command: [...waiter, "--mount-proc", "--"], isolated: true },
    { command: [...waiter, "--"], isolated: true },
    { command: [], isolated: false },
  ];
}

/**
 * Starts the waiter and resolves when it is confined and ready. `prepared` may be closed once this
 * has resolved.
 *
 * @throws ExecError exec.unsupported where no waiter can be started.
 */
export async function launch(prepared: PreparedJob): Promise<Pending> {
  requirePrepared(prepared);
  const faults: string[] = [];
  for (const { command, isolated } of confinements()) {
    const waiter = new Waiter(prepared, command);
    const timer = setTimeout(() => void waiter.kill(), READY_MS);
    const line = await waiter.next();
    clearTimeout(timer);
    if (line === "ready") {
      const extra = isolated ? [] : ["namespace-unavailable"];
      return new PendingJob(waiter, prepared, [...prepared.warnings, ...extra]);
    }
    await waiter.kill();
    faults.push(waiter.complaint());
  }
  throw new ExecError("exec.unsupported", `no waiter could be started: ${faults.join("; ")}`);
}

/** One frame of the control protocol (src/gate/launcher.ts). */
function frame(kind: "J" | "G" | "S", body: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length + 1);
  head.write(kind, 4, "latin1");
  return Buffer.concat([head, body]);
}

function jobFrame({ job, program, script }: PreparedJob): Buffer {
  const root = process.getuid?.() === 0;
  const numbers = [job.uid, job.gid, job.runtimeSeconds * 1000, root ? 1 : 0, script ? 1 : 0];
  const variables = job.environment.map(({ name, value }) =>
    Buffer.concat([name, Buffer.from("="), value]),
  );
  const fields = [
    ...numbers.map((number) => Buffer.from(String(number))),
    job.cwd,
    Buffer.from(String(program.argv.length)),
    ...program.argv,
    ...variables,
  ];
  const parts = fields.flatMap((field) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    return [length, field];
  });
  return frame("J", Buffer.concat(parts));
}

/** The gate's end of the control socket; null where the waiter did not start. */
function duplexOf(child: ChildProcess): Duplex | null {
  const streams: readonly unknown[] = child.stdio ?? [];
  return streams[5] instanceof Duplex ? streams[5] : null;
}

/** The processes between gate and job, and the lines that the launcher sends. */
class Waiter {
  readonly #child: ChildProcess;
  readonly #control: Duplex | null;
  readonly #closed: Promise<void>;
  readonly #lines = new Lines();
  #stderr = "";
  #ended = false;

  constructor(prepared: PreparedJob, command: readonly string[]) {
    const { program, script, streams } = prepared;
    const [file = PROGRAMS.perl, ...args] = [
      ...command,
      PROGRAMS.perl,
      "-fe",
      LAUNCHER,
      "--",
      ...systemCalls(LAUNCHER_CALLS),
    ];
    this.#child = spawn(file, args, {
      cwd: "/",
      env: {},
      // A session of its own: no controlling terminal that the job could push input into (TIOCSTI),
      // and a Ctrl-C reaches the job once, through the gate.
      detached: true,
      stdio: ["ignore", "ignore", "pipe", script?.fd ?? "ignore", program.fd, "pipe", ...streams],
    });
    this.#closed = new Promise((done) => {
      this.#child.once("close", () => done());
      this.#child.once("error", (error) => {
        this.#stderr ||= error.message;
        done();
      });
    });
    void this.#closed.then(() => {
      this.#ended = true;
      this.#lines.end();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(0, 1024);
    });
    this.#control = duplexOf(this.#child);
    this.#control?.setEncoding("utf8").on("data", (text: string) => this.#lines.push(text));
    this.#control?.on("error", (error) => {
      this.#stderr ||= error.message;
    });
    this.send(jobFrame(prepared));
  }

  send(bytes: Buffer): void {
    if (!this.#ended) this.#control?.write(bytes);
  }

  /** The launcher's next line; null when the waiter has ended without one. */
  next(): Promise<string | null> {
    return this.#lines.next();
  }

  /** Resolves when every process of the waiter is gone. */
  ended(): Promise<void> {
    return this.#closed;
  }

  /**
   * The end of the socket lets the launcher end its job; the kill is for a launcher that does not.
   */
  async kill(): Promise<void> {
    this.#control?.destroy();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), GRACE_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  complaint(): string {
    return this.#stderr.trim() || "the waiter ended without a word";
  }
}

class PendingJob implements Pending {
  readonly warnings: readonly string[];
  readonly #waiter: Waiter;
  readonly #runtimeMs: number;
  #state: "pending" | "released" | "ended" = "pending";

  constructor(waiter: Waiter, prepared: PreparedJob, warnings: readonly string[]) {
    this.#waiter = waiter;
    this.#runtimeMs = prepared.job.runtimeSeconds * 1000;
    this.warnings = warnings;
  }

  async release(deadlineMs: number): Promise<Outcome> {
    if (this.#state !== "pending") {
      throw new ExecError("exec.used", "this job was released or cancelled before");
    }
    this.#state = "released";
    if (!(boottimeMs() < deadlineMs)) {
      await this.cancel();
      throw tooLate();
    }
    this.#waiter.send(frame("G", Buffer.from(String(Math.floor(deadlineMs)))));
    const stop = this.#overrun();
    try {
      return await this.#outcome();
    } finally {
      stop();
      await this.#waiter.kill();
      this.#state = "ended";
    }
  }

  /** The launcher ends the job at its run time; this ends a launcher that does not. */
  #overrun(): () => void {
    const endMs = boottimeMs() + this.#runtimeMs + GRACE_MS;
    let timer: NodeJS.Timeout;
    const tick = (): void => {
      const leftMs = endMs - boottimeMs();
      if (leftMs <= 0) void this.#waiter.kill();
      else timer = setTimeout(tick, Math.min(leftMs, 60_000));
    };
    tick();
    return () => clearTimeout(timer);
  }

  async #outcome(): Promise<Outcome> {
    const first = await this.#waiter.next();
    if (first === "deadline") throw tooLate();
    const failed = /^failed (\S+) (\d+) (.*)$/.exec(first ?? "");
    if (failed !== null) {
      // ENOENT (2) from execveat: the loader that the ELF file names. A shell says 127 there.
      const code = failed[1] === "execveat" && failed[2] === "2" ? 127 : 126;
      return { kind: "not-executable", code, reason: `${failed[1]}: ${failed[3]}` };
    }
    const last = first === "started" ? await this.#waiter.next() : null;
    await this.#waiter.ended();
    const [kind, number] = (last ?? "").split(" ");
    if (kind === "exited") return { kind, code: Number(number) };
    if (kind === "overrun") return { kind: "signalled", signal: 9, runtime: true };
    if (kind === "signalled") return { kind, signal: Number(number), runtime: false };
    // The launcher was killed, and the job with it. It may have started: released is released.
    return { kind: "signalled", signal: 9, runtime: false };
  }

  signal(name: ForwardedSignal): void {
    if (this.#state !== "released") return;
    const number = Buffer.from(String(SIGNALS[name]));
    this.#waiter.send(frame("S", number));
  }

  async cancel(): Promise<void> {
    this.#state = "ended";
    await this.#waiter.kill();
  }
}

function tooLate(): ExecError {
  return new ExecError("exec.deadline", "the permission ran out before the job could start");
}
