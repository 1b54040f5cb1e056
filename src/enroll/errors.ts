import { PortcullisError } from "../errors.ts";

/** Why an enrollment is refused. */
export type EnrollCode =
  | "enroll.certificate-missing"
  | "enroll.certificate-malformed"
  | "enroll.certificate-untrusted"
  | "enroll.certificate-expired"
  | "enroll.certificate-key"
  | "enroll.roots"
  | "enroll.ek"
  | "enroll.ak"
  | "enroll.challenge"
  | "enroll.attestation"
  | "enroll.hierarchy"
  | "enroll.rekey";

/** An enrollment is refused; nothing was issued. */
export class EnrollError extends PortcullisError {
  declare readonly code: EnrollCode;

  constructor(code: EnrollCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
  }
}
