import { PortcullisError } from "../errors.ts";

/**
 * Why an enrollment is refused, and what an operator does next (docs/enrollment.md is compared with
 * this table).
 */
export const ENROLL_CODES = {
  "enroll.certificate-missing":
    "Compare the EK with the machine's own, then allowlist its digest (`--allow-ek`).",
  "enroll.certificate-malformed": "Read the certificate again from the TPM, or ask its vendor.",
  "enroll.certificate-untrusted":
    "Add the vendor's root (`--root`) or the missing intermediate (`--intermediate`), if you trust it.",
  "enroll.certificate-expired": "Set the clock, or ask the vendor for a certificate that is valid.",
  "enroll.certificate-key": "Let the machine send the certificate of its own EK.",
  "enroll.certificate-revoked":
    "Do not enroll it. If the TPM is good, ask its vendor for a new certificate.",
  "enroll.revocation-list":
    "Fetch the current list of every issuer below the root (`--crl`), or give no list at all.",
  "enroll.roots": "Name the TPM vendors' root certificates (`--root`, or a bundle with `--roots`).",
  "enroll.ek": "Use an EK by a template of the TCG EK Credential Profile, or of its TPM's vendor.",
  "enroll.ak": "Let `portcullis enroll` make the attestation key.",
  "enroll.challenge": "Start the enrollment again: every challenge is good for one answer.",
  "enroll.attestation": "Start the enrollment again; if it persists, the node's answer is forged.",
  "enroll.hierarchy": "Create the attestation key below the EK, in the endorsement hierarchy.",
  "enroll.identity":
    "A new TPM is a new node: revoke the old one, remove node/credential and node/ak, then enroll.",
  "enroll.rekey":
    "If the node is to have a new key, say so (`--replace`): its old credential is then revoked.",
} as const satisfies Readonly<Record<`enroll.${string}`, string>>;
export type EnrollCode = keyof typeof ENROLL_CODES;

/** An enrollment is refused; nothing was issued. */
export class EnrollError extends PortcullisError {
  declare readonly code: EnrollCode;

  constructor(code: EnrollCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
  }

  /** What an operator does next. */
  get next(): string {
    return ENROLL_CODES[this.code];
  }
}
