/**
 * What is known of bytes that were seen before. Governance, policies and credentials come with
 * every case and seldom change: their digests and signatures need to be computed once.
 *
 * A record holds the bytes themselves, complete, and is found again by nothing less. Its facts are
 * functions of these bytes and of the kind: a digest, and which signatures in them verify (a kid in
 * the bytes fixes the key). Facts are true or absent, whoever sent the bytes and whatever became of
 * that case, so that a record can change how fast an answer comes, and never the answer. A new
 * record takes the place of the one of its set that was asked for the longest time ago.
 */
import { Span, equal, lenOf, ptrOf } from "../abi";
import { HashId, hash } from "../hash/hash";

/** What the bytes are: the same bytes of another kind are another record. */
export const enum Kind {
  /** SHA-256 of the bytes. */
  HASH = 1,
  /** A COSE message: its labelled digest, and a bit for each signer that verifies. */
  MESSAGE,
  /** A public area, an attestation and a signature over it: bit 0 where it verifies. */
  QUOTE,
  /** A job, and its digest. */
  JOB,
  /** The beginning of an evidence, and the state of SHA-256 after it. */
  STATE,
}

@unmanaged
class Kept {
  kind: u32;
  /** Lengths of the parts, whose bytes follow the record one behind another. */
  first: u32;
  second: u32;
  third: u32;
  /** Number of the last use. */
  stamp: u64;
  /** Signatures that verified. */
  bits: u32;
  hasDigest: bool;
}

const DIGEST: usize = 32;
const BYTES: usize = 64;

/** Rooms by size: in sets of four, and few of a size that only charters and policies have. */
const WAYS: u32 = 4;
const SMALL_SETS: u32 = 512;
const SMALL_BYTES: u32 = 2048;
const SMALL = memory.data(512 * 4 * 2048, 16);
const MIDDLE_SETS: u32 = 4;
const MIDDLE_BYTES: u32 = 65536;
const MIDDLE = memory.data(4 * 4 * 65536, 16);
const LARGE_BYTES: u32 = 4194304 + 65536;
const LARGE_WAYS: u32 = 2;
const LARGE = memory.data(2 * (4194304 + 65536), 16);

let stamp: u64 = 0;

/** The record asked for last, 0 where the bytes are too many to keep. */
let found: usize = 0;

// @ts-ignore: decorator
@inline
function kept(): Kept {
  return changetype<Kept>(found);
}

/**
 * Spreads the bytes over the sets by their length and their last bytes, where signatures stand.
 * Who makes sets collide makes answers slow, not wrong.
 */
function spread(kind: u32, bytes: Span): u32 {
  let mixed: u64 = (<u64>kind << 32) ^ <u64>lenOf(bytes);
  const end = ptrOf(bytes) + lenOf(bytes);
  for (let at: usize = 8; at <= min<u32>(lenOf(bytes), 40); at += 8) {
    mixed = (mixed ^ load<u64>(end - at)) * 0x9e3779b97f4a7c15;
    mixed ^= mixed >> 29;
  }
  return <u32>(mixed >> 32);
}

function holds(record: usize, kind: u32, first: Span, second: Span, third: Span): bool {
  const k = changetype<Kept>(record);
  if (k.kind != kind || k.first != lenOf(first)) return false;
  if (k.second != lenOf(second) || k.third != lenOf(third)) return false;
  const at = record + BYTES;
  if (!equal(at, ptrOf(first), lenOf(first))) return false;
  const behind = at + lenOf(first);
  if (!equal(behind, ptrOf(second), lenOf(second))) return false;
  return equal(behind + lenOf(second), ptrOf(third), lenOf(third));
}

/** Asks for the record of these bytes, which is empty where they are new. */
export function ask(kind: Kind, first: Span, second: Span = 0, third: Span = 0): void {
  const length = <u32>BYTES + lenOf(first) + lenOf(second) + lenOf(third);
  const last = third != 0 ? third : first;
  let set: usize = LARGE;
  let size = LARGE_BYTES;
  let ways = LARGE_WAYS;
  if (length <= SMALL_BYTES) {
    size = SMALL_BYTES;
    ways = WAYS;
    set = SMALL + <usize>((spread(kind, last) & (SMALL_SETS - 1)) * WAYS * size);
  } else if (length <= MIDDLE_BYTES) {
    size = MIDDLE_BYTES;
    ways = WAYS;
    set = MIDDLE + <usize>((spread(kind, last) & (MIDDLE_SETS - 1)) * WAYS * size);
  } else if (length > LARGE_BYTES) {
    found = 0;
    return;
  }
  let oldest = set;
  for (let way: u32 = 0; way < ways; way++) {
    found = set + <usize>(way * size);
    if (holds(found, kind, first, second, third)) {
      kept().stamp = ++stamp;
      return;
    }
    if (kept().stamp < changetype<Kept>(oldest).stamp) oldest = found;
  }
  found = oldest;
  fill(kind, first, second, third);
}

function fill(kind: u32, first: Span, second: Span, third: Span): void {
  const k = kept();
  k.kind = kind;
  k.first = lenOf(first);
  k.second = lenOf(second);
  k.third = lenOf(third);
  k.stamp = ++stamp;
  k.bits = 0;
  k.hasDigest = false;
  const at = found + BYTES;
  memory.copy(at, ptrOf(first), lenOf(first));
  memory.copy(at + lenOf(first), ptrOf(second), lenOf(second));
  memory.copy(at + lenOf(first) + lenOf(second), ptrOf(third), lenOf(third));
}

/** Writes the digest of the bytes asked for last, if it is known. */
export function readDigest(to: usize): bool {
  if (found == 0 || !kept().hasDigest) return false;
  memory.copy(to, found + DIGEST, 32);
  return true;
}

/** Keeps the digest of the bytes asked for last. */
export function keepDigest(digest: usize): void {
  if (found == 0) return;
  memory.copy(found + DIGEST, digest, 32);
  kept().hasDigest = true;
}

/** Whether this signature in the bytes asked for last has verified before. */
export function hasVerified(place: u32): bool {
  return found != 0 && ((kept().bits >> place) & 1) != 0;
}

/** Keeps that this signature in the bytes asked for last has just verified. */
export function keepVerified(place: u32): void {
  if (found != 0) kept().bits |= (<u32>1) << place;
}

/** Writes the hash of the bytes: if it is SHA-256, as kept or anew. */
export function hashKept(id: u32, bytes: Span, to: usize): void {
  const isKept = id == <u32>HashId.SHA256;
  if (isKept) ask(Kind.HASH, bytes);
  if (isKept && readDigest(to)) return;
  hash(id, ptrOf(bytes), lenOf(bytes), to);
  if (isKept) keepDigest(to);
}
