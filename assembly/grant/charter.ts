/**
 * The charter: who may sign what in this trust domain. Signed by root keys, changed rarely; the
 * verifier pins one charter's digest and follows rotations from there.
 */
import { Span, lenOf, same, span } from "../abi";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import { KEYSET_BYTES, Keyset } from "../cose/key";
import * as cose from "../cose/message";
import { Flaw } from "../cose/message";
import { check, deny } from "../findings";
import { Code, limits } from "../generated";
import { claim, holds, readLabels, readNames, readSorted } from "./claims";

/** The keysets of a charter, by their number in docs/wire-format.md. */
export const enum Role {
  ROOT = 1,
  AUTHORITY = 2,
  POLICY = 3,
  ENROLLER = 4,
  GOVERNANCE = 5,
  PLANE = 6,
  LOG = 7,
  WITNESS = 8,
}

const ROLES: u32 = 8;
const KEYSETS = memory.data(9 * (8 + 16 * (8 + 32 + 96)), 8);
const PREVIOUS_ROOT = changetype<Keyset>(memory.data(8 + 16 * (8 + 32 + 96), 8));
/** For each enroller, the list of labels that it may give: a span, 0 for any. */
const ENROLLER_LABELS = memory.data(16 * 8, 8);

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));
const PART = changetype<Reader>(memory.data(READER_BYTES, 8));

/** Every charter has begun; every charter has begun and none is past its expiry. */
export let begun: bool = false;
export let inForce: bool = false;
/** The earliest expiry of all charters: each must be in force. */
export let firstExpiry: u64 = 0;
/** The charter in force, once `judgeCharters` gave true. */
export let domain: Span = 0;
export let number: u64 = 0;
export let exp: u64 = 0;
export let iat: u64 = 0;
export let grantSeconds: u64 = 0;
export let snapshotSeconds: u64 = 0;
export let nodeSeconds: u64 = 0;
export let maxDepth: u32 = 0;
export const DIGEST: usize = memory.data(32, 8);
const PREVIOUS_DIGEST: usize = memory.data(32, 8);

let predecessor: Span = 0;
let classes: Span = 0;

export function keyset(role: Role): Keyset {
  return changetype<Keyset>(KEYSETS + <u32>role * KEYSET_BYTES);
}

function readKeys(r: Reader, set: Keyset): void {
  const count = r.array(1, limits.keys);
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) set.add(r);
}

/**
 * A threshold that its own keys can reach: 0 would admit anyone (CVE-2026-23992), too many nobody.
 */
function readKeyset(r: Reader, set: Keyset): void {
  r.array(2, 2);
  set.clear(<u32>r.uint(limits.signers));
  readKeys(r, set);
  r.require(set.threshold >= 1 && set.threshold <= set.count);
}

function readAuthority(r: Reader): void {
  r.array(2, 2);
  readKeys(r, keyset(Role.AUTHORITY).clear(1));
  const start = r.at;
  const count = r.map(1, limits.classes);
  let last: Span = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const name = r.ident();
    r.ascendingKey(last, name);
    last = name;
    readClass(r);
  }
  classes = r.since(start);
}

function readEnrollers(r: Reader): void {
  const set = keyset(Role.ENROLLER).clear(1);
  const count = r.array(1, limits.keys);
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    r.array(2, 2);
    set.add(r);
    store<u64>(ENROLLER_LABELS + (i << 3), r.nullable() ? 0 : readLabels(r));
  }
}

function readKeysets(r: Reader): void {
  for (let role: u32 = 1; role <= ROLES; role++) keyset(role).clear(0);
  const count = r.map(5, ROLES);
  let order: u64 = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const role = r.key(order);
    order = keyOrder(role);
    if (role == Role.AUTHORITY) readAuthority(r);
    else if (role == Role.ENROLLER) readEnrollers(r);
    else if (role >= Role.ROOT && role <= Role.WITNESS) readKeyset(r, keyset(<Role>role));
    else r.fail(Fault.UNKNOWN);
  }
  for (let role: u32 = Role.ROOT; role <= <u32>Role.GOVERNANCE; role++) {
    r.require(keyset(role).count > 0);
  }
}

function readBounds(r: Reader): void {
  r.array(4, 4);
  grantSeconds = r.uint();
  snapshotSeconds = r.uint(limits.snapshotSeconds);
  r.require(snapshotSeconds >= 1);
  nodeSeconds = r.uint();
  maxDepth = <u32>r.uint(limits.elements - 1);
}

function readCharter(payload: Span): Fault {
  const r = MAIN.open(payload);
  const count = r.map(7, 7);
  let order: u64 = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const key = r.key(order);
    order = keyOrder(key);
    if (key == claim.AUD) domain = r.ident();
    else if (key == claim.EXP) exp = r.uint();
    else if (key == claim.IAT) iat = r.uint();
    else if (key == claim.CHARTER_NUMBER) number = r.uint();
    else if (key == claim.CHARTER_PREDECESSOR) predecessor = r.nullable() ? 0 : r.digest();
    else if (key == claim.CHARTER_KEYSETS) readKeysets(r);
    else if (key == claim.CHARTER_BOUNDS) readBounds(r);
    else r.fail(Fault.UNKNOWN);
  }
  r.require(number >= 1 && (number == 1) == (predecessor == 0));
  return r.close();
}

/** Reads the last charter of the list for its keys: nothing about it is judged. */
export function readUnverifiedCharter(list: Span): bool {
  const r = PART;
  r.open(list);
  const count = r.array(1, limits.charters);
  let last: Span = 0;
  for (let i: u32 = 0; i < count; i++) last = r.bytes(1, u32.MAX_VALUE);
  if (r.close() != Fault.NONE) return false;
  const fault = cose.openSign(last, "charter", limits.charterBytes, limits.charterSigners);
  return fault == Fault.NONE && readCharter(cose.payload) == Fault.NONE;
}

/** The class that `findClass` found. */
export let classThreshold: u32 = 0;
let classMembers: Span = 0;
let classLabels: Span = 0;
let classNodes: Span = 0;
let classPolicies: Span = 0;
export let classSeconds: u64 = 0;
export let classDepth: u32 = 0;
export let classMark: bool = false;
let classAnyLabel: bool = false;
let classAnyNode: bool = false;
let classAnyPolicy: bool = false;

/** A class: which authority keys may authorize what. Empty lists allow nothing; null allows all. */
function readClass(r: Reader): void {
  r.array(8, 8);
  classThreshold = <u32>r.uint(limits.signers);
  r.require(classThreshold >= 1);
  classMembers = r.nullable() ? 0 : readSorted(r, 1, limits.keys, 32, 32);
  classAnyLabel = r.nullable();
  classLabels = classAnyLabel ? 0 : readLabels(r);
  classAnyNode = r.nullable();
  classNodes = classAnyNode ? 0 : readSorted(r, 0, limits.classNodes, 7, 33);
  classAnyPolicy = r.nullable();
  classPolicies = classAnyPolicy ? 0 : readNames(r, 1, limits.keys);
  classSeconds = r.uint();
  classDepth = <u32>r.uint(limits.elements - 1);
  classMark = r.bool();
}

/** Finds a class of the charter in force by its name. */
export function findClass(name: Span): bool {
  const r = PART.open(classes);
  const count = r.map(0, limits.classes);
  for (let i: u32 = 0; i < count; i++) {
    const found = same(r.ident(), name);
    readClass(r);
    if (found) return r.fault == Fault.NONE;
  }
  return false;
}

export function classCoversLabel(label: Span): bool {
  return classAnyLabel || holds(classLabels, label);
}

export function classCoversNode(ueid: Span): bool {
  return classAnyNode || holds(classNodes, ueid);
}

export function classCoversPolicy(name: Span): bool {
  return classAnyPolicy || holds(classPolicies, name);
}

/** Of the authority keys that signed (bits by place), those that are members of the found class. */
export function classSigners(signed: u32): u32 {
  if (classMembers == 0) return signed;
  let members: u32 = 0;
  const keys = keyset(Role.AUTHORITY);
  for (let i: u32 = 0; i < keys.count; i++) {
    if (holds(classMembers, span(keys.key(i).kid, 32))) members |= (<u32>1) << i;
  }
  return signed & members;
}

/** Whether the enroller at this place may give every label of the list. */
export function enrollerCovers(place: u32, labels: Span): bool {
  const allowed = load<u64>(ENROLLER_LABELS + (place << 3));
  if (allowed == 0) return true;
  const r = PART.open(labels);
  const count = r.array(0, limits.labels);
  for (let i: u32 = 0; i < count; i++) if (!holds(allowed, r.ident())) return false;
  return r.fault == Fault.NONE;
}

/** The governance code of a flaw in a signature. */
export function governanceCode(flaw: Flaw): Code {
  if (flaw == Flaw.ALGORITHM) return Code.GOVERNANCE_ALGORITHM;
  return flaw == Flaw.UNKNOWN_KEY ? Code.GOVERNANCE_UNKNOWN_KEY : Code.GOVERNANCE_SIGNATURE;
}

/**
 * One charter after another:
 *
 * 1. well-formed; 2. the first is the pinned one, each later one names its predecessor's digest and
 *   number; 3. every signature verifies, and both its own and its predecessor's root threshold are
 *   met; 4. one domain throughout; 5. in force at `now`.
 *
 * True when the last one is authentic and may be read by what follows. Whether all are in force is
 * `inForce`: one that is not still serves the rest of an explanation.
 */
export function judgeCharters(list: Span, pin: Span, now: u64): bool {
  const r = PART;
  r.open(list);
  const count = r.array(0, limits.charters);
  if (!check(count > 0, Code.GOVERNANCE_MISSING)) return false;
  let firstDomain: Span = 0;
  begun = true;
  inForce = true;
  firstExpiry = u64.MAX_VALUE;
  for (let i: u32 = 0; i < count; i++) {
    if (!judgeCharter(r.bytes(0, u32.MAX_VALUE), i, pin)) return false;
    if (i == 0) firstDomain = domain;
    if (!check(same(firstDomain, domain), Code.GOVERNANCE_DOMAIN)) return false;
    firstExpiry = min(firstExpiry, exp);
    inForce = check(now < exp, Code.GOVERNANCE_EXPIRED) && inForce;
    begun = check(iat <= now, Code.GOVERNANCE_NOT_YET) && begun;
  }
  inForce = inForce && begun;
  return true;
}

function judgeCharter(raw: Span, place: u32, pin: Span): bool {
  const root = keyset(Role.ROOT);
  memory.copy(changetype<usize>(PREVIOUS_ROOT), changetype<usize>(root), KEYSET_BYTES);
  memory.copy(PREVIOUS_DIGEST, DIGEST, 32);
  const previousNumber = number;
  if (!check(lenOf(raw) > 0, Code.GOVERNANCE_MISSING)) return false;
  let fault = cose.openSign(raw, "charter", limits.charterBytes, limits.charterSigners);
  if (fault == Fault.NONE) fault = readCharter(cose.payload);
  if (!check(fault == Fault.NONE, Code.GOVERNANCE_MALFORMED)) return false;
  cose.labelledDigest("portcullis-charter", DIGEST);
  if (place == 0) {
    if (!check(same(span(DIGEST, 32), pin), Code.GOVERNANCE_PIN)) return false;
  } else {
    const follows = number == previousNumber + 1 && same(predecessor, span(PREVIOUS_DIGEST, 32));
    if (!check(follows, Code.GOVERNANCE_CHAIN)) return false;
  }
  const before = place == 0 ? root : PREVIOUS_ROOT;
  const flaw = cose.verifyAll(root, before);
  if (flaw != Flaw.NONE) {
    deny(governanceCode(flaw));
    return false;
  }
  const own = <u32>popcnt<u32>(cose.signedBy(root)) >= root.threshold;
  const old = <u32>popcnt<u32>(cose.signedBy(before)) >= before.threshold;
  return check(own && old, Code.GOVERNANCE_THRESHOLD);
}
