import { PortcullisError } from "../errors.ts";

/**
 * What can be wrong with a call of the core; never with the bytes of a case, whose faults are
 * denial codes.
 */
export type CoreErrorCode =
  | "input"
  | "key.malformed"
  | "key.unsupported"
  | "handle.unknown"
  | "eventlog.malformed"
  | "ima.malformed"
  | "trap";

/** `offset` is a place in the bytes given, `index` the member of a batch. */
export class CoreError extends PortcullisError {
  declare readonly code: CoreErrorCode;
  readonly offset?: number;
  readonly index?: number;

  constructor(
    code: CoreErrorCode,
    message: string,
    where: { readonly offset?: number; readonly index?: number; readonly cause?: unknown } = {},
  ) {
    super(code, message, { cause: where.cause });
    if (where.offset !== undefined) this.offset = where.offset;
    if (where.index !== undefined) this.index = where.index;
  }
}
