import { PortcullisError } from "../errors.ts";

/** What went wrong on the execution side, for programs. */
export type ExecCode =
  | "exec.request" // the job that was asked for is malformed, or out of bounds
  | "exec.file" // the executable, interpreter, an input or standard input cannot be read, or is unfit
  | "exec.user" // the job may not run as that user from here
  | "exec.unsupported" // this machine lacks what execution needs
  | "exec.status" // the receipt before the start cannot be written
  | "exec.deadline" // the permission ran out before the job could start
  | "exec.used"; // released or cancelled before

/** Nothing of the job has run when this is thrown. */
export class ExecError extends PortcullisError {
  declare readonly code: ExecCode;

  constructor(code: ExecCode, message: string, cause?: unknown) {
    super(code, message, cause === undefined ? undefined : { cause });
  }
}
