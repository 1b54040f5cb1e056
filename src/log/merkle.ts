/**
 * The Merkle tree of RFC 6962 §2.1 over SHA-256, and the state that appends a leaf in O(log n).
 * Sizes are integers below 2^53, so arithmetic divides instead of shifting.
 */
import { sha256 } from "../wire/digests.ts";
import { LogError } from "./error.ts";

export const HASH_BYTES = 32;
// RFC 6962 §2.1: the prefixes keep a leaf from passing as a node.
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** MTH({}) = SHA-256(). */
export const EMPTY_ROOT = sha256(new Uint8Array(0));

export function leafHash(bytes: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([LEAF, bytes]));
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([NODE, left, right]));
}

/** The roots of the perfect subtrees that a tree of `size` leaves consists of, largest first. */
export interface Frontier {
  readonly size: number;
  readonly roots: readonly Uint8Array[];
}

export const EMPTY_FRONTIER: Frontier = { size: 0, roots: [] };

/** The frontier with one more leaf. */
export function append(frontier: Frontier, leaf: Uint8Array): Frontier {
  const roots = [...frontier.roots];
  let root = leaf;
  // Each trailing 1 bit of the size is a perfect subtree that the new leaf completes to one twice
  // as large.
  for (let size = frontier.size; size % 2 === 1; size = Math.floor(size / 2)) {
    const left = roots.pop();
    if (left === undefined) throw new LogError("log.malformed", "The frontier lacks a subtree.");
    root = nodeHash(left, root);
  }
  return { size: frontier.size + 1, roots: [...roots, root] };
}

export function rootOf(frontier: Frontier): Uint8Array {
  return (
    frontier.roots.reduceRight<Uint8Array | null>(
      (right, left) => (right === null ? left : nodeHash(left, right)),
      null,
    ) ?? EMPTY_ROOT
  );
}

export function encodeFrontier(frontier: Frontier): Uint8Array {
  return Buffer.concat(frontier.roots);
}

/**
 * Inverse of encodeFrontier. Throws LogError `log.malformed` where the bytes do not fit the size.
 */
export function parseFrontier(size: number, bytes: Uint8Array): Frontier {
  let count = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  if (bytes.length !== count * HASH_BYTES) {
    throw new LogError(
      "log.malformed",
      `The state of a log of ${size} leaves has ${bytes.length} bytes, not ${count * HASH_BYTES}.`,
    );
  }
  const at = (place: number): number => place * HASH_BYTES;
  const roots = Array.from({ length: count }, (_, i) =>
    Uint8Array.from(bytes.subarray(at(i), at(i + 1))),
  );
  return { size, roots };
}
