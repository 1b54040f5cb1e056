/** Long multiplication spread over the lanes, against BigInt, at the bounds that it relies on. */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, Instance } from "../../support/assembly.ts";

/** The most that a limb has: 4,096, and 33 of a carry. */
const MOST = 4096 + 33;
const mod = (value: bigint, n: bigint): bigint => ((value % n) + n) % n;

/** A number's place in memory: a quarter a lane, pairs of limbs in each. */
const placeOf = (limbs: number, k: number): number => {
  const i = k % (limbs / 4);
  return (i >> 1) * 16 + Math.floor(k / (limbs / 4)) * 4 + (i & 1) * 2;
};

function pack(limbs: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(limbs.length * 2));
  for (const [k, limb] of limbs.entries()) view.setInt16(placeOf(limbs.length, k), limb, true);
  return new Uint8Array(view.buffer);
}

function unpack(bytes: Uint8Array, count: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: count }, (_, k) => view.getInt16(placeOf(count, k), true));
}

const numberOf = (limbs: readonly number[]): bigint =>
  limbs.reduceRight((sum, limb) => sum * 8192n + BigInt(limb), 0n);

/** Balanced limbs of a number that fits. */
function balanced(value: bigint, count: number): number[] {
  let left = value;
  return Array.from({ length: count }, () => {
    const limb = Number(((left + 4096n) & 8191n) - 4096n);
    left = (left - BigInt(limb)) >> 13n;
    return limb;
  });
}

/** 2^-bits modulo an odd n. */
function halved(bits: number, n: bigint): bigint {
  let value = 1n;
  for (let i = 0; i < bits; i++) value = (value & 1n ? value + n : value) >> 1n;
  return value;
}

describe("field/long-lanes, simd", () => {
  let core: Instance;
  beforeAll(async () => {
    core = new Instance(await compile("simd", ["assembly/field/long-lanes.ts"]));
  });

  /** Loose numbers as large as they come: two limbs of the topmost three are left to n's length. */
  const operand = (count: number): fc.Arbitrary<number[]> => {
    const random = fc.integer({ min: -MOST, max: MOST });
    const low = fc.oneof(
      fc.array(random, { minLength: count - 1, maxLength: count - 1, size: "max" }),
      fc.constantFrom(MOST, -MOST).map((limb) => Array(count - 1).fill(limb)),
    );
    return low.map((limbs) => [...limbs, 0]);
  };

  test.each([160, 200, 240, 280, 320])("%i limbs: products, squares, and their bounds", (count) => {
    const bits = 13 * count - 27;
    const high = fc.bigInt({ min: 0n, max: 2n ** BigInt(bits - 1) - 1n });
    // All ones make every limb of n the same small number, and 2^-k mod n likewise extreme.
    const modulus = fc
      .oneof(high, fc.constantFrom(0n, 2n ** BigInt(bits - 1) - 1n))
      .map((value) => 2n ** BigInt(bits - 1) + (value | 1n));
    const property = fc.property(modulus, operand(count), operand(count), (n, a, b) => {
      core.reset();
      const put = (limbs: readonly number[]): number => core.put(pack(limbs));
      const [far, near] = [130, 26].map((k) => put(balanced(halved(k, n), count)));
      core.call("useModulus", count, far ?? 0, near ?? 0);
      const [atA, atB, out] = [put(a), put(b), core.room(640)];
      const R = 1n << BigInt(13 * count);
      const holds = (x: bigint, y: bigint): void => {
        const limbs = unpack(core.get(out, 2 * count), count);
        expect(mod(numberOf(limbs) * R - x * y, n)).toBe(0n);
        expect(limbs.every((limb) => Math.abs(limb) <= MOST)).toBe(true);
        const value = numberOf(limbs);
        expect((value < 0n ? -value : value) < n << 26n).toBe(true);
      };
      const [x, y] = [numberOf(a), numberOf(b)];
      core.call("mulLong", out, atA, atB);
      holds(x, y);
      core.call("squareLong", out, atA);
      holds(x, x);
      core.call("mulLong", atB, atA, atB);
      expect(core.get(atA, 2 * count)).toEqual(pack(a));
      core.call("squareLong", atA, atA);
      expect(core.get(atA, 2 * count)).toEqual(core.get(out, 2 * count));
    });
    fc.assert(property, { numRuns: 25 });
  });
});
