/**
 * The node credential: an enroller's word that this attestation key lives in this TPM, and which
 * labels the node has.
 */
import { Span, lenOf, same } from "../abi";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import { KEY_BYTES, Key, readKey } from "../cose/key";
import * as cose from "../cose/message";
import { Flaw } from "../cose/message";
import { check } from "../findings";
import { Code, limits } from "../generated";
import * as charter from "./charter";
import { Role } from "./charter";
import { claim, readLabels, readName, readUeid } from "./claims";

export let domain: Span = 0;
export let exp: u64 = 0;
export let iat: u64 = 0;
export let ueid: Span = 0;
export let publicArea: Span = 0;
export let name: Span = 0;
export let qualifiedName: Span = 0;
export let labels: Span = 0;
export let statusIndex: u64 = 0;
/** Counters at enrollment: always a floor. */
export let resetCount: u64 = 0;
export let restartCount: u64 = 0;
export let clock: u64 = 0;
export let firmwareVersion: u64 = 0;

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));
const LOG_KEY = changetype<Key>(memory.data(8 + 32 + 96, 8));

function readCounters(r: Reader): void {
  r.array(4, 4);
  resetCount = r.uint(u32.MAX_VALUE);
  restartCount = r.uint(u32.MAX_VALUE);
  clock = r.u64();
  firmwareVersion = r.u64();
}

function readDigestOrNull(r: Reader): void {
  if (!r.nullable()) r.digest();
}

function readNameOrNull(r: Reader): void {
  if (!r.nullable()) readName(r);
}

function readNode(payload: Span): Fault {
  assert(KEY_BYTES == 8 + 32 + 96);
  const r = MAIN.open(payload);
  const count = r.map(13, 13);
  let order: u64 = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const key = r.key(order);
    order = keyOrder(key);
    if (key == claim.AUD) domain = r.ident();
    else if (key == claim.EXP) exp = r.uint();
    else if (key == claim.IAT) iat = r.uint();
    else if (key == claim.UEID) ueid = readUeid(r);
    else if (key == claim.NODE_PUBLIC) publicArea = r.bytes(1, limits.publicAreaBytes);
    else if (key == claim.NODE_NAME) name = readName(r);
    else if (key == claim.NODE_QUALIFIED) qualifiedName = readName(r);
    else if (key == claim.NODE_EK_CERTIFICATE) readDigestOrNull(r);
    else if (key == claim.NODE_LABELS) labels = readLabels(r);
    else if (key == claim.NODE_COUNTERS) readCounters(r);
    else if (key == claim.NODE_LOG_KEY) readKey(r, LOG_KEY);
    else if (key == claim.NODE_NV_INDEX) readNameOrNull(r);
    else if (key == claim.NODE_STATUS_INDEX) statusIndex = r.uint();
    else r.fail(Fault.UNKNOWN);
  }
  return r.close();
}

/** Reads the credential; true where it is present and well-formed. */
export function openNode(raw: Span): bool {
  if (!check(lenOf(raw) > 0, Code.IDENTITY_MISSING)) return false;
  let fault = cose.openSign1(raw, "node", limits.payloadBytes);
  if (fault == Fault.NONE) fault = readNode(cose.payload);
  return check(fault == Fault.NONE, Code.IDENTITY_MALFORMED);
}

/** Signed by an enroller of the charter in force, within the labels that this enroller may give. */
export function judgeEnroller(raw: Span): bool {
  cose.openSign1(raw, "node", limits.payloadBytes);
  const enrollers = charter.keyset(Role.ENROLLER);
  const place = cose.signerIn(enrollers);
  if (!check(place >= 0, Code.IDENTITY_UNKNOWN_KEY)) return false;
  const flaw = cose.verifyBy(enrollers.key(place));
  if (!check(flaw != Flaw.ALGORITHM, Code.IDENTITY_ALGORITHM)) return false;
  if (!check(flaw == Flaw.NONE, Code.IDENTITY_SIGNATURE)) return false;
  return check(charter.enrollerCovers(place, labels), Code.IDENTITY_LABELS);
}

/** Of this domain and in force now. */
export function judgeCredential(now: u64): bool {
  let holds = check(same(domain, charter.domain), Code.IDENTITY_DOMAIN);
  holds = check(iat <= now, Code.IDENTITY_NOT_YET) && holds;
  holds = check(now < exp, Code.IDENTITY_EXPIRED) && holds;
  const bounded = exp > iat && exp - iat <= charter.nodeSeconds;
  return check(bounded, Code.IDENTITY_TOO_LONG) && holds;
}
