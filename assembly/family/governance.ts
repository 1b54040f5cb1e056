/**
 * governance: charters run unbroken from the pinned one, and a snapshot of now, in order, under
 * them.
 */
import * as context from "../context";
import { Purpose } from "../context";
import * as evidence from "../evidence";
import { check } from "../findings";
import { Code } from "../generated";
import * as charter from "../grant/charter";
import { judgeCharters } from "../grant/charter";
import * as snapshot from "../grant/snapshot";
import { Freeze, judgeFloors, judgeSnapshot, judgeTimes } from "../grant/snapshot";

/** The charters are authentic: later families may read the one in force. */
export let hasCharter: bool = false;
/** The snapshot is authentic: later families may read it. */
export let hasSnapshot: bool = false;
/**
 * Both are authentic, not older than what was seen and not from the future: their numbers and
 * digests may become floors, also when the verdict is a denial. A freeze, once seen, cannot be
 * undone by replaying an older snapshot.
 */
export let raisesFloors: bool = false;

export function judgeGovernance(): bool {
  hasSnapshot = false;
  raisesFloors = false;
  hasCharter = judgeCharters(evidence.charters, context.pin, context.now);
  if (!hasCharter) return false;
  const charterHolds = charter.inForce;
  hasSnapshot = judgeSnapshot(evidence.snapshot);
  if (!hasSnapshot) return false;
  const forward = judgeFloors(context.floorNumber, context.floorVersion, context.floorDigest);
  const clock = check(context.now >= context.floorTime, Code.GOVERNANCE_CLOCK);
  const timely = judgeTimes(context.now);
  raisesFloors = forward && charter.begun && snapshot.iat <= context.now;
  return check(!isFrozen(), Code.GOVERNANCE_FROZEN) && charterHolds && forward && clock && timely;
}

/** A freeze of new jobs spares leases; a freeze of all does not. */
function isFrozen(): bool {
  if (snapshot.freeze == Freeze.NONE) return false;
  return snapshot.freeze == Freeze.ALL || evidence.purpose == Purpose.START;
}

/** The highest time that governance has signed so far; only to be used where `raisesFloors`. */
export function signedTime(): u64 {
  return max(charter.iat, snapshot.iat);
}
