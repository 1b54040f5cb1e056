/** Enrollment: who a machine is, proven by its TPM's vendor and its TPM; the node credential. */
export { FINGERPRINTS_FILE, parseVendorBundle, type VendorBundle } from "./bundle.ts";
export {
  parseBundle,
  parseCertificate,
  parseCertificates,
  type UnverifiedCertificate,
} from "./certificate.ts";
export { type TrustStore, type VerifiedEkCertificate, verifyEkCertificate } from "./chain.ts";
export { makeCredential } from "./credential.ts";
export {
  Enroller,
  type EnrollerOptions,
  type NodeGrant,
  type PendingEnrollment,
  ueidOf,
} from "./enroller.ts";
export { ENROLL_CODES, type EnrollCode, EnrollError } from "./errors.ts";
