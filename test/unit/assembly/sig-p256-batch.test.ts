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
const BASE_WINDOW = 12;
const WINDOW = 8;
const P256 = 1;
/** Without a table: alone by the chain of doublings, several by doublings in lanes. */
const COLD = 0;
const WARM = 1;
const HOT = 2;
const WINDOWS = { [COLD]: 0, [WARM]: 5, [HOT]: 8 } as const;
const TIERS = [COLD, WARM, HOT] as const;

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
 * A valid signature in whose tree equal or opposite points meet: after a level, the last two windows
 * of u·G (22 of 12 bits) are added to the first two of v·Q (of 8 bits). The key's holder picks d to
 * make them so.
 */
function collide(u: bigint, v: bigint, sign: bigint): Triple {
  const left = part(digitsOf(u, BASE_WINDOW), BASE_WINDOW, 20, 22);
  const right = part(digitsOf(v, WINDOW), WINDOW, 0, 2);
  const d = mod(sign * left * inverse(right, n), n);
  const r = mod(G.multiply(mod(u + v * d, n)).toAffine().x, n);
  return forge(CURVE, G.multiply(d), u, v, r);
}

/**
 * A valid signature by a key without a table, whose v·Q meets the last two windows of u·G, to which
 * it is added as the 23rd point of the tree.
 */
function collideInLanes(u: bigint, v: bigint, sign: bigint): Triple {
  const left = part(digitsOf(u, BASE_WINDOW), BASE_WINDOW, 20, 22);
  const d = mod(sign * left * inverse(v, n), n);
  const r = mod(G.multiply(mod(u + v * d, n)).toAffine().x, n);
  return forge(CURVE, G.multiply(d), u, v, r);
}

/** The members of assembly/curve/p256-chain for a scalar: plus and minus powers of two. */
function chainOf(k: bigint): bigint[] {
  const members: bigint[] = [];
  for (let [rest, power] = [k, 1n]; rest > 0n; rest /= 2n, power *= 2n) {
    if (rest % 2n === 0n) continue;
    const digit = 2n - (rest % 4n);
    members.push(digit * power);
    rest -= digit;
  }
  const [lowest = 0n, ...others] = members;
  return members.length % 2 === 0 ? members : [-lowest, 2n * lowest, ...others];
}

/**
 * The same for a signature alone: its points are dealt out to the lanes, first those of u·G, and
 * after a level windows 16 and 20 of u·G meet the third and the seventh member of v·Q's chain.
 */
function collideInChain(u: bigint, v: bigint, sign: bigint): Triple {
  const digits = digitsOf(u, BASE_WINDOW);
  const left = part(digits, BASE_WINDOW, 16, 17) + part(digits, BASE_WINDOW, 20, 21);
  const [, , third = 0n, , , , seventh = 0n] = chainOf(v);
  const d = mod(sign * left * inverse(mod(third + seventh, n), n), n);
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
    const files = ["sig/ecdsa-items", "sig/p256-batch", "sig/prepared-keys", "sig/ecdsa"];
    const module = await compile(
      "simd",
      files.map((name) => `assembly/${name}.ts`),
    );
    core = new Instance(module);
  });

  /** Answers of one batch; all keys at one tier. */
  function answers(triples: readonly Triple[], tier: 0 | 1 | 2 = HOT): number[] {
    core.reset();
    const items = triples.map(({ key, digest, signature }) => {
      const slot = core.call("enrollKey", P256, core.put(key), tier) >>> 0;
      expect(slot).not.toBe(0xffffffff);
      const places = [core.put(digest), digest.length, core.put(signature)] as const;
      return [slot, ...places, core.put(key)] as const;
    });
    for (const [index, [slot, digest, length, signature, key]] of items.entries()) {
      const table = core.call("tableOf", slot);
      const fields = new Uint32Array([table, digest, length, signature, 0, key]);
      core.write(core.call("itemOf", index), new Uint8Array(fields.buffer));
    }
    core.call("verifyItems", triples.length, WINDOWS[tier]);
    const found = triples.map((_, i) => core.get(core.call("itemOf", i) + 16, 1)[0] ?? -1);
    for (const slot of new Set(items.map(([slot]) => slot))) core.call("forgetKey", slot);
    return found;
  }

  const plain = ({ key, digest, signature }: Triple): boolean => {
    core.reset();
    const [k, d, s] = [core.put(key), core.put(digest), core.put(signature)];
    return core.call("verifyPlain", 1, k, d, digest.length, s, signature.length) === 1;
  };

  test.each(TIERS)("every size up to 64, tier %i", (tier) => {
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

  test("without a table: P = Q and P = -Q in the lanes, and in the chain", () => {
    const scalars = [987_654_321n, 2n ** 200n + 12_345n, n - 77n, n - 98_765n];
    for (const sign of [1n, -1n]) {
      for (const u of scalars) {
        for (const v of scalars) {
          const others = Array.from({ length: 5 }, (_, i) => ordinary(BigInt(i) + 5n));
          const inLanes = collideInLanes(u, v, sign);
          expect(plain(inLanes)).toBe(true);
          expect(answers([inLanes, ...others], COLD)).toEqual([
            UNDECIDED,
            ...others.map(() => VALID),
          ]);
          expect(answers([others[0] ?? inLanes, inLanes], COLD)).toEqual([VALID, UNDECIDED]);
          const alone = collideInChain(u, v, sign);
          expect(plain(alone)).toBe(true);
          expect(answers([alone], COLD)).toEqual([UNDECIDED]);
        }
      }
    }
  });

  test("without a table: scalars at the ends of the windows, and powers of two", () => {
    const ends = [1n, 2n, 3n, 15n, 16n, 17n, 30n, 31n, 32n, 33n, 49n, 62n, 64n, 98n];
    const scalars = [...ends, ...ends.map((k) => n - k), n >> 1n, (n >> 1n) + 1n];
    for (let i = 0n; i < 256n; i += 15n) scalars.push(2n ** i, 2n ** i + 1n);
    const batch = scalars.map((v, i) => {
      const r = mod(G.multiply(mod(987_654_321n + v * 1_234_567n, n)).toAffine().x, n);
      return forge(CURVE, G.multiply(1_234_567n), 987_654_321n, v, i % 4 === 3 ? r + 1n : r);
    });
    const expected = batch.map((_, i) => (i % 4 === 3 ? INVALID : VALID));
    expect(answers(batch.slice(0, 64), COLD)).toEqual(expected.slice(0, 64));
    for (const [i, triple] of batch.entries()) {
      expect(answers([triple], COLD), `${scalars[i]}`).toEqual([expected[i]]);
    }
  });

  test("without a table: a key that is no point is refused, and harms no other", () => {
    const good = Array.from({ length: 6 }, (_, i) => ordinary(BigInt(i) + 50n));
    const key = (good[2]?.key ?? new Uint8Array(64)).slice();
    key[63] = (key[63] ?? 0) ^ 1;
    for (const count of [1, 2, 5]) {
      core.reset();
      const keys = good.slice(0, count).map((one, i) => (i === count >> 1 ? key : one.key));
      for (const [index, one] of keys.entries()) {
        const { digest = key, signature = key } = good[index] ?? {};
        const [at, length] = [core.put(digest), digest.length];
        const fields = new Uint32Array([0, at, length, core.put(signature), 0, core.put(one)]);
        core.write(core.call("itemOf", index), new Uint8Array(fields.buffer));
      }
      core.call("verifyItems", count, 0);
      const found = keys.map((_, i) => core.get(core.call("itemOf", i) + 16, 1)[0]);
      expect(found).toEqual(keys.map((_, i) => (i === count >> 1 ? INVALID : VALID)));
    }
  });

  test.each(TIERS)("infinity, alone and among others, is found and refused, tier %i", (tier) => {
    const [d, v] = [424_242n, 2n ** 255n - 999n];
    for (const r of [1n, 5n, n - 1n, p - n, mod(G.toAffine().x, n)]) {
      const triple = forge(CURVE, G.multiply(d), mod(-v * d, n), v, r);
      expect(answers([triple], tier)).toEqual([UNDECIDED]);
      expect(answers([triple, ...Array(4).fill(ordinary(3n))], tier)).toEqual([
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
        const alone = some.flatMap((one, i) => (i % 7 === 0 ? answers([one], COLD) : [UNDECIDED]));
        for (const found of [answers(some), answers(some, COLD), alone]) {
          for (const [i, answer] of found.entries()) {
            if (answer === UNDECIDED) continue;
            expect(answer, `d = ${d}, case ${at + i}`).toBe((at + i) % 2 === 0 ? VALID : INVALID);
          }
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
    for (const tier of TIERS) {
      expect(answers([wrapped], tier)).toEqual([UNDECIDED]);
      expect(answers([wrapped, zero], tier)).toEqual([UNDECIDED, UNDECIDED]);
      const batch = [zero, ordinary(8n), wrapped, ordinary(9n), ordinary(10n)];
      expect(answers(batch, tier)).toEqual([UNDECIDED, VALID, UNDECIDED, VALID, VALID]);
    }
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
    for (const tier of TIERS) {
      expect(answers([...batch, good], tier)).toEqual([...batch.map(() => INVALID), VALID]);
      expect(answers(batch, tier)).toEqual(batch.map(() => INVALID));
    }
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
        for (const tier of TIERS) {
          for (const [i, answer] of answers(batch, tier).entries()) {
            if (answer !== UNDECIDED) expect(answer).toBe(expected[i]);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  test("a slot answers for its key alone, and no other bytes come into one", () => {
    const { key } = ordinary(99n);
    const other = key.slice();
    other[63] = (other[63] ?? 0) ^ 1;
    const isOnCurve = (bytes: Uint8Array): number => core.call("isOnCurve", 1, core.put(bytes));
    for (const [bytes, is] of [[key, 1] as const, [other, 0] as const]) {
      core.reset();
      expect(isOnCurve(bytes)).toBe(is);
      for (const take of ["enrollKey", "lendKey"] as const) {
        const rest = take === "lendKey" ? [1, HOT] : [HOT];
        const slot = core.call(take, P256, core.put(bytes), ...rest) >>> 0;
        expect(slot !== 0xffffffff).toBe(is === 1);
        expect(isOnCurve(bytes)).toBe(is);
        if (is === 1) core.call("forgetKey", slot);
        expect(isOnCurve(bytes)).toBe(is);
      }
    }
    // While a key is taken in, its neighbours are still found to be no points.
    const slot = core.call("enrollKey", P256, core.put(key), HOT);
    expect(isOnCurve(other)).toBe(0);
    core.call("forgetKey", slot);
  });
});
