/**
 * Batches of crafted digests: the additions that random signatures never meet (P = Q, P = -Q,
 * infinity, r + n < p).
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

const CURVE = "P-256";
const n = orderOf(CURVE);
const p = fieldOf(CURVE);
const G = baseOf(CURVE).BASE;
const [INVALID, VALID, UNDECIDED] = [0, 1, 2];
const BASE_WINDOW = 11;
const WINDOW = 7;
const P256 = 1;
const WARM = 1;
const HOT = 2;

/** The digits of assembly/curve/p256-table for a scalar: all odd, least first. */
function digitsOf(k: bigint, window: number): bigint[] {
  const sign = k % 2n === 0n ? -1n : 1n;
  const half = ((sign < 0n ? n - k : k) - 1n) / 2n;
  const base = 2n ** BigInt(window);
  const count = Math.ceil(256 / window);
  return Array.from({ length: count }, (_, i) => {
    const b = (half / base ** BigInt(i)) % base;
    return sign * (i === count - 1 ? 2n * b + 1n : 2n * b + 1n - base);
  });
}

const part = (digits: readonly bigint[], window: number, from: number, to: number): bigint =>
  digits
    .slice(from, to)
    .reduce((sum, digit, i) => sum + digit * 2n ** BigInt(window * (from + i)), 0n);

/**
 * A valid signature in whose tree equal or opposite points meet: after three levels, the last eight
 * windows of u·G (24 of 11 bits) are added to the first eight of v·Q (of 7 bits). The key's holder
 * picks d to make them so.
 */
function collide(u: bigint, v: bigint, sign: bigint): Triple {
  const left = part(digitsOf(u, BASE_WINDOW), BASE_WINDOW, 16, 24);
  const right = part(digitsOf(v, WINDOW), WINDOW, 0, 8);
  const d = mod(sign * left * inverse(right, n), n);
  const r = mod(G.multiply(mod(u + v * d, n)).toAffine().x, n);
  return forge(CURVE, G.multiply(d), u, v, r);
}

const ordinary = (seed: bigint): Triple => {
  const [d, u, v] = [seed * 7n + 1n, seed ** 9n + 3n, seed ** 7n + 5n].map((x) => mod(x, n));
  const [a = 1n, b = 1n, c = 1n] = [d, u, v];
  const r = mod(G.multiply(mod(b + c * a, n)).toAffine().x, n);
  return forge(CURVE, G.multiply(a), b, c, r);
};

describe("sig/p256-batch, simd", () => {
  let core: Instance;
  beforeAll(async () => {
    const files = ["sig/p256-batch", "sig/prepared-keys", "sig/ecdsa"];
    const module = await compile(
      "simd",
      files.map((name) => `assembly/${name}.ts`),
    );
    core = new Instance(module);
  });

  /** Answers of one batch; all keys at one tier. */
  function answers(triples: readonly Triple[], tier = HOT): number[] {
    core.reset();
    const items = triples.map(({ key, digest, signature }) => {
      const slot = core.call("enrollKey", P256, core.put(key), tier) >>> 0;
      expect(slot).not.toBe(0xffffffff);
      return [slot, core.put(digest), digest.length, core.put(signature)] as const;
    });
    for (const [index, [slot, ...rest]] of items.entries()) {
      const fields = new Uint32Array([core.call("tableOf", slot), ...rest]);
      core.write(core.call("itemOf", index), new Uint8Array(fields.buffer));
    }
    core.call("verifyItems", triples.length, tier === HOT ? 7 : 5);
    const found = triples.map((_, i) => core.get(core.call("itemOf", i) + 16, 1)[0] ?? -1);
    for (const slot of new Set(items.map(([slot]) => slot))) core.call("forgetKey", slot);
    return found;
  }

  const plain = ({ key, digest, signature }: Triple): boolean => {
    core.reset();
    const [k, d, s] = [core.put(key), core.put(digest), core.put(signature)];
    return core.call("verifyPlain", 1, k, d, digest.length, s, signature.length) === 1;
  };

  test.each([WARM, HOT])("every size up to 64, tier %i", (tier) => {
    const all = Array.from({ length: 64 }, (_, i) => ordinary(BigInt(i) + 10n ** 12n));
    for (const size of [1, 2, 3, 4, 5, 7, 8, 31, 63, 64]) {
      const batch = all.slice(0, size).map((triple, i) => {
        if (i % 3 !== 1) return triple;
        const signature = triple.signature.slice();
        signature[i] = (signature[i] ?? 0) ^ 1;
        return { ...triple, signature };
      });
      const expected = batch.map((triple) => (plain(triple) ? VALID : INVALID));
      expect(expected).toEqual(batch.map((_, i) => (i % 3 === 1 ? INVALID : VALID)));
      expect(answers(batch, tier)).toEqual(expected);
    }
  });

  test("P = Q and P = -Q inside a sum are found, and harm no other signature", () => {
    const bad = [
      collide(987_654_321n, 2n ** 200n + 12_345n, 1n),
      collide(n - 77n, n - 98_765n, -1n),
    ];
    for (const triple of bad) expect(plain(triple)).toBe(true);
    const others = Array.from({ length: 14 }, (_, i) => ordinary(BigInt(i) + 5n));
    for (const at of [0, 3, 4, 9, 14]) {
      const batch = others.slice();
      batch.splice(at, 0, ...bad);
      const expected = batch.map((triple) => (bad.includes(triple) ? UNDECIDED : VALID));
      expect(answers(batch)).toEqual(expected);
    }
    const many = Array.from({ length: 64 }, (_, i) => collide(BigInt(i) + 2n ** 250n, n - 17n, 1n));
    expect(answers(many)).toEqual(many.map(() => UNDECIDED));
  });

  test("infinity, alone and among others, is found and refused", () => {
    const [d, v] = [424_242n, 2n ** 255n - 999n];
    for (const r of [1n, 5n, n - 1n, p - n, mod(G.toAffine().x, n)]) {
      const triple = forge(CURVE, G.multiply(d), mod(-v * d, n), v, r);
      expect(answers([triple])).toEqual([UNDECIDED]);
      expect(answers([triple, ...Array(4).fill(ordinary(3n))])).toEqual([
        ...[UNDECIDED, VALID, VALID, VALID, VALID],
      ]);
      expect(plain(triple)).toBe(false);
    }
  });

  test("keys G, -G and their small multiples, scalars at the ends: never a wrong answer", () => {
    const scalars = [1n, 2n, 3n, 255n, 256n, 257n, n - 1n, n - 2n, n >> 1n, 2n ** 224n, 2n ** 128n];
    for (const d of [1n, n - 1n, 2n, 2n ** 8n, 2n ** 56n]) {
      const batch = scalars.flatMap((u) =>
        scalars.slice(0, 5).flatMap((v) => {
          const sum = mod(u + v * d, n);
          if (sum === 0n) return [];
          const r = mod(G.multiply(sum).toAffine().x, n);
          const good = forge(CURVE, G.multiply(d), u, v, r);
          return [good, forge(CURVE, G.multiply(d), u, v, mod(r + 1n, n))];
        }),
      );
      for (let at = 0; at < batch.length; at += 64) {
        const some = batch.slice(at, at + 64);
        for (const [i, answer] of answers(some).entries()) {
          if (answer === UNDECIDED) continue;
          expect(answer, `d = ${d}, case ${at + i}`).toBe((at + i) % 2 === 0 ? VALID : INVALID);
        }
      }
    }
  });

  test("an x at or above n, and a digest of zero, are left to the plain path", () => {
    const point = pointAbove(CURVE, n + 1n);
    const x = point.toAffine().x;
    const wrapped = forge(CURVE, reach(CURVE, point, 4n, 9n), 4n, 9n, x - n);
    const zero = forge(CURVE, G.multiply(9n), 0n, 4n, mod(G.multiply(36n).toAffine().x, n));
    for (const triple of [wrapped, zero]) expect(plain(triple)).toBe(true);
    expect(answers([wrapped, zero])).toEqual([UNDECIDED, UNDECIDED]);
    expect(answers([zero, ordinary(8n), wrapped, ordinary(9n), ordinary(10n)])).toEqual([
      ...[UNDECIDED, VALID, UNDECIDED, VALID, VALID],
    ]);
  });

  test("r and s out of range are invalid wherever they stand", () => {
    const good = ordinary(77n);
    const wide = (value: bigint): Uint8Array =>
      Uint8Array.from(Buffer.from(value.toString(16).padStart(64, "0"), "hex"));
    const batch = [0n, n, n + 1n, 2n ** 256n - 1n].flatMap((value) =>
      [0, 32].map((at) => {
        const signature = good.signature.slice();
        signature.set(wide(value), at);
        return { ...good, signature };
      }),
    );
    expect(answers([...batch, good])).toEqual([...batch.map(() => INVALID), VALID]);
    expect(answers(batch)).toEqual(batch.map(() => INVALID));
  });

  test("agrees with the plain path on random scalars", () => {
    const scalar = fc.bigInt({ min: 1n, max: n - 1n });
    const one = fc.record({ d: scalar, u: scalar, v: scalar, wrong: fc.boolean() });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 12 }), (members) => {
        const batch = members.map(({ d, u, v, wrong }) => {
          const sum = mod(u + v * d, n);
          const r = sum === 0n ? 1n : mod(G.multiply(sum).toAffine().x, n);
          return forge(CURVE, G.multiply(d), u, v, wrong ? mod(r + 1n, n) : r);
        });
        const expected = batch.map((triple) => (plain(triple) ? VALID : INVALID));
        for (const tier of [WARM, HOT]) {
          for (const [i, answer] of answers(batch, tier).entries()) {
            if (answer !== UNDECIDED) expect(answer).toBe(expected[i]);
          }
        }
      }),
      { numRuns: 25 },
    );
  });
});
