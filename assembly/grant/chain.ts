/**
 * The chain: one grant, and links delegated from it. Each function here judges one family over all
 * elements, root first.
 */
import { Span, lenOf, same, span } from "../abi";
import { Fault, READER_BYTES, Reader } from "../codec/cbor";
import * as cose from "../cose/message";
import { Flaw } from "../cose/message";
import { check } from "../findings";
import { Code, limits } from "../generated";
import * as charter from "./charter";
import { Role } from "./charter";
import { Decision, holds } from "./claims";
import { Element, Holder, clearElement, elementAt, readElement } from "./element";
import * as node from "./node";
import * as snapshot from "./snapshot";
import * as status from "./status";

/** Elements read by `openChain`. */
export let count: u32 = 0;

const LIST = changetype<Reader>(memory.data(READER_BYTES, 8));

export function leaf(): Element {
  return elementAt(count - 1);
}

/** artifact: a chain is present, canonical and within bounds. */
export function openChain(list: Span): bool {
  const r = LIST.open(list);
  count = r.array(0, limits.elements);
  if (!check(count > 0, Code.ARTIFACT_MISSING)) return false;
  if (!check(lenOf(list) <= limits.chainBytes, Code.ARTIFACT_OVERSIZED)) return false;
  for (let i: u32 = 0; i < count; i++) {
    const raw = r.bytes(0, u32.MAX_VALUE);
    if (!check(lenOf(raw) > 0, Code.ARTIFACT_MISSING)) return false;
    const fault = openElement(clearElement(i, raw, i == 0));
    if (!check(fault != Fault.OVERSIZED, Code.ARTIFACT_OVERSIZED)) return false;
    if (!check(fault != Fault.UNKNOWN, Code.ARTIFACT_UNKNOWN_CLAIM)) return false;
    if (!check(fault == Fault.NONE, Code.ARTIFACT_MALFORMED)) return false;
  }
  return true;
}

function openElement(e: Element): Fault {
  const fault = openMessage(e);
  if (fault != Fault.NONE) return fault;
  cose.labelledDigest("portcullis-element", e.digest);
  return readElement(e, cose.payload);
}

/** Opens the element as a signed object. */
export function openMessage(e: Element): Fault {
  if (e.isGrant) return cose.openSign(e.raw, "grant", limits.payloadBytes, limits.signers);
  return cose.openSign1(e.raw, "link", limits.payloadBytes);
}

/** signature: the grant to the threshold of its class, each link by its parent's key. */
export function judgeSignatures(): bool {
  let holds = judgeGrant(elementAt(0));
  for (let i: u32 = 1; i < count; i++) holds = judgeLink(elementAt(i), elementAt(i - 1)) && holds;
  return holds;
}

function flawless(flaw: Flaw): bool {
  if (!check(flaw != Flaw.ALGORITHM, Code.SIGNATURE_ALGORITHM)) return false;
  if (!check(flaw != Flaw.UNKNOWN_KEY, Code.SIGNATURE_UNKNOWN_KEY)) return false;
  return check(flaw == Flaw.NONE, Code.SIGNATURE_INVALID);
}

function judgeGrant(e: Element): bool {
  openMessage(e);
  const keys = charter.keyset(Role.AUTHORITY);
  if (!flawless(cose.verifyAll(keys, keys))) return false;
  const signed = cose.signedBy(keys);
  const covered = charter.findClass(e.className) && classCovers(e);
  if (!check(covered, Code.SIGNATURE_CLASS)) return false;
  const signers = <u32>popcnt<u32>(charter.classSigners(signed));
  return check(signers >= charter.classThreshold, Code.SIGNATURE_THRESHOLD);
}

function judgeLink(e: Element, parent: Element): bool {
  openMessage(e);
  // A node proves itself by its quote; it has no key that could sign for a child.
  if (!check(parent.holder == <u8>Holder.KEY, Code.SIGNATURE_UNKNOWN_KEY)) return false;
  return flawless(cose.verifyBy(parent.key));
}

const ITEMS = changetype<Reader>(memory.data(READER_BYTES, 8));

function classCovers(e: Element): bool {
  const depth = min(charter.classDepth, charter.maxDepth);
  if (e.exp - e.iat > charter.classSeconds || e.maxDepth > depth) return false;
  if (e.label != 0 && !charter.classCoversLabel(e.label)) return false;
  let r = ITEMS.open(e.nodes);
  const nodes: u32 = e.nodes == 0 ? 0 : r.array(1, limits.audience);
  for (let i: u32 = 0; i < nodes; i++) {
    if (!charter.classCoversNode(r.bytes(7, 33))) return false;
  }
  r = ITEMS.open(e.policies);
  const policies = r.array(1, limits.policies);
  for (let i: u32 = 0; i < policies; i++) {
    if (!charter.classCoversPolicy(r.ident())) return false;
  }
  return r.fault == Fault.NONE;
}

/** window: no skew anywhere, at either end. */
export function judgeWindows(now: u64): bool {
  let holds = true;
  for (let i: u32 = 0; i < count; i++) {
    const e = elementAt(i);
    holds = check(e.iat <= e.nbf && e.nbf < e.exp, Code.WINDOW_INVALID) && holds;
    holds = check(e.iat <= now && e.nbf <= now, Code.WINDOW_NOT_YET) && holds;
    holds = check(now < e.exp, Code.WINDOW_EXPIRED) && holds;
    const bounded = e.exp >= e.iat && e.exp - e.iat <= charter.grantSeconds;
    holds = check(bounded, Code.WINDOW_TOO_LONG) && holds;
  }
  return holds;
}

/** policy, its first check: every element was issued for this domain. */
export function judgeDomain(): bool {
  let holds = true;
  for (let i: u32 = 0; i < count; i++) {
    holds = check(same(elementAt(i).domain, charter.domain), Code.POLICY_DOMAIN) && holds;
  }
  return holds;
}

/** policy, its validation: recorded as passed in the grant, and wherever a link records one. */
export function judgeValidation(): bool {
  let holds = true;
  for (let i: u32 = 0; i < count; i++) {
    const e = elementAt(i);
    holds = check(e.passed || (!e.isGrant && !e.validated), Code.POLICY_VALIDATION) && holds;
  }
  return holds;
}

/**
 * identity, its audience: each element that names one holds this node; a grant always names one.
 */
export function judgeAudience(): bool {
  let inside = true;
  for (let i: u32 = 0; i < count; i++) {
    const e = elementAt(i);
    if (e.nodes != 0) inside = holds(e.nodes, node.ueid) && inside;
    else if (e.label != 0) inside = holds(node.labels, e.label) && inside;
    else inside = !e.isGrant && inside;
  }
  return check(inside, Code.IDENTITY_AUDIENCE);
}

/**
 * revocation of the elements and of the node, by the list that `openStatus` read, and by the epoch.
 */
export function judgeRevocation(): bool {
  let holds = true;
  for (let i: u32 = 0; i < count; i++) {
    const e = elementAt(i);
    let revoked = status.isElementRevoked(span(e.digest, 32));
    if (e.isGrant) revoked = status.isGrantRevoked(e.statusIndex) || revoked;
    const code = i + 1 < count ? Code.REVOCATION_ANCESTOR : Code.REVOCATION_ARTIFACT;
    holds = check(!revoked, code) && holds;
  }
  holds = check(!status.isNodeRevoked(node.statusIndex), Code.REVOCATION_NODE) && holds;
  for (let i: u32 = 0; i < count; i++) {
    holds = check(elementAt(i).epoch >= snapshot.epoch, Code.REVOCATION_EPOCH) && holds;
  }
  return holds;
}

/** Whether any element asks for the plane's decision. */
export function asksPlane(): bool {
  for (let i: u32 = 0; i < count; i++) {
    if (elementAt(i).decision == <u8>Decision.PLANE) return true;
  }
  return false;
}

/** The earliest expiry of the chain. */
export function expiry(): u64 {
  let earliest = u64.MAX_VALUE;
  for (let i: u32 = 0; i < count; i++) earliest = min(earliest, elementAt(i).exp);
  return earliest;
}
