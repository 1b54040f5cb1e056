/**
 * The evidence: everything that comes from outside, untrusted. Read here for its outer form alone;
 * each family judges its own part, so that a damaged part is named for what it is.
 */
import { Span } from "./abi";
import { Reader, keyOrder } from "./codec/cbor";
import { limits } from "./generated";

/** Evidence items are typed; this version knows one. */
const TPM2: u64 = 1;
const ANY: u32 = u32.MAX_VALUE;

/** The evidence as it stands, for its digest. */
export let whole: Span = 0;
export let charters: Span = 0;
export let snapshot: Span = 0;
export let status: Span = 0;
export let elements: Span = 0;
export let proof: Span = 0;
export let node: Span = 0;
export let job: Span = 0;
export let policies: Span = 0;
export let attest: Span = 0;
export let signature: Span = 0;
export let pathIndex: u64 = 0;
export let pathSize: u64 = 0;
/** The audit path, a list of digests. */
export let path: Span = 0;
/** The PCR values, a list in the order of the signed selection. */
export let values: Span = 0;
export let eventLog: Span = 0;
export let ima: Span = 0;
export let purpose: u32 = 0;
export let runId: Span = 0;
export let gateNonce: Span = 0;
export let planeNonce: Span = 0;

function readList(r: Reader, least: u32, most: u32): Span {
  const start = r.at;
  const count = r.array(least, most);
  for (let i: u32 = 0; i < count; i++) r.bytes(0, ANY);
  return r.since(start);
}

function readBytesOrNull(r: Reader): Span {
  return r.nullable() ? 0 : r.bytes(0, ANY);
}

function readDigestOrNull(r: Reader): Span {
  return r.nullable() ? 0 : r.digest();
}

function readTpm(r: Reader): void {
  r.array(5, 5);
  r.require(r.uint() == TPM2);
  r.array(5, 5);
  attest = r.bytes(0, ANY);
  signature = r.bytes(0, ANY);
  pathIndex = r.uint();
  pathSize = r.uint();
  const start = r.at;
  const count = r.array(0, limits.pathHashes);
  for (let i: u32 = 0; i < count; i++) r.digest();
  path = r.since(start);
  values = readList(r, 0, 16 * 24);
  eventLog = readBytesOrNull(r);
  ima = readBytesOrNull(r);
}

/** Reads the evidence; faults stay in the reader. */
export function readEvidence(r: Reader): void {
  const start = r.at;
  r.map(13, 13);
  let order: u64 = 0;
  for (let i: i64 = 1; i <= 13; i++) {
    const key = r.key(order);
    order = keyOrder(key);
    r.require(key == i);
    switch (<u32>i) {
      case 1: charters = readList(r, 0, limits.charters); break;
      case 2: snapshot = r.bytes(0, ANY); break;
      case 3: status = r.bytes(0, ANY); break;
      case 4: elements = readList(r, 0, limits.elements); break;
      case 5: proof = readBytesOrNull(r); break;
      case 6: node = r.bytes(0, ANY); break;
      case 7: job = r.bytes(0, ANY); break;
      case 8: policies = readList(r, 0, limits.policies); break;
      case 9: readTpm(r); break;
      case 10: purpose = <u32>r.uint(1); break;
      case 11: runId = readDigestOrNull(r); break;
      case 12: gateNonce = r.digest(); break;
      default: planeNonce = readDigestOrNull(r);
    }
  }
  whole = r.since(start);
}
