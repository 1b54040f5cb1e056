/**
 * Reference policies: the states that policy keys have vouched for. The grant names policies, the
 * snapshot says which documents are active under a name, the evidence brings exactly one document
 * for each name.
 */
import { Span, same, span } from "../abi";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import * as cose from "../cose/message";
import { Flaw } from "../cose/message";
import { check } from "../findings";
import { Code, limits } from "../generated";
import { count as elementCount } from "../grant/chain";
import * as charter from "../grant/charter";
import { Role } from "../grant/charter";
import { claim } from "../grant/claims";
import { elementAt } from "../grant/element";
import * as snapshot from "../grant/snapshot";
import { isDemanding, readEventRules } from "./event-rules";
import { readImaRules } from "./ima-rules";

@unmanaged
export class Policy {
  name: Span;
  /** The map bank -> PCR -> allowed digests, as it stands; 0 where there is none. */
  pcrs: Span;
  /** The map bank -> PCR -> event-log rules, likewise. */
  eventLog: Span;
  minimumFirmware: u64;
  /** The IMA rules as they stand; 0 if none. */
  ima: Span;
  named: bool;
  digest: usize;
}
const POLICY_BYTES: u32 = 64;
const POLICIES = memory.data(8 * 64, 8);
const DIGESTS = memory.data(8 * 32, 8);

/** Policies read by `judgePolicies`; 0 where one of them is malformed. */
export let count: u32 = 0;

export function policyAt(place: u32): Policy {
  return changetype<Policy>(POLICIES + place * POLICY_BYTES);
}

const LIST = changetype<Reader>(memory.data(READER_BYTES, 8));
const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));
const NAMES = changetype<Reader>(memory.data(READER_BYTES, 8));

let domain: Span = 0;

/** Banks ascending, PCRs ascending, digests of one width: the values are judged by pcr-rules.ts. */
function readPcrs(r: Reader): Span {
  const start = r.at;
  const banks = r.map(0, 16);
  let bankOrder: u64 = 0;
  for (let i: u32 = 0; i < banks && r.fault == Fault.NONE; i++) {
    const bank = r.key(bankOrder);
    bankOrder = keyOrder(bank);
    r.require(bank > 0 && bank <= 0xffff);
    const pcrs = r.map(1, 24);
    let pcrOrder: u64 = 0;
    for (let j: u32 = 0; j < pcrs && r.fault == Fault.NONE; j++) {
      const pcr = r.key(pcrOrder);
      pcrOrder = keyOrder(pcr);
      r.require(pcr >= 0 && pcr < 24);
      const digests = r.array(1, 64);
      for (let k: u32 = 0; k < digests; k++) r.bytes(20, 64);
    }
  }
  return r.since(start);
}

/** Reads the payload of a reference policy. One that compares nothing is malformed. */
export function readPolicy(p: Policy, payload: Span): Fault {
  memory.fill(changetype<usize>(p), 0, offsetof<Policy>("digest"));
  let seen: u32 = 0;
  const r = MAIN.open(payload);
  const members = r.map(5, 8);
  let compares = false;
  let order: u64 = 0;
  for (let i: u32 = 0; i < members && r.fault == Fault.NONE; i++) {
    const key = r.key(order);
    order = keyOrder(key);
    if (key == claim.AUD) domain = r.ident();
    else if (key == claim.IAT) r.uint();
    else if (key == claim.POLICY_NAME) p.name = r.ident();
    else if (key == claim.POLICY_VERSION) r.uint();
    else if (key == claim.POLICY_PCRS) p.pcrs = readPcrs(r);
    else if (key == claim.POLICY_EVENT_LOG) p.eventLog = readEventRules(r);
    else if (key == claim.POLICY_IMA) p.ima = readImaRules(r);
    else if (key == claim.POLICY_FIRMWARE) p.minimumFirmware = r.u64();
    else r.fail(Fault.UNKNOWN);
    if (key == claim.AUD || key == claim.IAT) seen++;
    else if (key == claim.POLICY_NAME || key == claim.POLICY_VERSION) seen++;
    else if (key == claim.POLICY_PCRS || key == claim.POLICY_IMA) compares = true;
    else if (key == claim.POLICY_EVENT_LOG) compares = compares || isDemanding;
  }
  r.require(seen == 4 && compares);
  return r.close();
}

/** Whether the policy is signed to the threshold by policy keys of the charter in force. */
function isSigned(): bool {
  const keys = charter.keyset(Role.POLICY);
  if (cose.verifyAll(keys, keys) != Flaw.NONE) return false;
  return <u32>popcnt<u32>(cose.signedBy(keys)) >= keys.threshold;
}

/**
 * 1. Each document is well-formed and of this domain; 2. every name that an element lists has its
 *   document; 3. no other document is there, none twice; 4. each is an active alternative of its
 *   name; 5. each is signed to the threshold.
 */
export function judgePolicies(list: Span): bool {
  count = 0;
  const r = LIST.open(list);
  const presented = r.array(0, limits.policies);
  for (let i: u32 = 0; i < presented; i++) {
    const p = policyAt(i);
    p.digest = DIGESTS + (i << 5);
    const fault = openPolicy(p, r.bytes(0, u32.MAX_VALUE));
    const sound = fault == Fault.NONE && same(domain, charter.domain) && !isRepeated(i);
    if (!check(sound, Code.POLICY_MALFORMED)) return false;
  }
  count = presented;
  if (!check(markNamed(), Code.POLICY_MISSING)) return false;
  let holds = true;
  for (let i: u32 = 0; i < count; i++) {
    holds = check(policyAt(i).named, Code.POLICY_UNNAMED) && holds;
  }
  for (let i: u32 = 0; i < count; i++) {
    const p = policyAt(i);
    const active = snapshot.isActive(p.name, span(p.digest, 32));
    holds = check(active, Code.POLICY_INACTIVE) && holds;
  }
  const again = LIST.open(list);
  again.array(0, limits.policies);
  for (let i: u32 = 0; i < count; i++) {
    openMessage(again.bytes(0, u32.MAX_VALUE));
    holds = check(isSigned(), Code.POLICY_UNSIGNED) && holds;
  }
  return holds;
}

function openMessage(raw: Span): Fault {
  return cose.openSign(raw, "policy", limits.policyBytes, limits.signers);
}

function openPolicy(p: Policy, raw: Span): Fault {
  const fault = openMessage(raw);
  if (fault != Fault.NONE) return fault;
  cose.labelledDigest("portcullis-policy", p.digest);
  return readPolicy(p, cose.payload);
}

function isRepeated(place: u32): bool {
  for (let i: u32 = 0; i < place; i++) {
    if (same(policyAt(i).name, policyAt(place).name)) return true;
  }
  return false;
}

/** Marks the document of each name that an element lists; false where a name has none. */
function markNamed(): bool {
  let complete = true;
  for (let i: u32 = 0; i < elementCount; i++) {
    const e = elementAt(i);
    if (e.policies == 0) continue;
    const r = NAMES.open(e.policies);
    const names = r.array(1, limits.policies);
    for (let j: u32 = 0; j < names; j++) {
      complete = markOne(r.ident()) && complete;
    }
  }
  return complete;
}

function markOne(name: Span): bool {
  for (let i: u32 = 0; i < count; i++) {
    const p = policyAt(i);
    if (!same(p.name, name)) continue;
    p.named = true;
    return true;
  }
  return false;
}
