import { PortcullisError } from "../errors.ts";

/** What an operator's step on a trust domain met, for programs. */
export type DomainErrorCode =
  | "domain.input" // what was asked for lies outside the charter, or contradicts itself
  | "domain.missing" // there is no trust domain, or a part of it is absent
  | "domain.exists" // something lies there already, and is never overwritten
  | "domain.malformed" // a file of the domain is not what its name says
  | "domain.signers" // too few keys at hand, or one that may not sign this
  | "domain.conflict" // other processes published all the while: try again
  | "domain.storage"; // the disk or its permissions refused

/** Nothing of the step took effect, unless the message says otherwise. */
export class DomainError extends PortcullisError {
  declare readonly code: DomainErrorCode;

  constructor(code: DomainErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
  }
}
