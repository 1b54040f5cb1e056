/**
 * The snapshot: governance's word on the present, valid for an hour at most. It names the charter
 * it was made under, the active policies, the status list, and whether new jobs may start at all.
 */
import { Span, lenOf, same, span } from "../abi";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import * as cose from "../cose/message";
import { Flaw } from "../cose/message";
import { check, deny } from "../findings";
import { Code, limits } from "../generated";
import * as charter from "./charter";
import { Role } from "./charter";
import { Decision, claim } from "./claims";

export const enum Freeze {
  NONE,
  /** Nothing starts; running jobs keep their leases. */
  NEW,
  /** Leases stop too. */
  ALL,
}

export let version: u64 = 0;
export let epoch: u64 = 0;
export let iat: u64 = 0;
export let exp: u64 = 0;
export let freeze: u32 = Freeze.NONE;
export let decision: u32 = Decision.LOCAL;
export let status: Span = 0;
export const DIGEST: usize = memory.data(32, 8);
let domain: Span = 0;
let charterDigest: Span = 0;
let policies: Span = 0;

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));

function readPolicies(r: Reader): Span {
  const start = r.at;
  const count = r.map(0, limits.activePolicies);
  let last: Span = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const name = r.ident();
    r.ascendingKey(last, name);
    last = name;
    const alternatives = r.array(1, limits.alternatives);
    for (let j: u32 = 0; j < alternatives; j++) r.digest();
  }
  return r.since(start);
}

function readSnapshot(payload: Span): Fault {
  const r = MAIN.open(payload);
  const count = r.map(10, 10);
  let order: u64 = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const key = r.key(order);
    order = keyOrder(key);
    if (key == claim.AUD) domain = r.ident();
    else if (key == claim.EXP) exp = r.uint();
    else if (key == claim.IAT) iat = r.uint();
    else if (key == claim.SNAPSHOT_CHARTER) charterDigest = r.digest();
    else if (key == claim.SNAPSHOT_VERSION) version = r.uint();
    else if (key == claim.SNAPSHOT_EPOCH) epoch = r.uint();
    else if (key == claim.SNAPSHOT_FREEZE) freeze = <u32>r.uint(Freeze.ALL);
    else if (key == claim.SNAPSHOT_DECISION) decision = <u32>r.uint(Decision.PLANE);
    else if (key == claim.SNAPSHOT_POLICIES) policies = readPolicies(r);
    else if (key == claim.SNAPSHOT_STATUS) status = r.digest();
    else r.fail(Fault.UNKNOWN);
  }
  r.require(version >= 1);
  return r.close();
}

/** Whether this digest is one of the active alternatives of the named policy. */
export function isActive(name: Span, digest: Span): bool {
  const r = MAIN.open(policies);
  const count = r.map(0, limits.activePolicies);
  for (let i: u32 = 0; i < count; i++) {
    const wanted = same(r.ident(), name);
    const alternatives = r.array(1, limits.alternatives);
    for (let j: u32 = 0; j < alternatives; j++) {
      if (same(r.digest(), digest) && wanted) return true;
    }
  }
  return false;
}

/**
 * 1. Well-formed; 2. every signature by governance keys of the charter in force, to their
 *   threshold; 3. of this domain and made under this charter. True when it is thus authentic;
 *   `judgeFloors` and `judgeTimes` follow.
 */
export function judgeSnapshot(raw: Span): bool {
  if (!check(lenOf(raw) > 0, Code.GOVERNANCE_MISSING)) return false;
  let fault = cose.openSign(raw, "snapshot", limits.payloadBytes, limits.signers);
  if (fault == Fault.NONE) fault = readSnapshot(cose.payload);
  if (!check(fault == Fault.NONE, Code.GOVERNANCE_MALFORMED)) return false;
  cose.labelledDigest("portcullis-snapshot", DIGEST);
  const keys = charter.keyset(Role.GOVERNANCE);
  const flaw = cose.verifyAll(keys, keys);
  if (flaw != Flaw.NONE) {
    deny(charter.governanceCode(flaw));
    return false;
  }
  const signed = <u32>popcnt<u32>(cose.signedBy(keys));
  if (!check(signed >= keys.threshold, Code.GOVERNANCE_THRESHOLD)) return false;
  if (!check(same(domain, charter.domain), Code.GOVERNANCE_DOMAIN)) return false;
  return check(same(charterDigest, span(charter.DIGEST, 32)), Code.GOVERNANCE_CHARTER);
}

/** Never older than what was seen; an equal version with another digest is a rollback too. */
export function judgeFloors(floorNumber: u64, floorVersion: u64, floorDigest: Span): bool {
  let holds = charter.number >= floorNumber && version >= floorVersion;
  if (version == floorVersion) holds = holds && same(floorDigest, span(DIGEST, 32));
  return check(holds, Code.GOVERNANCE_ROLLBACK);
}

/** In force now, and for no longer than the charter allows. */
export function judgeTimes(now: u64): bool {
  let holds = check(now < exp, Code.GOVERNANCE_EXPIRED);
  holds = check(iat <= now, Code.GOVERNANCE_NOT_YET) && holds;
  const bounded = exp > iat && exp - iat <= charter.snapshotSeconds;
  return check(bounded, Code.GOVERNANCE_TOO_LONG) && holds;
}
