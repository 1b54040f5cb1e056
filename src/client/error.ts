import { PortcullisError } from "../errors.ts";

/** Why a plane gave no answer that can be used. */
export type ClientErrorCode =
  | "client.address" // the URL is none, or asks for plain HTTP beyond this machine
  | "client.unreachable" // no connection, or it broke
  | "client.timeout" // no answer within the time
  | "client.answer" // the answer is not what the plane's interface says
  | "client.refused"; // the plane refused the request; `problem` is its own code

export class ClientError extends PortcullisError {
  declare readonly code: ClientErrorCode;
  /** The plane's own code; null where it did not come to say one. */
  readonly problem: string | null;

  constructor(
    code: ClientErrorCode,
    message: string,
    options: { readonly problem?: string; readonly cause?: unknown } = {},
  ) {
    super(code, message, "cause" in options ? { cause: options.cause } : undefined);
    this.problem = options.problem ?? null;
  }
}
