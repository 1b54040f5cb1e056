/**
 * ECDSA P-384 by tables, against the plain path, with the additions that random signatures never
 * meet.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, Instance } from "../../support/assembly.ts";
import {
  baseOf,
  fieldOf,
  forge,
  inverse,
  mod,
  orderOf,
  pointAbove,
  reach,
  type Triple,
} from "../../support/weierstrass.ts";

const CURVE = "P-384";
const P384 = 3;
const n = orderOf(CURVE);
const p = fieldOf(CURVE);
const G = baseOf(CURVE).BASE;
const [INVALID, VALID, UNDECIDED] = [0, 1, 2];
const TIERS = [1, 2] as const;
const WINDOWS = [0, 3, 7] as const;
/** Windows of the base point: bits of each, and how many. */
const BASE = { bits: 11n, count: 35n } as const;

/** The kernel's numbers: 30 limbs of 13 bits in four lanes. */
function pack(lanes: readonly (readonly number[])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(240));
  for (const [lane, limbs] of lanes.entries()) {
    for (const [k, limb] of limbs.entries()) {
      view.setInt16((k >> 1) * 16 + lane * 4 + (k & 1) * 2, limb, true);
    }
  }
  return new Uint8Array(view.buffer);
}
function unpack(bytes: Uint8Array, lane: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: 30 }, (_, k) =>
    view.getInt16((k >> 1) * 16 + lane * 4 + (k & 1) * 2, true),
  );
}
const numberOf = (limbs: readonly number[]): bigint =>
  limbs.reduceRight((sum, limb) => sum * 8192n + BigInt(limb), 0n);

describe("field/p384-lanes, simd", () => {
  const R = 2n ** 390n;
  const limbs = (most: number): fc.Arbitrary<number[]> => {
    const limb = fc.oneof(fc.integer({ min: -most, max: most }), fc.constantFrom(-most, most));
    const top = fc.integer({ min: -500, max: 500 });
    return fc
      .tuple(fc.array(limb, { minLength: 29, maxLength: 29 }), top)
      .map(([low, high]) => [...low, high]);
  };
  const four = (most: number): fc.Arbitrary<number[][]> =>
    fc.array(limbs(most), { minLength: 4, maxLength: 4 });

  test("products agree with BigInt in every lane, and come out small", async () => {
    const core = new Instance(await compile("simd", ["assembly/field/p384-lanes.ts"]));
    fc.assert(
      fc.property(four(8192), four(4096), four(12_288), (a, b, c) => {
        core.reset();
        const out = core.room(240);
        const operands = [a, b, c].map((lanes) => core.put(pack(lanes)));
        core.call("mulSub", out, ...operands);
        for (const lane of [0, 1, 2, 3]) {
          const found = unpack(core.get(out, 240), lane);
          const [x = 0n, y = 0n, z = 0n] = [a, b, c].map((lanes) => numberOf(lanes[lane] ?? []));
          expect(mod(numberOf(found) * R, p)).toBe(mod(x * y - z * R, p));
          const value = numberOf(found);
          expect(value < 0n ? -value : value).toBeLessThan((p * 51n) / 100n);
          // What is taken off, a few times p, is seen in the limbs where p has its powers of two.
          expect(Math.max(...found.map(Math.abs))).toBeLessThanOrEqual(4096 + 6 * 2048);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("sig/p384-batch, simd", () => {
  let core: Instance;
  beforeAll(async () => {
    const files = ["sig/ecdsa-items", "sig/p384-batch", "sig/prepared-keys", "sig/ecdsa"];
    const module = await compile(
      "simd",
      files.map((name) => `assembly/${name}.ts`),
    );
    core = new Instance(module);
  });

  function answers(triples: readonly Triple[], tier: 1 | 2): number[] {
    core.reset();
    const slots = triples.map(({ key, digest, signature }, index) => {
      const slot = core.call("enrollKey", P384, core.put(key), tier) >>> 0;
      expect(slot).not.toBe(0xffffffff);
      const table = core.call("tableOf", slot);
      const fields = [table, core.put(digest), digest.length, core.put(signature)];
      core.write(core.call("itemOf", index), new Uint8Array(new Uint32Array(fields).buffer));
      return slot;
    });
    core.call("verifyWideItems", triples.length, WINDOWS[tier]);
    const found = triples.map((_, i) => core.get(core.call("itemOf", i) + 16, 1)[0] ?? -1);
    for (const slot of new Set(slots)) core.call("forgetKey", slot);
    return found;
  }

  const plain = ({ key, digest, signature }: Triple): boolean => {
    core.reset();
    const [k, d, s] = [core.put(key), core.put(digest), core.put(signature)];
    return core.call("verifyPlain", 2, k, d, digest.length, s, signature.length) === 1;
  };

  function valid(d: bigint, u: bigint, v: bigint): Triple {
    const r = mod(G.multiply(mod(u + v * d, n)).toAffine().x, n);
    return forge(CURVE, G.multiply(d), u, v, r);
  }

  test("agrees with the plain path, alone, apart and together", () => {
    const scalar = fc.bigInt({ min: 1n, max: n - 1n });
    const one = fc.record({ d: scalar, u: scalar, v: scalar, wrong: fc.boolean(), at: fc.nat(95) });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 6 }), (members) => {
        const batch = members.map(({ d, u, v, wrong, at }) => {
          const triple = valid(d, u, v);
          if (wrong) triple.signature[at] = (triple.signature[at] ?? 0) ^ 4;
          return triple;
        });
        const expected = batch.map((triple) => (plain(triple) ? VALID : INVALID));
        expect(expected).toEqual(members.map(({ wrong }) => (wrong ? INVALID : VALID)));
        for (const tier of TIERS) expect(answers(batch, tier)).toEqual(expected);
      }),
      { numRuns: 12 },
    );
  });

  test("whole batches of valid signatures, sum after sum: no number grows with the tree", () => {
    const batch = Array.from({ length: 32 }, (_, i) =>
      valid(BigInt(i % 3) + 5n, 3n ** BigInt(200 + i) % n, 7n ** BigInt(120 + i) % n),
    );
    for (let round = 0n; round < 12n; round++) {
      const other = batch.map((_, i) => valid(6n, 5n ** (150n + round) + BigInt(i), 11n + round));
      const members = round === 0n ? batch : other;
      expect(answers(members, 2)).toEqual(members.map(() => VALID));
    }
  });

  test("P = Q, P = -Q and infinity are found, and harm no other signature", () => {
    const good = [valid(5n, 2n ** 300n, 77n), valid(6n, 3n ** 200n, 78n)];
    for (const tier of TIERS) {
      const bits = BigInt(WINDOWS[tier]);
      // The last entry of u·G meets the first digit of v·Q, or the fourth where four entries stand
      // in the lanes: the key's holder makes both the same point, or opposites.
      for (const [together, window] of [
        [true, 0n],
        [false, 3n],
      ] as const) {
        for (const sign of [1n, -1n]) {
          const [u, v] = [2n ** 383n - 2n ** 200n + 3n, 2n ** 383n + 12_345n];
          const top = (BASE.count - 1n) * BASE.bits;
          const met = (((u - 1n) / 2n) >> top) * 2n + 1n;
          const digit = 2n * ((((v - 1n) / 2n) >> (window * bits)) % 2n ** bits) + 1n - 2n ** bits;
          const d = mod(sign * (met << top) * inverse(digit << (window * bits), n), n);
          const bad = valid(d, u, v);
          expect(plain(bad)).toBe(true);
          const [first = bad, second = bad] = good;
          const batch = together ? [first, bad, second, first, second] : [first, bad, second];
          expect(answers(batch, tier)).toEqual(
            batch.map((one) => (one === bad ? UNDECIDED : VALID)),
          );
        }
      }
      for (const r of [1n, p - n, n - 1n]) {
        const infinite = forge(CURVE, G.multiply(9n), mod(-9n * 31n, n), 31n, r);
        expect(plain(infinite)).toBe(false);
        expect(answers([infinite], tier)).toEqual([UNDECIDED]);
        expect(answers([infinite, ...good], tier)).toEqual([UNDECIDED, VALID, VALID]);
        expect(answers([...good, infinite, ...good], tier)).toEqual([
          ...[VALID, VALID, UNDECIDED, VALID, VALID],
        ]);
      }
    }
  });

  test("edges: r + n below p, a digest of zero, r and s out of range, keys at the ends", () => {
    const point = pointAbove(CURVE, n + 1n);
    const wrapped = forge(CURVE, reach(CURVE, point, 4n, 9n), 4n, 9n, point.toAffine().x - n);
    const zero = valid(9n, 0n, 4n);
    for (const tier of TIERS) {
      for (const triple of [wrapped, zero]) {
        expect(plain(triple)).toBe(true);
        expect(answers([triple], tier)).toEqual([UNDECIDED]);
      }
      const triple = valid(7n, 11n, 13n);
      for (const value of [0n, n, 2n ** 384n - 1n]) {
        for (const at of [0, 48]) {
          const signature = triple.signature.slice();
          signature.set(Buffer.from(value.toString(16).padStart(96, "0"), "hex"), at);
          expect(answers([{ ...triple, signature }], tier)).toEqual([INVALID]);
        }
      }
      for (const d of [1n, n - 1n, 2n]) {
        for (const u of [1n, 2n, n - 2n, n >> 1n]) {
          if (mod(u + 3n * d, n) === 0n) continue;
          const [answer] = answers([valid(d, u, 3n)], tier);
          if (answer !== UNDECIDED) expect(answer).toBe(VALID);
        }
      }
    }
  });
});
