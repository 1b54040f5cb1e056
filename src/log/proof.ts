/**
 * Inclusion and consistency proofs: made as RFC 6962 §2.1.1 and §2.1.2 define them, verified by the
 * algorithms of RFC 9162 §2.1.3.2 and §2.1.4.2. Making one reads every leaf hash of the tree.
 */
import { LogError } from "./error.ts";
import { append, EMPTY_FRONTIER, EMPTY_ROOT, HASH_BYTES, nodeHash, rootOf } from "./merkle.ts";

/** MTH(D[from:to]) from the leaves' hashes. */
function subtreeRoot(hashes: readonly Uint8Array[]): Uint8Array {
  return rootOf(hashes.reduce(append, EMPTY_FRONTIER));
}

/** The largest power of two below n, for n > 1. */
function splitOf(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** PATH(m, D[n]), RFC 6962 §2.1.1: from the leaf's sibling to the root's child. */
export function inclusionProof(hashes: readonly Uint8Array[], index: number): Uint8Array[] {
  requireWithin(index, hashes.length - 1, "leaf index");
  if (hashes.length === 1) return [];
  const k = splitOf(hashes.length);
  const [left, right] = [hashes.slice(0, k), hashes.slice(k)];
  return index < k
    ? [...inclusionProof(left, index), subtreeRoot(right)]
    : [...inclusionProof(right, index - k), subtreeRoot(left)];
}

/**
 * PROOF(m, D[n]), RFC 6962 §2.1.2, that the first `size` leaves are a prefix; empty for size 0 and
 * n.
 */
export function consistencyProof(hashes: readonly Uint8Array[], size: number): Uint8Array[] {
  requireWithin(size, hashes.length, "older size");
  return size === 0 ? [] : subproof(hashes, size, true);
}

/**
 * SUBPROOF(m, D[n], b): `known` (b) while the verifier has the root of these very leaves already.
 */
function subproof(hashes: readonly Uint8Array[], size: number, known: boolean): Uint8Array[] {
  if (size === hashes.length) return known ? [] : [subtreeRoot(hashes)];
  const k = splitOf(hashes.length);
  const [left, right] = [hashes.slice(0, k), hashes.slice(k)];
  return size <= k
    ? [...subproof(left, size, known), subtreeRoot(right)]
    : [...subproof(right, size - k, false), subtreeRoot(left)];
}

export interface Inclusion {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  readonly proof: readonly Uint8Array[];
  readonly root: Uint8Array;
}

/**
 * Throws LogError `log.proof` unless the leaf stands at `index` in the tree with that size and
 * root.
 */
export function verifyInclusion(inclusion: Inclusion): void {
  const { index, size, proof } = inclusion;
  requireHashes([inclusion.leafHash, inclusion.root, ...proof]);
  requireWithin(size, Number.MAX_SAFE_INTEGER, "size");
  requireWithin(index, size - 1, "leaf index");
  let [fn, sn, r] = [index, size - 1, inclusion.leafHash];
  for (const p of proof) {
    if (sn === 0) throw new LogError("log.proof", "The inclusion proof is too long.");
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(p, r);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      r = nodeHash(r, p);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw new LogError("log.proof", "The inclusion proof is too short.");
  requireRoot(r, inclusion.root, "inclusion");
}

export interface Consistency {
  readonly size1: number;
  readonly size2: number;
  readonly root1: Uint8Array;
  readonly root2: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/**
 * Throws LogError `log.proof` unless the tree of size1 and root1 is a prefix of that of size2 and
 * root2.
 */
export function verifyConsistency(consistency: Consistency): void {
  const { size1, size2, root1, root2 } = consistency;
  requireHashes([root1, root2, ...consistency.proof]);
  requireWithin(size2, Number.MAX_SAFE_INTEGER, "size");
  requireWithin(size1, size2, "older size");
  if (size1 === 0 || size1 === size2) {
    if (consistency.proof.length > 0) {
      throw new LogError("log.proof", "The consistency proof is too long.");
    }
    requireRoot(root1, size1 === 0 ? EMPTY_ROOT : root2, "consistency");
    return;
  }
  // A tree that is itself a perfect subtree of the newer one is not repeated in the proof.
  const power = size1 === splitOf(size1 + 1);
  const [first, ...rest] = power ? [root1, ...consistency.proof] : consistency.proof;
  if (first === undefined) throw new LogError("log.proof", "The consistency proof is too short.");
  let [fn, sn] = [size1 - 1, size2 - 1];
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)];
  let [fr, sr] = [first, first];
  for (const c of rest) {
    if (sn === 0) throw new LogError("log.proof", "The consistency proof is too long.");
    if (fn % 2 === 1 || fn === sn) {
      [fr, sr] = [nodeHash(c, fr), nodeHash(c, sr)];
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      sr = nodeHash(sr, c);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  if (sn !== 0) throw new LogError("log.proof", "The consistency proof is too short.");
  requireRoot(fr, root1, "consistency");
  requireRoot(sr, root2, "consistency");
}

const half = (n: number): number => Math.floor(n / 2);

/** Also what is only compared: two empty strings are equal, and prove nothing. */
function requireHashes(hashes: readonly Uint8Array[]): void {
  if (hashes.every((hash) => hash.length === HASH_BYTES)) return;
  throw new LogError("log.proof", "A hash in the proof has not 32 bytes.");
}

function requireWithin(value: number, max: number, what: string): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return;
  throw new LogError("log.proof", `The ${what} is ${value}, not an integer from 0 to ${max}.`);
}

function requireRoot(computed: Uint8Array, root: Uint8Array, what: string): void {
  if (Buffer.compare(computed, root) === 0) return;
  throw new LogError("log.proof", `The ${what} proof gives another root.`);
}
