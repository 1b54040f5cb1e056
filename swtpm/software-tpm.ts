/**
 * One running software TPM in a temporary directory of its own. Nothing of it outlives this
 * process: a small shell holds a pipe to us, and when the pipe ends, also by SIGKILL, it kills
 * swtpm and removes the directory.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, readlink, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { shutdown, startup } from "../src/tpm/startup.ts";
import type { Tpm } from "../src/tpm/tpm.ts";
import { control, listens } from "./control.ts";
import { findProgram } from "./manufacture.ts";

/** sun_path holds 108 bytes with its zero, and the control socket has the longer name. */
const SOCKET_PATH_BYTES_MAX = 107;
const START_MS_MAX = 10_000;
const POLL_MS = 5;

/**
 * $1 is the directory to remove at the end, $2 the log; the rest is swtpm and its arguments. Both
 * shells ignore the terminal's signals, because they must outlive us to clean up. The inner one
 * ends with our pipe, and the kernel then kills swtpm (pdeathsig): no process is killed by a number
 * that could be another's by now.
 */
const GUARD = `
trap "" INT TERM HUP
dir=$1 log=$2
shift 2
sh -c '
  log=$1
  shift
  setpriv --pdeathsig KILL -- "$@" >>"$log" 2>&1 </dev/null &
  echo $!
  cat >/dev/null
' sh "$log" "$@"
rm -rf -- "$dir" || { sleep 1; rm -rf -- "$dir"; }
`;

export interface SoftwareTpmOptions {
  /** Copied: a state made by manufacture(). Without it the TPM is blank: no EK certificates. */
  readonly template?: string;
  /**
   * Where to keep the state across runs (absolute; made if absent, never removed). Without it:
   * temporary.
   */
  readonly keepIn?: string;
}

export class SoftwareTpm implements AsyncDisposable {
  /** For openTpm: swtpm's data socket directly, or through tpm2-tss. */
  readonly uri: string;
  readonly tctiUri: string;
  /** For tpm2-tools' TPM2TOOLS_TCTI. */
  readonly tcti: string;
  readonly #directory: string;
  readonly #state: string;
  readonly #socket: string;
  readonly #guards: ChildProcess[] = [];
  #pid = 0;

  private constructor(directory: string, state: string) {
    this.#directory = directory;
    this.#state = state;
    this.#socket = join(directory, "s");
    this.uri = `swtpm:path=${this.#socket}`;
    this.tcti = `swtpm:path=${this.#socket}`;
    this.tctiUri = `tcti:${this.tcti}`;
  }

  /**
   * Starts a software TPM, powered on and not yet started (TPM2_Startup is openTpm's). @throws
   * Error with its log.
   */
  static async start({ template, keepIn }: SoftwareTpmOptions = {}): Promise<SoftwareTpm> {
    const directory = await mkdtemp(join(tmpdir(), "swtpm-"));
    const state = keepIn ?? join(directory, "state");
    const tpm = new SoftwareTpm(directory, state);
    try {
      for (const path of [directory, state]) refuseBadPath(path);
      await mkdir(state, { recursive: true, mode: 0o700 });
      if (template !== undefined) await cp(template, state, { recursive: true });
      await tpm.powerOn();
      return tpm;
    } catch (cause) {
      await tpm.stop();
      await rm(directory, { recursive: true, force: true });
      throw cause;
    }
  }

  /** Starts swtpm on the same state again, after powerOff(). */
  async powerOn(): Promise<void> {
    const log = join(this.#directory, "log");
    const controlPath = `${this.#socket}.ctrl`;
    const swtpm = [await findProgram("swtpm"), "socket", "--tpm2", "--flags", "not-need-init"];
    const sockets = [
      "--server",
      `type=unixio,path=${this.#socket}`,
      "--ctrl",
      `type=unixio,path=${controlPath}`,
    ];
    const args = [
      "-c",
      GUARD,
      "sh",
      this.#directory,
      log,
      ...swtpm,
      ...sockets,
      "--tpmstate",
      `dir=${this.#state}`,
    ];
    const guard = spawn("/bin/sh", args, { stdio: ["pipe", "pipe", "ignore"], detached: true });
    this.#guards.push(guard);
    const [line] = await once(guard.stdout, "data");
    this.#pid = Number(line);
    // A forgotten software TPM must not keep this process alive.
    guard.unref();
    for (const pipe of [guard.stdin, guard.stdout]) (pipe as Socket).unref();
    await this.#ready(controlPath, log);
  }

  async #ready(controlPath: string, log: string): Promise<void> {
    for (const end = Date.now() + START_MS_MAX; Date.now() < end; await sleep(POLL_MS)) {
      // swtpm opens one after the other; a client that leaves again does no harm.
      const open = (await listens(controlPath)) && (await listens(this.#socket));
      // It listens before it has read its state, and ends where that is damaged.
      if (open && (await isUp(controlPath))) return;
      if ((await programOf(this.#pid)) === null) break;
    }
    const output = await readFile(log, "utf8").catch(() => "");
    throw new Error(`swtpm did not start: ${output.trim() || "it says nothing"}`);
  }

  /** Power-on reset (TPM_Init) under the open connection; the TPM then waits for TPM2_Startup. */
  reset(): Promise<void> {
    return control(`${this.#socket}.ctrl`, "init");
  }

  /**
   * Kills swtpm, as if the power were cut; connections break. powerOn() starts it again on what it
   * had saved.
   */
  async powerOff(): Promise<void> {
    if ((await programOf(this.#pid))?.includes("swtpm")) process.kill(this.#pid, "SIGKILL");
    while (await listens(this.#socket)) await sleep(POLL_MS);
  }

  /** Stops and continues the process: a TPM that hangs. */
  pause(): void {
    process.kill(this.#pid, "SIGSTOP");
  }

  resume(): void {
    process.kill(this.#pid, "SIGCONT");
  }

  /** Ends swtpm and removes its temporary directory. Idempotent. */
  async stop(): Promise<void> {
    for (const guard of this.#guards.splice(0)) {
      guard.ref();
      const gone = once(guard, "exit");
      guard.stdin?.end();
      await gone;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function refuseBadPath(path: string): void {
  if (!isAbsolute(path)) throw new Error(`swtpm needs an absolute directory, not ${path}.`);
  if (path.includes(",")) throw new Error(`swtpm takes no comma in a path: ${path}.`);
  if (Buffer.byteLength(join(path, "s.ctrl")) > SOCKET_PATH_BYTES_MAX) {
    throw new Error(`${path} is too long for a socket in it; set TMPDIR to a shorter directory.`);
  }
}

/**
 * The program that a process runs; null where it has ended. Its number may be another's by then.
 */
function isUp(controlPath: string): Promise<boolean> {
  return control(controlPath, "capability").then(
    () => true,
    () => false,
  );
}

async function programOf(pid: number): Promise<string | null> {
  try {
    return await readlink(`/proc/${pid}/exe`);
  } catch {
    return null; // gone, or a zombie
  }
}

/**
 * Reboots the machine under an open connection. Orderly: TPM2_Shutdown(CLEAR) first. Unorderly:
 * without it, so that the TPM reports safe = NO and a lower clock afterwards.
 */
export async function reboot(
  machine: SoftwareTpm,
  tpm: Tpm,
  how: "orderly" | "unorderly",
): Promise<void> {
  if (how === "orderly") await shutdown(tpm);
  await machine.reset();
  await startup(tpm);
}
