/**
 * The claim keys of docs/wire-format.md, and readers for the shapes that several objects share.
 */
import { Span, compare, lenOf } from "../abi";
import { Fault, Reader } from "../codec/cbor";
import { limits } from "../generated";

/** CWT claims (RFC 8392 §4, RFC 8747 §3.1, RFC 9711 §4.2.1). */
export namespace claim {
  export const ISS: i64 = 1;
  export const SUB: i64 = 2;
  export const AUD: i64 = 3;
  export const EXP: i64 = 4;
  export const NBF: i64 = 5;
  export const IAT: i64 = 6;
  export const CTI: i64 = 7;
  export const CNF: i64 = 8;
  export const UEID: i64 = 256;

  export const SCOPE: i64 = -70000;
  export const POLICIES: i64 = -70001;
  export const PARENT: i64 = -70002;
  export const DEPTH: i64 = -70003;
  export const MAX_DEPTH: i64 = -70004;
  export const VALIDATION: i64 = -70005;
  export const GOVERNANCE: i64 = -70006;
  export const ATTRIBUTION: i64 = -70007;
  export const STATUS_INDEX: i64 = -70008;
  export const AUDIENCE: i64 = -70009;
  export const DECISION: i64 = -70010;

  export const CHARTER_NUMBER: i64 = -70100;
  export const CHARTER_PREDECESSOR: i64 = -70101;
  export const CHARTER_KEYSETS: i64 = -70102;
  export const CHARTER_BOUNDS: i64 = -70103;

  export const SNAPSHOT_CHARTER: i64 = -70200;
  export const SNAPSHOT_VERSION: i64 = -70201;
  export const SNAPSHOT_EPOCH: i64 = -70202;
  export const SNAPSHOT_FREEZE: i64 = -70203;
  export const SNAPSHOT_DECISION: i64 = -70204;
  export const SNAPSHOT_POLICIES: i64 = -70205;
  export const SNAPSHOT_STATUS: i64 = -70206;

  export const PROOF_REQUEST: i64 = -70300;

  export const NODE_PUBLIC: i64 = -70400;
  export const NODE_NAME: i64 = -70401;
  export const NODE_QUALIFIED: i64 = -70402;
  export const NODE_EK_CERTIFICATE: i64 = -70403;
  export const NODE_LABELS: i64 = -70404;
  export const NODE_COUNTERS: i64 = -70405;
  export const NODE_LOG_KEY: i64 = -70406;
  export const NODE_NV_INDEX: i64 = -70407;
  export const NODE_STATUS_INDEX: i64 = -70408;

  export const POLICY_NAME: i64 = -70500;
  export const POLICY_VERSION: i64 = -70501;
  export const POLICY_PCRS: i64 = -70502;
  export const POLICY_EVENT_LOG: i64 = -70503;
  export const POLICY_IMA: i64 = -70504;
  export const POLICY_FIRMWARE: i64 = -70505;

  export const RESULT_REQUEST: i64 = -70600;
  export const RESULT_EVIDENCE: i64 = -70601;
  export const RESULT_ALLOW: i64 = -70602;
}

/** Judged locally, or by the plane too. */
export const enum Decision {
  LOCAL,
  PLANE,
}

/** A UEID, RFC 9711 §4.2.1.1. */
export function readUeid(r: Reader): Span {
  return r.bytes(7, 33);
}

/** A TPM Name: a hash algorithm (two bytes) and its digest. */
export function readName(r: Reader): Span {
  const name = r.bytes(22, 66);
  const length = lenOf(name);
  r.require(length == 22 || length == 34 || length == 50 || length == 66);
  return name;
}

/** A list of identifiers; sorted and distinct. Gives the list as it stands, to be read again. */
export function readLabels(r: Reader): Span {
  const start = r.at;
  const count = r.array(0, limits.labels);
  let last: Span = 0;
  for (let i: u32 = 0; i < count; i++) {
    const label = r.ident();
    r.ascending(last, label);
    last = label;
  }
  return r.since(start);
}

/** Passes over a list of byte strings of the given width; sorted and distinct. */
export function readSorted(r: Reader, least: u32, most: u32, shortest: u32, longest: u32): Span {
  const start = r.at;
  const count = r.array(least, most);
  let last: Span = 0;
  for (let i: u32 = 0; i < count; i++) {
    const item = r.bytes(shortest, longest);
    r.ascending(last, item);
    last = item;
  }
  return r.since(start);
}

/** Passes over a list of distinct identifiers in the author's order. */
export function readNames(r: Reader, least: u32, most: u32): Span {
  const start = r.at;
  const count = r.array(least, most);
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const before = r.at;
    const name = r.ident();
    if (listed(start, before, i, name)) r.fail(Fault.MALFORMED);
  }
  return r.since(start);
}

const AGAIN = changetype<Reader>(memory.data(16, 8));

/** Whether the name stands among the `count` identifiers of the array that begins at `start`. */
function listed(start: usize, end: usize, count: u32, name: Span): bool {
  AGAIN.at = start;
  AGAIN.end = end;
  AGAIN.fault = Fault.NONE;
  AGAIN.array(0, u32.MAX_VALUE);
  for (let i: u32 = 0; i < count; i++) {
    if (compare(AGAIN.ident(), name) == 0) return true;
  }
  return false;
}

const LIST = changetype<Reader>(memory.data(16, 8));

/** Whether a list of identifiers or of byte strings, read before, holds this one. */
export function holds(list: Span, item: Span): bool {
  const r = LIST.open(list);
  const count = r.array(0, u32.MAX_VALUE);
  for (let i: u32 = 0; i < count; i++) {
    const next = r.bytesNext() ? r.bytes(0, u32.MAX_VALUE) : r.ident();
    if (next != 0 && compare(next, item) == 0) return true;
  }
  return false;
}
