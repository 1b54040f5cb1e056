import { closeSync, constants, openSync } from "node:fs";
import { ExecError } from "./error.ts";

/**
 * The descriptor that a caller named with --status-fd, opened anew so that it is close-on-exec and no program that the
 * gate starts holds it; the inherited one is closed. A socket cannot be opened anew and stays as it is: the launcher
 * closes it before the job, as it closes everything else.
 *
 * @throws ExecError exec.request where it is not open for writing.
 */
export function reopenStatus(fd: number): number {
  if (!Number.isInteger(fd) || fd < 1)
    throw new ExecError("exec.request", `${fd} is no descriptor`);
  try {
    const status = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_APPEND);
    if (fd > 2) closeSync(fd);
    return status;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENXIO") return fd;
    throw new ExecError("exec.request", `descriptor ${fd} cannot be written to`, cause);
  }
}
