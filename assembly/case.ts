/**
 * The case: [1, context, evidence, result], and the digests over its parts. A case that is not
 * well-formed as a whole is the host's fault, or was cut: nothing in it is judged.
 */
import { Span, lenOf, ptrOf, span } from "./abi";
import {
  Fault,
  READER_BYTES,
  Reader,
  writeArray,
  writeAscii,
  writeBytes,
  writeBytesOrNull,
  writeText,
  writeUint,
} from "./codec/cbor";
import { Kind, ask, keepDigest, readDigest } from "./cose/kept";
import * as context from "./context";
import { readContext } from "./context";
import * as evidence from "./evidence";
import { readEvidence } from "./evidence";
import {
  HASH_CONTEXT_BYTES,
  HashId,
  begin,
  beginFrom,
  finish,
  hash,
  saveState,
  update,
} from "./hash/hash";

const VERSION: u64 = 1;

/** The plane's signed result, or 0. */
export let result: Span = 0;

export const JOB_DIGEST: usize = memory.data(32, 8);
export const EVIDENCE_DIGEST: usize = memory.data(32, 8);
export const REQUEST_DIGEST: usize = memory.data(32, 8);

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));
const CONTEXT = memory.data(HASH_CONTEXT_BYTES, 16);
const STATE = memory.data(32, 8);
const SCRATCH = memory.data(1024, 8);

/** Reads the case and forms its digests; false where it is not well-formed. */
export function openCase(bytes: Span): bool {
  if (!readCase(bytes)) return false;
  digestEvidence();
  ask(Kind.JOB, evidence.job);
  if (readDigest(JOB_DIGEST)) return true;
  digestOf("portcullis-job", evidence.job, JOB_DIGEST);
  keepDigest(JOB_DIGEST);
  return true;
}

/** Reads the case alone. */
export function readCase(bytes: Span): bool {
  const r = MAIN.open(bytes);
  r.array(4, 4);
  r.require(r.uint() == VERSION);
  readContext(r);
  readEvidence(r);
  result = r.nullable() ? 0 : r.bytes(0, u32.MAX_VALUE);
  return r.close() == Fault.NONE;
}

/**
 * SHA-256(["portcullis-evidence", evidence]). Governance stands at its beginning and seldom changes:
 * the state after the blocks that hold nothing else is kept.
 */
function digestEvidence(): void {
  const head = <u32>(writeAscii(writeArray(SCRATCH, 2), "portcullis-evidence") - SCRATCH);
  const start = ptrOf(evidence.whole);
  const governance = <u32>(ptrOf(evidence.status) + lenOf(evidence.status) - start);
  const blocks = (head + governance) & ~63;
  const prefix = blocks < head ? 0 : blocks - head;
  ask(Kind.STATE, span(start, prefix));
  if (prefix != 0 && readDigest(STATE)) {
    beginFrom(CONTEXT, STATE, blocks);
  } else {
    begin(HashId.SHA256, CONTEXT);
    update(CONTEXT, SCRATCH, head);
    update(CONTEXT, start, prefix);
    if (prefix != 0) {
      saveState(CONTEXT, STATE);
      keepDigest(STATE);
    }
  }
  update(CONTEXT, start + prefix, lenOf(evidence.whole) - prefix);
  finish(CONTEXT, EVIDENCE_DIGEST);
}

/** SHA-256([label, item]), the item in its own encoding. */
function digestOf(label: string, item: Span, to: usize): void {
  begin(HashId.SHA256, CONTEXT);
  update(CONTEXT, SCRATCH, <u32>(writeAscii(writeArray(SCRATCH, 2), label) - SCRATCH));
  update(CONTEXT, ptrOf(item), lenOf(item));
  finish(CONTEXT, to);
}

/**
 * The request digest: it binds purpose, domain, node, both nonces, job, chain and snapshot, so that
 * a quote or a proof over it serves no other node, job, authorization or moment.
 */
export function computeRequest(domain: Span, chainDigest: usize, snapshotDigest: usize): void {
  let at = writeAscii(writeArray(SCRATCH, 10), "portcullis-request/1");
  at = writeUint(at, evidence.purpose);
  at = writeText(at, domain);
  at = writeBytes(at, context.akName);
  at = writeBytes(at, evidence.gateNonce);
  at = writeBytesOrNull(at, evidence.planeNonce);
  at = writeBytes(at, span(JOB_DIGEST, 32));
  at = writeBytes(at, span(chainDigest, 32));
  at = writeBytes(at, span(snapshotDigest, 32));
  at = writeBytesOrNull(at, evidence.runId);
  hash(HashId.SHA256, SCRATCH, <u32>(at - SCRATCH), REQUEST_DIGEST);
}
