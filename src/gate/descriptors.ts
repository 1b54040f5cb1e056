import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from "node:fs";
import { ExecError } from "./error.ts";

/** O_ACCMODE (open(2)), which node:fs does not name. */
const ACCESS_MODE = 3;

/**
 * The descriptor that a caller named with --status-fd, opened anew so that it is close-on-exec and
 * no program that the gate starts holds it; the inherited one is closed. A socket cannot be opened
 * anew and stays as it is: the launcher closes it before the job, as it closes everything else.
 *
 * It must be open for writing already: otherwise a caller could have a privileged gate open for
 * writing what the caller itself may only read.
 *
 * @throws ExecError exec.request
 */
export function reopenStatus(fd: number): number {
  if (!Number.isInteger(fd) || fd < 1) {
    throw new ExecError("exec.request", `${fd} is no descriptor`);
  }
  try {
    if ((statusFlags(fd) & ACCESS_MODE) === constants.O_RDONLY) {
      throw new ExecError("exec.request", `descriptor ${fd} is open for reading only`);
    }
    const status = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_APPEND);
    if (fd > 2) closeSync(fd);
    return status;
  } catch (cause) {
    if (cause instanceof ExecError) throw cause;
    // What is no socket and cannot be opened anew is Node's own (epoll, say): the caller's was not open.
    const socket = cause instanceof Error && "code" in cause && cause.code === "ENXIO";
    if (socket && fstatSync(fd).isSocket()) return fd;
    throw new ExecError("exec.request", `descriptor ${fd} cannot be written to`, cause);
  }
}

/** The flags it was opened with: the octal line of /proc/self/fdinfo (proc_pid_fdinfo(5)). */
function statusFlags(fd: number): number {
  const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"));
  return Number.parseInt(flags?.[1] ?? "0", 8);
}

/**
 * Writes one line, whole.
 *
 * @throws ExecError exec.status: the reader went away, or there is no room.
 */
export function writeStatus(fd: number, line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ExecError("exec.status", `no receipt could be written to --status-fd: ${why}`, cause);
  }
}
