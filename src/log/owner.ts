/**
 * Which process has a run open, and whether it still lives: `boot id / pid namespace / pid / start
 * time`. A process number alone is reused; with its start time and the boot it names one process,
 * ever. A lock file would say the same but leaves files behind and needs a second fsync; this costs
 * a column. In another pid namespace (a container) a process cannot be seen, so its runs are taken
 * to live until the machine reboots: "aborted" is said only of what is known to be dead.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { LogError } from "./error.ts";

export interface Process {
  readonly bootId: string;
  readonly namespace: string;
  readonly pid: number;
  /** Clock ticks after boot, as the kernel writes it. */
  readonly start: string;
}

/** Throws LogError `log.owner` where /proc does not tell. */
export function currentProcess(): Process {
  try {
    const stat = readStat("self");
    if (stat === null) throw new Error("/proc/self/stat is absent");
    return {
      bootId: readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim(),
      namespace: readlinkSync("/proc/self/ns/pid"),
      pid: process.pid,
      start: stat.start,
    };
  } catch (cause) {
    throw new LogError("log.owner", `This system does not identify processes: ${String(cause)}.`, {
      cause,
    });
  }
}

export function formatProcess({ bootId, namespace, pid, start }: Process): string {
  return [bootId, namespace, pid, start].join("/");
}

/**
 * Whether the process that `owner` names may still run, as seen from `self`. True where that cannot
 * be known; false for words that formatProcess never wrote.
 */
export function mayLive(owner: string, self: Process): boolean {
  const [bootId, namespace, pid, start] = owner.split("/");
  if (bootId !== self.bootId) return false;
  if (pid === undefined || !/^[1-9]\d*$/.test(pid)) return false;
  if (namespace !== self.namespace) return true;
  const stat = readStat(pid);
  if (stat === null) return hidden(Number(pid));
  // Z and X: dead, but its parent has not asked how it died (proc_pid_stat(5)).
  return stat.start === start && stat.state !== "Z" && stat.state !== "X";
}

/** With hidepid, /proc conceals processes of other users; a signal still tells that they exist. */
function hidden(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code !== "ESRCH";
  }
}

/**
 * Fields 3 and 22 of proc_pid_stat(5); the command before them is in parentheses and may itself
 * hold any.
 */
function readStat(pid: string): { state: string; start: string } | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "ENOENT" || code === "ESRCH") return null;
    throw error;
  }
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, start] = [fields[0], fields[19]];
  if (state === undefined || start === undefined) throw new Error(`/proc/${pid}/stat: ${stat}`);
  return { state, start };
}
