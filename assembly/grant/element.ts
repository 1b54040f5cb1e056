/**
 * One element of a chain: a grant (root) or a link (delegated). This file reads claims and judges
 * nothing but form.
 */
import { Span } from "../abi";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import { KEY_BYTES, Key, readKey } from "../cose/key";
import { limits } from "../generated";
import { Decision, claim, readNames, readSorted } from "./claims";
import { Scope, readScope } from "./scope";

export const enum Holder {
  NONE,
  /** cnf {1: COSE_Key}: an agent or a person, whose key signs the request. */
  KEY,
  /** cnf {-70000: 1}: the executing node, whose quote is the proof. */
  NODE,
}

/** The keyset that signs grants; the only one this version knows. */
const KEYSET_AUTHORITY: u64 = 2;

@unmanaged
export class Element {
  raw: Span;
  domain: Span;
  issuer: Span;
  subject: Span;
  exp: u64;
  nbf: u64;
  iat: u64;
  /** The list of names, as it stands; 0 where a link has none. */
  policies: Span;
  parent: Span;
  epoch: u64;
  className: Span;
  statusIndex: u64;
  /** A list of UEIDs, or 0 where the audience is a label, or inherited. */
  nodes: Span;
  label: Span;
  /** Which claims were present, as bits in the order of `bit`. */
  present: u32;
  isGrant: bool;
  holder: u8;
  decision: u8;
  /** A policy validation is recorded, and its result is pass. */
  validated: bool;
  passed: bool;
  depth: u32;
  maxDepth: u32;
  scope: Scope;
  key: Key;
  digest: usize;
}

/** Bits of `present`. */
export namespace bit {
  export const SCOPE: u32 = 1;
  export const POLICIES: u32 = 2;
  export const PARENT: u32 = 4;
  export const DEPTH: u32 = 8;
  export const MAX_DEPTH: u32 = 16;
  export const VALIDATION: u32 = 32;
  export const GOVERNANCE: u32 = 64;
  export const ATTRIBUTION: u32 = 128;
  export const STATUS_INDEX: u32 = 256;
  export const AUDIENCE: u32 = 512;
  export const DECISION: u32 = 1024;
  /** Claims 1 to 8 take the bits from here on. */
  export const COMMON: u32 = 2048;
}
const COMMON_BITS: u32 = 0xff * 2048;
const GRANT_NEEDS: u32 =
  COMMON_BITS |
  bit.SCOPE |
  bit.POLICIES |
  bit.MAX_DEPTH |
  bit.VALIDATION |
  bit.GOVERNANCE |
  bit.STATUS_INDEX |
  bit.AUDIENCE;
const GRANT_NEVER: u32 = bit.PARENT | bit.DEPTH;
const LINK_NEEDS: u32 = COMMON_BITS | bit.GOVERNANCE | bit.PARENT | bit.DEPTH;
/** A delegate chooses no status index: it could pick one that is never revoked. */
const LINK_NEVER: u32 = bit.STATUS_INDEX;

const ELEMENTS = memory.data(5 * 256, 8);
const KEYS = memory.data(5 * (8 + 32 + 96), 8);
const SCOPES = memory.data(5 * 256, 8);
const DIGESTS = memory.data(5 * 32, 8);

/** The record of the element at this place, 0 for the grant. */
export function elementAt(place: u32): Element {
  return changetype<Element>(ELEMENTS + place * 256);
}

/** Prepares the record for an element that is to be read. */
export function clearElement(place: u32, raw: Span, isGrant: bool): Element {
  assert(offsetof<Element>() <= 256 && offsetof<Scope>() <= 256 && place < limits.elements);
  const e = elementAt(place);
  memory.fill(changetype<usize>(e), 0, 256);
  e.raw = raw;
  e.isGrant = isGrant;
  e.scope = changetype<Scope>(SCOPES + place * 256);
  memory.fill(changetype<usize>(e.scope), 0, offsetof<Scope>());
  e.key = changetype<Key>(KEYS + place * KEY_BYTES);
  e.digest = DIGESTS + (place << 5);
  return e;
}

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));

/** Reads the claims of an element. */
export function readElement(e: Element, payload: Span): Fault {
  const r = MAIN.open(payload);
  const count = r.map(1, 32);
  let order: u64 = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const key = r.key(order);
    order = keyOrder(key);
    if (key >= claim.ISS && key <= claim.CNF) readCommon(r, e, key);
    else if (key <= claim.SCOPE && key >= claim.DECISION) readPrivate(r, e, key);
    else r.fail(Fault.UNKNOWN);
  }
  const needs = e.isGrant ? GRANT_NEEDS : LINK_NEEDS;
  const never = e.isGrant ? GRANT_NEVER : LINK_NEVER;
  if (r.fault == Fault.NONE) {
    r.require((e.present & needs) == needs && (e.present & never) == 0);
  }
  return r.close();
}

function readCommon(r: Reader, e: Element, key: i64): void {
  e.present |= bit.COMMON << <u32>(key - 1);
  if (key == claim.ISS) e.issuer = r.ident();
  else if (key == claim.SUB) e.subject = r.ident();
  else if (key == claim.AUD) e.domain = r.ident();
  else if (key == claim.EXP) e.exp = r.uint();
  else if (key == claim.NBF) e.nbf = r.uint();
  else if (key == claim.IAT) e.iat = r.uint();
  else if (key == claim.CTI) r.exactly(16);
  else readHolder(r, e);
}

/** cnf, RFC 8747 §3.1: exactly one member. */
function readHolder(r: Reader, e: Element): void {
  r.map(1, 1);
  const key = r.int();
  if (key == 1) {
    e.holder = <u8>Holder.KEY;
    readKey(r, e.key);
  } else {
    r.require(key == claim.SCOPE && r.uint(1) == 1);
    e.holder = <u8>Holder.NODE;
  }
}

function readPrivate(r: Reader, e: Element, key: i64): void {
  e.present |= (<u32>1) << <u32>(claim.SCOPE - key);
  if (key == claim.SCOPE) readScope(r, e.scope, e.isGrant);
  else if (key == claim.POLICIES) e.policies = readNames(r, 1, limits.policies);
  else if (key == claim.PARENT) e.parent = r.digest();
  else if (key == claim.DEPTH) e.depth = readDepth(r);
  else if (key == claim.MAX_DEPTH) e.maxDepth = <u32>r.uint(limits.elements - 1);
  else if (key == claim.VALIDATION) readValidation(r, e);
  else if (key == claim.GOVERNANCE) readGovernance(r, e);
  else if (key == claim.ATTRIBUTION) r.ident();
  else if (key == claim.STATUS_INDEX) e.statusIndex = r.uint();
  else if (key == claim.AUDIENCE) readAudience(r, e);
  else e.decision = <u8>r.uint(Decision.PLANE);
}

/** Only a grant stands at depth 0, and it does not say so. */
function readDepth(r: Reader): u32 {
  const depth = <u32>r.uint(limits.elements - 1);
  r.require(depth >= 1);
  return depth;
}

function readValidation(r: Reader, e: Element): void {
  e.validated = true;
  r.array(4, 4);
  r.digest();
  r.ident();
  e.passed = r.uint(1) == 1;
  r.uint();
}

function readGovernance(r: Reader, e: Element): void {
  r.array(4, 4);
  e.epoch = r.uint();
  r.require(r.uint() == KEYSET_AUTHORITY);
  e.className = r.ident();
  if (!r.nullable()) r.ident();
}

function readAudience(r: Reader, e: Element): void {
  if (r.arrayNext()) e.nodes = readSorted(r, 1, limits.audience, 7, 33);
  else e.label = r.ident();
}
