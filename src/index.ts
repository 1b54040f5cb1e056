/**
 * `portcullis`: the gate as a library, for programs that embed it. Named re-exports, no more: what
 * is listed here is the package's surface, and `src/cli` is one program that is made of it. The
 * core alone, without anything of Node, is `portcullis/core`.
 */

// The machine's side: quotes, and the node's part of enrollment.
export {
  Agent,
  type AgentOptions,
  type CounterPlace,
  EvidenceError,
  KeyFileError,
  NodeEnrollment,
  type NodeEnrollmentOptions,
  openAgent,
  type QuoteEvidence,
  readAkFile,
  writeAkFile,
} from "./agent/index.ts";
export { boottimeMs, nowSeconds } from "./clock.ts";

// The decision.
export {
  type Allowed,
  type Appraisal,
  type ClockFloor,
  CODE_LIST,
  CODES,
  type Code,
  Core,
  CoreError,
  type CoreErrorCode,
  type DecideOptions,
  type Denied,
  denied,
  type ElementUse,
  type EventLogOptions,
  type EventLogReplay,
  FAMILIES,
  type Family,
  type FamilyState,
  familyOf,
  type HashName,
  type ImaEntry,
  type ImaOptions,
  type ImaReplay,
  isAllowed,
  KeyHandle,
  type LoadOptions,
  type LogEvent,
  loadCore,
  type PcrPolicy,
  type Pcrs,
  type PublicKey,
  type Quote,
  type ReadRequest,
  type Scheme,
  type SignatureCheck,
  type Tier,
  type Verdict,
  type VerifiedCounters,
  type VerifiedFloors,
} from "./core/index.ts";

// The trust domain: what the holders of its keys make, sign and publish.
export { parseChain, splitChain, type UnverifiedChain } from "./domain/chains.ts";
export { type DomainPlan, type DraftDomain, draftDomain, writeDomain } from "./domain/creation.ts";
export { type Delegated, type DelegationRequest, delegate } from "./domain/delegation.ts";
export { type Domain, loadDomain, loadPolicies } from "./domain/domain.ts";
export { DomainError, type DomainErrorCode } from "./domain/error.ts";
export { type GrantRequest, type IssuedGrant, issueGrant } from "./domain/grants.ts";
export { Layout } from "./domain/layout.ts";
export { type GovernanceFiles, gatherGovernance } from "./domain/materials.ts";
export { type PolicyRequest, type SignedPolicy, signPolicy } from "./domain/policies.ts";
export {
  activatePolicy,
  deactivatePolicy,
  type Publication,
  type Revocation,
  renewSnapshot,
  revoke,
  setFreeze,
} from "./domain/publication.ts";
export { signersAtHand, signersFrom } from "./domain/signers.ts";

// Who a machine is: the enroller's side.
export {
  ENROLL_CODES,
  type EnrollCode,
  EnrollError,
  Enroller,
  type EnrollerOptions,
  type NodeGrant,
  type PendingEnrollment,
  type TrustStore,
  ueidOf,
  type VerifiedEkCertificate,
  verifyEkCertificate,
} from "./enroll/index.ts";
export { PortcullisError } from "./errors.ts";

// The gate: decide, claim, execute.
export type { StateCounter } from "./gate/anchor.ts";
export { type ExecCode, ExecError } from "./gate/error.ts";
export type { AttestedRequest, EvidenceSource, Materials, Prover } from "./gate/evidence.ts";
export { EXIT } from "./gate/exit-codes.ts";
export { type Admitted, type Decision, type Ended, Gate, type GateParts } from "./gate/gate.ts";
export type { Asked } from "./gate/hearing.ts";
export { type JobRequest, type PreparedJob, prepareJob } from "./gate/job.ts";
export type { ForwardedSignal, Pending } from "./gate/launch.ts";
export { exitCodeOf, type Outcome } from "./gate/outcome.ts";
export { makeReceipt, type ReceiptFacts } from "./gate/receipt.ts";
export { codeOfFailure } from "./gate/refusal.ts";
export { forwardSignals } from "./gate/signals.ts";
export type { Place } from "./gate/stage.ts";
export { LIMITS } from "./limits.ts";

// The audit log.
export { CaseFolder } from "./log/cases.ts";
export { type VerifiedCheckpoint, verifyCheckpoint } from "./log/checkpoint.ts";
export { LedgerConflict, LogError, type LogErrorCode, LogTampered } from "./log/error.ts";
export { Journal, type JournalOptions, type Recorded } from "./log/journal.ts";
export { type Leaf, parseLeaf, showLeaf } from "./log/leaf.ts";
export {
  formatNoteVerifier,
  type NoteSigner,
  type NoteVerifier,
  noteSigner,
  noteVerifier,
  parseNoteVerifier,
} from "./log/note.ts";
export {
  consistencyProof,
  inclusionProof,
  verifyConsistency,
  verifyInclusion,
} from "./log/proof.ts";
export { type LoggedRun, loggedRuns } from "./log/runs.ts";
export { type LogVerification, type VerifiedLog, verifyLog } from "./log/verification.ts";
export { PrivateError } from "./private.ts";

// What must be remembered.
export {
  type Anchor,
  type Counters,
  type Floors,
  type Store,
  StoreError,
  type StoreErrorCode,
  type Transaction,
} from "./store/contract.ts";
export { createSqliteStore, openSqliteStore, SqliteStore } from "./store/sqlite.ts";

// The formats of docs/wire-format.md.
export { decode, encode } from "./wire/cbor.ts";
export {
  evidenceDigest,
  jobDigest,
  objectDigest,
  requestDigest,
  statusDigest,
} from "./wire/digests.ts";
export { type WireCode, WireError } from "./wire/error.ts";
export { type Inspection, inspect } from "./wire/inspect.ts";
export { readKeyFile, writeKeyFile } from "./wire/key-files.ts";
export {
  type Curve,
  coseKeyOf,
  generateKey,
  type Signer,
  signerOf,
  thumbprint,
} from "./wire/keys.ts";
export { auditPath, merkleRoot } from "./wire/merkle.ts";
export {
  type Charter,
  type CoseKey,
  type Evidence,
  encodePlain,
  type Grant,
  type Job,
  type Link,
  type NodeCredential,
  parsePlain,
  parseSigned,
  type Receipt,
  type ReferencePolicy,
  type Result,
  type Scope,
  type Snapshot,
  type StatusList,
  signObject,
  type UnverifiedSigned,
} from "./wire/objects.ts";
