/**
 * A gate without a decision, for tests: prepares, launches and releases the job of its first
 * argument (JSON, bytes as Latin-1) and says on descriptor 3 what happens, one JSON value a line. A
 * test can kill it, or give it odd descriptors.
 */
import { existsSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { boottimeMs } from "../../src/clock.ts";
import { PortcullisError } from "../../src/errors.ts";
import { type JobRequest, prepareJob } from "../../src/gate/job.ts";
import { launch } from "../../src/gate/launch.ts";
import { exitCodeOf } from "../../src/gate/outcome.ts";
import { forwardSignals } from "../../src/gate/signals.ts";

export interface GateConfig {
  executable: string;
  argv: readonly string[];
  environment?: Record<string, string>;
  cwd?: string;
  stdin?: JobRequest["stdin"];
  uid?: number;
  gid?: number;
  inputs?: readonly string[];
  runtimeSeconds?: number;
  place?: JobRequest["place"];
  deadlineMs?: number;
  /**
   * Files written in place after the job was prepared; a name that ends in "+" is written aside and
   * renamed.
   */
  overwrite?: Record<string, string>;
  /** Stops before release, for good or until this file exists. */
  hold?: string;
}

const say = (value: unknown): void => {
  writeSync(3, `${JSON.stringify(value)}\n`);
};
const config = JSON.parse(process.argv[2] ?? "{}") as GateConfig;
const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
try {
  const prepared = await prepareJob({
    executable: bytes(config.executable),
    argv: config.argv.map(bytes),
    environment: Object.entries(config.environment ?? {}).map(([name, value]) => ({
      name: bytes(name),
      value: bytes(value),
    })),
    cwd: bytes(config.cwd ?? "/"),
    stdin: config.stdin ?? "none",
    uid: config.uid ?? process.getuid?.() ?? 0,
    gid: config.gid ?? process.getgid?.() ?? 0,
    inputs: (config.inputs ?? []).map(bytes),
    runtimeSeconds: config.runtimeSeconds ?? 30,
    place: config.place ?? { kind: "memory", directory: null },
  });
  const { executable, interpreter, stdin, inputs } = prepared.job;
  const hex = (digest: Buffer): string => digest.toString("hex");
  say({
    executable: hex(executable.digest),
    interpreter: interpreter && hex(interpreter.digest),
    stdin: typeof stdin === "string" ? stdin : hex(stdin),
    inputs: inputs.map(({ path, digest }) => [path.toString("latin1"), hex(digest)]),
  });
  for (const [path, content] of Object.entries(config.overwrite ?? {})) {
    writeFileSync(path, content, { mode: 0o755 });
    if (path.endsWith("+")) renameSync(path, path.slice(0, -1));
  }
  const pending = await launch(prepared);
  await prepared.close();
  say({ ready: pending.warnings });
  while (config.hold !== undefined && !existsSync(config.hold)) {
    await new Promise((done) => setTimeout(done, 20));
  }
  const stop = forwardSignals(pending);
  const released = pending.release(boottimeMs() + (config.deadlineMs ?? 10_000));
  say("released");
  const outcome = await released;
  stop();
  say({ outcome });
  process.exitCode = exitCodeOf(outcome);
} catch (error) {
  if (!(error instanceof PortcullisError)) throw error;
  say({ error: error.code, message: error.message });
  process.exitCode = 70;
}
