import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  append,
  EMPTY_FRONTIER,
  EMPTY_ROOT,
  encodeFrontier,
  leafHash,
  parseFrontier,
  rootOf,
} from "../../../src/log/merkle.ts";
import {
  consistencyProof,
  inclusionProof,
  verifyConsistency,
  verifyInclusion,
} from "../../../src/log/proof.ts";

/** RFC 6962 §2.1 word for word, over another SHA-256. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const sha256 = (...parts: Uint8Array[]) =>
    new Uint8Array(createHash("sha256").update(Buffer.concat(parts)).digest());
  const [only] = leaves;
  if (only === undefined) return sha256();
  if (leaves.length === 1) return sha256(Uint8Array.of(0), only);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha256(Uint8Array.of(1), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

const leavesOf = (size: number) => Array.from({ length: size }, (_, i) => Buffer.from(`leaf ${i}`));
const hashesOf = (size: number) => leavesOf(size).map(leafHash);
const failing = expect.objectContaining({ name: "LogError", code: "log.proof" });

describe("the tree", () => {
  test("has the naive tree's root at every size up to 130", () => {
    let frontier = EMPTY_FRONTIER;
    expect(rootOf(frontier)).toEqual(naiveRoot([]));
    for (const [index, hash] of hashesOf(130).entries()) {
      frontier = append(frontier, hash);
      expect(rootOf(frontier)).toEqual(naiveRoot(leavesOf(index + 1)));
      expect(parseFrontier(index + 1, encodeFrontier(frontier))).toEqual(frontier);
    }
  });

  test("a frontier of another size is refused", () => {
    const frontier = hashesOf(6).reduce(append, EMPTY_FRONTIER);
    const bytes = encodeFrontier(frontier);
    for (const size of [0, 4, 7]) {
      expect(() => parseFrontier(size, bytes)).toThrow(/bytes, not/);
    }
    expect(() => parseFrontier(6, bytes.subarray(1))).toThrow(/63 bytes, not 64/);
  });

  test("a leaf cannot pass as a node: the prefixes differ", () => {
    const [left, right] = hashesOf(2);
    expect(leafHash(Buffer.concat([left ?? EMPTY_ROOT, right ?? EMPTY_ROOT]))).not.toEqual(
      naiveRoot(leavesOf(2)),
    );
  });
});

const sizes = fc.integer({ min: 1, max: 70 });

describe("inclusion proofs", () => {
  test("hold for every leaf of every tree up to 40", () => {
    for (let size = 1; size <= 40; size++) {
      const hashes = hashesOf(size);
      const root = naiveRoot(leavesOf(size));
      for (const [index, hash] of hashes.entries()) {
        const proof = inclusionProof(hashes, index);
        verifyInclusion({ index, size, leafHash: hash, proof, root });
      }
    }
  });

  test("hold for no other index, size, leaf, root, order or length", () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat(), (size, at, other) => {
        const hashes = hashesOf(size);
        const index = at % size;
        const [hash] = hashes.slice(index);
        const proof = inclusionProof(hashes, index);
        const good = {
          index,
          size,
          leafHash: hash ?? EMPTY_ROOT,
          proof,
          root: naiveRoot(leavesOf(size)),
        };
        verifyInclusion(good);
        const bad = [
          { ...good, index: index + 1 },
          { ...good, index: index - 1 },
          { ...good, root: EMPTY_ROOT },
          { ...good, leafHash: EMPTY_ROOT },
          { ...good, proof: [...proof, EMPTY_ROOT] },
          ...proof.map((_, i) => ({ ...good, proof: proof.toSpliced(i, 1) })),
          ...proof.map((_, i) => ({
            ...good,
            proof: proof.with(i, leafHash(Buffer.of(other % 256))),
          })),
        ];
        for (const change of bad) expect(() => verifyInclusion(change)).toThrow(failing);
      }),
      { numRuns: 80 },
    );
  });

  test("indexes and sizes out of range are refused", () => {
    const hashes = hashesOf(3);
    const [leaf = EMPTY_ROOT] = hashes;
    const root = naiveRoot(leavesOf(3));
    for (const [index, size] of [
      [3, 3],
      [-1, 3],
      [0.5, 3],
      [0, 0],
      [0, 2 ** 53],
    ] as const) {
      expect(() => verifyInclusion({ index, size, leafHash: leaf, proof: [], root })).toThrow(
        failing,
      );
    }
    expect(() => inclusionProof(hashes, 3)).toThrow(failing);
    expect(() => inclusionProof([], 0)).toThrow(failing);
  });
});

describe("consistency proofs", () => {
  test("hold between every two sizes up to 40", () => {
    for (let size2 = 0; size2 <= 40; size2++) {
      const hashes = hashesOf(size2);
      const root2 = naiveRoot(leavesOf(size2));
      for (let size1 = 0; size1 <= size2; size1++) {
        const proof = consistencyProof(hashes, size1);
        verifyConsistency({ size1, size2, root1: naiveRoot(leavesOf(size1)), root2, proof });
      }
    }
  });

  test("hold for no other history, root, order or length", () => {
    fc.assert(
      fc.property(sizes, fc.nat(), (size2, at) => {
        const size1 = 1 + (at % size2);
        const hashes = hashesOf(size2);
        const proof = consistencyProof(hashes, size1);
        const root1 = naiveRoot(leavesOf(size1));
        const root2 = naiveRoot(leavesOf(size2));
        const good = { size1, size2, root1, root2, proof };
        verifyConsistency(good);
        const forked = naiveRoot(leavesOf(size1).with(0, Buffer.from("another first leaf")));
        const bad = [
          { ...good, root1: forked },
          { ...good, root2: forked },
          { ...good, root1: forked, root2: size1 === size2 ? root1 : forked },
          { ...good, proof: [...proof, EMPTY_ROOT] },
          { ...good, size1: size2 + 1 },
          ...proof.map((_, i) => ({ ...good, proof: proof.toSpliced(i, 1) })),
          ...proof.map((_, i) => ({ ...good, proof: proof.with(i, EMPTY_ROOT) })),
        ];
        for (const change of bad) expect(() => verifyConsistency(change)).toThrow(failing);
      }),
      { numRuns: 80 },
    );
  });

  test("everything extends the empty log, but only the true empty root", () => {
    const root2 = naiveRoot(leavesOf(5));
    verifyConsistency({ size1: 0, size2: 5, root1: EMPTY_ROOT, root2, proof: [] });
    const wrong = { size1: 0, size2: 5, root1: root2, root2, proof: [] };
    expect(() => verifyConsistency(wrong)).toThrow(failing);
  });
});
