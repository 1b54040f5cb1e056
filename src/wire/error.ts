import { PortcullisError } from "../errors.ts";

/** What went wrong in src/wire, for programs. */
export type WireCode =
  | "wire.cbor" // the bytes, or the value, lie outside our CBOR profile
  | "wire.shape" // well-formed CBOR, but not the object that was asked for
  | "wire.cose" // not a COSE message of our two kinds
  | "wire.key" // a key of an unknown kind, or not on its curve
  | "wire.key-file"; // a key file or its directory is missing, malformed, or readable by others

/**
 * An encoding that is refused. `offset` is where, in bytes from the start of what was given, if it
 * is known.
 */
export class WireError extends PortcullisError {
  declare readonly code: WireCode;
  readonly offset: number | null;

  constructor(
    code: WireCode,
    message: string,
    options: { readonly offset?: number; readonly cause?: unknown } = {},
  ) {
    super(code, message, "cause" in options ? { cause: options.cause } : undefined);
    this.offset = options.offset ?? null;
  }
}
