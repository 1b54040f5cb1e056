/** `portcullis/core`: the decision, and the arithmetic under it. Needs nothing of Node. */
export type { Appraisal, ClockFloor, PcrPolicy, Pcrs, Quote } from "./appraise.ts";
export { CODE_LIST, CODES, type Code, FAMILIES, type Family, familyOf } from "./codes.ts";
export { CoreError, type CoreErrorCode } from "./errors.ts";
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
