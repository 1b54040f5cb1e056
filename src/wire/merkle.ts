/**
 * The RFC 6962 §2.1 Merkle tree over request digests that lets one quote serve many requests: its
 * root is the quote's qualifyingData. (The audit log has its own tree, in src/log.)
 */
import { hash } from "node:crypto";
import { LIMITS } from "../limits.ts";
import { WireError } from "./error.ts";

const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(hash("sha256", Buffer.concat(parts), "buffer"));
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The place of one request in a tree of `size`: `path` from the leaf's sibling up. */
export interface AuditPath {
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
}

const leafHash = (request: Uint8Array): Uint8Array => sha256(LEAF, request);
const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(NODE, left, right);

/** The largest power of two below n, for n > 1. */
const split = (n: number): number => 2 ** (31 - Math.clz32(n - 1));

/** The root over these request digests, at least one and at most 65,536. */
export function merkleRoot(requests: readonly Uint8Array[]): Uint8Array {
  const [only] = requests;
  if (only === undefined || requests.length > 2 ** LIMITS.pathHashes) {
    throw new WireError("wire.shape", `a quote serves 1 to ${2 ** LIMITS.pathHashes} requests`);
  }
  if (requests.length === 1) return leafHash(only);
  const k = split(requests.length);
  return nodeHash(merkleRoot(requests.slice(0, k)), merkleRoot(requests.slice(k)));
}

/** The audit path of one of these requests (RFC 6962 §2.1.1). */
export function auditPath(requests: readonly Uint8Array[], index: number): AuditPath {
  if (!Number.isInteger(index) || index < 0 || index >= requests.length) {
    throw new WireError("wire.shape", `no request ${index} among ${requests.length}`);
  }
  return { index, size: requests.length, path: siblings(requests, index) };
}

function siblings(requests: readonly Uint8Array[], index: number): Uint8Array[] {
  if (requests.length === 1) return [];
  const k = split(requests.length);
  const [left, right] = [requests.slice(0, k), requests.slice(k)];
  return index < k
    ? [...siblings(left, index), merkleRoot(right)]
    : [...siblings(right, index - k), merkleRoot(left)];
}

/**
 * The root that a request and its audit path lead to, null where the path has another length than
 * its place asks.
 */
export function rootOf(request: Uint8Array, { index, size, path }: AuditPath): Uint8Array | null {
  if (index < 0 || index >= size) return null;
  let root = leafHash(request);
  let place = index;
  let last = size - 1;
  for (const sibling of path) {
    if (last === 0) return null;
    if (place % 2 === 1 || place === last) {
      root = nodeHash(sibling, root);
      // RFC 9162 §2.1.3.2: a last node without a right sibling rises until it has a left one.
      while (place % 2 === 0 && place !== 0) {
        place = Math.floor(place / 2);
        last = Math.floor(last / 2);
      }
    } else {
      root = nodeHash(root, sibling);
    }
    place = Math.floor(place / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? root : null;
}
