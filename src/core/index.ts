/** `portcullis/core`: the decision, and the arithmetic under it. Needs nothing of Node. */
export type { Appraisal, ClockFloor, PcrPolicy, Quote } from "./appraise.ts";
export type { Pcrs } from "./banks.ts";
export { CODE_LIST, CODES, type Code, FAMILIES, type Family, familyOf } from "./codes.ts";
export { CoreError, type CoreErrorCode } from "./errors.ts";
export type { EventLogOptions, EventLogReplay, LogEvent } from "./eventlog.ts";
export type { ImaEntry, ImaOptions, ImaReplay } from "./ima.ts";
export { KeyHandle, type SignatureCheck, type Tier } from "./keys.ts";
export {
  Core,
  type DecideOptions,
  type LoadOptions,
  loadCore,
} from "./load.ts";
export type { HashName, PublicKey, Scheme } from "./signature.ts";
export {
  type Allowed,
  type Denied,
  denied,
  type ElementUse,
  type FamilyState,
  isAllowed,
  type ReadRequest,
  type Verdict,
  type VerifiedCounters,
  type VerifiedFloors,
} from "./verdict.ts";
