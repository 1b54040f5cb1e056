/**
 * What the audit log and the ledger refuse. The gate maps `log.*` to internal.log and `ledger.*` to
 * internal.ledger.
 */
import { PortcullisError } from "../errors.ts";

export type LogErrorCode =
  | "log.unwritable" // the leaf, the case or the head could not be made durable; perhaps it was
  | "log.closed" // that run's outcome is recorded already, or it was declared aborted
  | "log.malformed" // a leaf, note, checkpoint or key does not parse
  | "log.signature" // no listed key signed the note, or one that claims to did not
  | "log.proof" // an inclusion or consistency proof does not hold
  | "log.case" // a stored case is absent or not the one that its name promises
  | "log.owner"; // this system does not say who its processes are

export type LedgerErrorCode =
  | "ledger.request" // this request was claimed before
  | "ledger.use" // an element has no use left: another run claimed it first
  | "ledger.expired" // the time floor has passed an element's expiry
  | "ledger.floors" // a newer charter or snapshot was proven since the decision, or another of its number
  | "ledger.counters" // a later boot session or firmware was proven since the decision
  | "ledger.clock"; // this machine's clock has advanced by less than its TPM's

/** The uses were not claimed and nothing was written: another run was first. Decide again. */
export class LedgerConflict extends PortcullisError {
  declare readonly code: LedgerErrorCode;

  constructor(code: LedgerErrorCode, message: string) {
    super(code, message);
  }
}

export type TamperCode =
  | "log.leaf-missing" // the leaf of that index is absent
  | "log.leaf-bytes" // its bytes do not give the hash stored with them
  | "log.leaf-malformed" // its hash holds, yet it is no leaf of this version
  | "log.head-missing" // no head was kept for that size
  | "log.head-malformed" // a head that is no checkpoint of this log, or of another size
  | "log.head-signature" // a head that the log's key did not sign
  | "log.head-root" // a signed head contradicts the leaves below it
  | "log.tree" // the state kept for appending is not that of the leaves
  | "log.surplus" // leaves or heads beyond the log's end
  | "log.run" // an outcome without its intent, or a second one
  | "log.shorter" // an earlier head, kept elsewhere, is larger than the log
  | "log.forked"; // an earlier head, kept elsewhere, is of another history

export class LogError extends PortcullisError {
  declare readonly code: LogErrorCode | TamperCode;

  constructor(
    code: LogErrorCode | TamperCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(code, message, options);
  }
}

/**
 * The log is not what was written. `index` is the leaf that is wrong; for a head, the last leaf
 * below it.
 */
export class LogTampered extends LogError {
  declare readonly code: TamperCode;
  readonly index: number;

  constructor(
    code: TamperCode,
    index: number,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(code, message, options);
    this.index = index;
  }
}
