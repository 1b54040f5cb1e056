import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Outcome } from "../../src/gate/outcome.ts";
import type { GateConfig } from "./exec-gate.ts";

const GATE = fileURLToPath(new URL("exec-gate.ts", import.meta.url));
export const NOBODY = 65534;
const DROP = ["--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups", "--"];

/**
 * Whose gate it is: this process's user, or, where that is root, also a user without privileges.
 */
export interface User {
  readonly name: string;
  readonly prefix: readonly string[];
  readonly uid: number;
}
const self: User = { name: "this user", prefix: [], uid: process.getuid?.() ?? -1 };
const nobody: User = { name: "nobody", prefix: ["setpriv", ...DROP], uid: NOBODY };

/** Inside a user namespace that allows no further namespaces; the gate itself has no privileges. */
const bare =
  "echo 0 > /proc/sys/user/max_pid_namespaces; echo 0 > /proc/sys/user/max_user_namespaces;" +
  'exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"';
export const bareUser: User = {
  name: "a user without namespaces",
  prefix: [
    ...(self.uid === 0 ? nobody.prefix : []),
    ...["unshare", "--user", "--map-current-user", "--keep-caps", "--", "sh", "-c", bare, "sh"],
  ],
  uid: self.uid === 0 ? NOBODY : self.uid,
};

/** Whether this user can start the gate at all: a checkout under /root is closed to nobody. */
export function usable({ prefix }: User): boolean {
  const [file = process.execPath, ...args] = [...prefix, process.execPath, "--check", GATE];
  return spawnSync(file, args).status === 0;
}

export const users: readonly User[] = [self, ...(self.uid === 0 ? [nobody] : [])].filter(usable);

export interface Report {
  readonly executable?: string;
  readonly interpreter?: string | null;
  readonly stdin?: string;
  readonly inputs?: readonly (readonly [string, string])[];
  readonly ready?: readonly string[];
  readonly outcome?: Outcome;
  readonly error?: string;
  readonly message?: string;
}

export interface GateRun {
  readonly child: ChildProcess;
  /** Resolves when the gate has said this, or has ended without. */
  said(what: keyof Report | "released"): Promise<boolean>;
  readonly result: Promise<
    Report & { readonly status: number | null; readonly stdout: Buffer; readonly stderr: string }
  >;
}

/**
 * Starts the gate of exec-gate.ts. `input` is what it reads, or a descriptor; `extra` become its
 * descriptors 4 and up, inherited without O_CLOEXEC.
 */
export function startGate(
  user: User,
  config: GateConfig,
  {
    input,
    extra = [],
  }: { input?: Uint8Array | number; extra?: readonly ("pipe" | "ignore" | number)[] } = {},
): GateRun {
  const [file = "", ...args] = [...user.prefix, process.execPath, GATE, JSON.stringify(config)];
  const env = { ...process.env, PORTCULLIS_GATE_SECRET: "of the gate" };
  const stdin = typeof input === "number" ? input : "pipe";
  const child: ChildProcess = spawn(file, args, {
    env,
    stdio: [stdin, "pipe", "pipe", "pipe", ...extra],
  });
  child.stdin?.on("error", () => undefined); // a job may end without reading its input
  if (typeof input !== "number") child.stdin?.end(input);
  const collected: Buffer[][] = [[], [], []];
  const listeners: (() => void)[] = [];
  [1, 2, 3].forEach((fd, i) => {
    const stream = child.stdio[fd];
    stream?.on("data", (chunk: Buffer) => {
      collected[i]?.push(chunk);
      for (const listener of listeners) listener();
    });
  });
  const reports = (): string => Buffer.concat(collected[2] ?? []).toString();
  let ended = false;
  const result = new Promise<Awaited<GateRun["result"]>>((done) => {
    child.on("close", (status) => {
      ended = true;
      for (const listener of listeners) listener();
      const values = reports().split("\n").filter(Boolean);
      const merged = values.map((line) => JSON.parse(line) as Report | string);
      done({
        ...Object.assign({}, ...merged.filter((value) => typeof value === "object")),
        status,
        stdout: Buffer.concat(collected[0] ?? []),
        stderr: Buffer.concat(collected[1] ?? []).toString(),
      });
    });
  });
  const said = (what: string): Promise<boolean> =>
    new Promise((done) => {
      const look = (): void => {
        if (reports().includes(`"${what}"`)) done(true);
        else if (ended) done(false);
      };
      listeners.push(look);
      look();
    });
  return { child, said, result };
}

export function runGate(...args: Parameters<typeof startGate>): GateRun["result"] {
  return startGate(...args).result;
}

/** Process ids whose environment or command line holds this text. Zombies hold nothing. */
export function processesWith(text: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => ["environ", "cmdline"].some((file) => contains(`/proc/${pid}/${file}`, text)))
    .map(Number);
}

function contains(path: string, text: string): boolean {
  try {
    return readFileSync(path, "latin1").includes(text);
  } catch (error) {
    // Ended meanwhile, or another user's where the tests do not run as root.
    if (["ENOENT", "ESRCH", "EACCES"].includes((error as NodeJS.ErrnoException).code ?? ""))
      return false;
    throw error;
  }
}

/** All that descends from a process, itself included. */
export function familyOf(pid: number): number[] {
  const parents = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name): [number, number] => [Number(name), parentOf(name)]);
  const family = [pid];
  for (const member of family) {
    family.push(...parents.filter(([, parent]) => parent === member).map(([child]) => child));
  }
  return family;
}

function parentOf(pid: string): number {
  try {
    return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))?.[1] ?? -1);
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return -1;
    throw error;
  }
}

/** Waits until a condition holds; false when it does not within the time. */
export async function eventually(holds: () => boolean, timeoutMs = 10_000): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < timeoutMs; waitedMs += 20) {
    if (holds()) return true;
    await new Promise((done) => setTimeout(done, 20));
  }
  return holds();
}
