import { p256, p384 } from "@noble/curves/nist.js";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { BUILDS } from "../../support/assembly.ts";
import { type Curve, concat, numberBytes, Signatures } from "../../support/signatures.ts";
import {
  baseOf,
  fieldOf,
  forge,
  inverse,
  keyBytes,
  mod,
  orderOf,
  pointAbove,
  reach,
  type Triple,
  widthOf,
} from "../../support/weierstrass.ts";

const NOBLE = { "P-256": p256, "P-384": p384 };
const CURVES = ["P-256", "P-384"] as const;

const secret = (curve: Curve): fc.Arbitrary<bigint> =>
  fc.bigInt({ min: 1n, max: orderOf(curve) - 1n });

/** What @noble/curves says about a digest; malformed input is a refusal there too. */
function oracle(curve: Curve, { key, digest, signature }: Triple): boolean {
  try {
    const options = { prehash: false, lowS: false, format: "compact" } as const;
    return NOBLE[curve].verify(signature, digest, concat(new Uint8Array([4]), key), options);
  } catch {
    return false;
  }
}

describe.each(BUILDS)("sig/ecdsa, %s", (build) => {
  let core: Signatures;
  const verify = (curve: Curve, { key, digest, signature }: Triple): boolean =>
    core.ecdsaDigest(curve, key, digest, signature);
  beforeAll(async () => {
    core = await Signatures.load(build);
  });

  describe.each(CURVES)("%s", (curve) => {
    const n = orderOf(curve);
    const p = fieldOf(curve);
    const width = widthOf(curve);
    const G = baseOf(curve).BASE;

    test("agrees with @noble/curves on random and mutated signatures", () => {
      const flip = fc.record({ part: fc.nat(3), at: fc.nat(255), bit: fc.nat(7) });
      const digest = fc.uint8Array({ minLength: 20, maxLength: 64 });
      let accepted = 0;
      fc.assert(
        fc.property(secret(curve), digest, flip, (d, hash, { part, at, bit }) => {
          const options = { prehash: false, lowS: false, format: "compact" } as const;
          const signature = NOBLE[curve].sign(hash, numberBytes(d, width), options);
          const triple = {
            key: keyBytes(curve, G.multiply(d)),
            digest: Uint8Array.from(hash),
            signature: Uint8Array.from(signature),
          };
          const bytes = [triple.key, triple.digest, triple.signature][part];
          if (bytes !== undefined) {
            const index = at % bytes.length;
            bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
          }
          const expected = oracle(curve, triple);
          expect(verify(curve, triple)).toBe(expected);
          if (expected) accepted++;
        }),
        { numRuns: 60 },
      );
      expect(accepted).toBeGreaterThan(0);
    });

    test("r, s of 0, n and above, and other lengths, are refused", () => {
      const triple = forge(curve, G.multiply(7n), 3n, 5n, 1n);
      for (const bad of [0n, n, n + 1n, p, 2n ** BigInt(width * 8) - 1n]) {
        const wrong = numberBytes(bad, width);
        const good = numberBytes(1n, width);
        expect(verify(curve, { ...triple, signature: concat(wrong, good) })).toBe(false);
        expect(verify(curve, { ...triple, signature: concat(good, wrong) })).toBe(false);
      }
      const q = G.multiply(7n);
      const valid = forge(curve, q, 3n, 5n, mod(G.multiply(38n).toAffine().x, n));
      expect(verify(curve, valid)).toBe(true);
      for (const length of [0, 1, width, 2 * width - 1]) {
        const cut = valid.signature.slice(0, length);
        expect(verify(curve, { ...valid, signature: cut })).toBe(false);
      }
      const longer = concat(valid.signature, new Uint8Array(1));
      expect(verify(curve, { ...valid, signature: longer })).toBe(false);
    });

    test("an x of u·G + v·Q at or above n is r + n", () => {
      const point = pointAbove(curve, n + 1n);
      const { x } = point.toAffine();
      expect(x > n && x < p).toBe(true);
      const good = forge(curve, reach(curve, point, 12345n, 678n), 12345n, 678n, x - n);
      expect(oracle(curve, good)).toBe(true);
      expect(verify(curve, good)).toBe(true);
      const other = forge(curve, reach(curve, point, 12345n, 678n), 12345n, 678n, x - n + 1n);
      expect(verify(curve, other)).toBe(false);
    });

    test("r + n at or above p is not taken modulo p", () => {
      const point = pointAbove(curve, 1n);
      const { x } = point.toAffine();
      const r = x + p - n; // r + n = x + p, which is x modulo p
      expect(r < n).toBe(true);
      expect(verify(curve, forge(curve, reach(curve, point, 99n, 7n), 99n, 7n, r))).toBe(false);
      expect(verify(curve, forge(curve, reach(curve, point, 99n, 7n), 99n, 7n, x))).toBe(true);
    });

    test("u·G + v·Q at infinity is refused for every r", () => {
      for (const d of [1n, 2n, n - 1n, 987654321n]) {
        for (const r of [1n, 2n, p - n, n - 1n, mod(G.toAffine().x, n)]) {
          const v = 31337n;
          const triple = forge(curve, G.multiply(d), mod(-v * d, n), v, r);
          expect(verify(curve, triple)).toBe(false);
        }
      }
    });

    test("keys and scalars at the edges: equal points, opposite points, zero digests", () => {
      const ends = [1n, 2n, 3n, 15n, 16n, 17n, n - 1n, n - 2n, n >> 1n, 2n ** 128n];
      for (const d of [1n, 2n, n - 1n, n - 2n, 16n]) {
        for (const u of [0n, ...ends]) {
          for (const v of [1n, n - 1n, 16n]) {
            const sum = mod(u + v * d, n);
            if (sum === 0n) continue;
            const r = mod(G.multiply(sum).toAffine().x, n);
            expect(verify(curve, forge(curve, G.multiply(d), u, v, r)), `${d} ${u} ${v}`).toBe(
              true,
            );
          }
        }
      }
    });

    test("the leftmost bits of a digest count, whatever its length", () => {
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 0, maxLength: 80 }), (digest) => {
          const cut = digest.subarray(0, width);
          const e = cut.length === 0 ? 0n : BigInt(`0x${Buffer.from(cut).toString("hex")}`);
          const [d, k] = [4242n, 171717n];
          const r = mod(G.multiply(k).toAffine().x, n);
          // s = (e + r·d)/k; forge() wants v = r/s and u = e/s.
          const s = mod((e + r * d) * inverse(k, n), n);
          const signature = concat(numberBytes(r, width), numberBytes(s, width));
          const key = keyBytes(curve, G.multiply(d));
          expect(verify(curve, { key, digest, signature })).toBe(true);
        }),
        { numRuns: 20 },
      );
    });

    test("keys: off the curve, above p, or no point at all", () => {
      const { x, y } = G.multiply(5n).toAffine();
      const bytes = (a: bigint, b: bigint): Uint8Array =>
        concat(numberBytes(a, width), numberBytes(b, width));
      expect(core.isOnCurve(curve, bytes(x, y))).toBe(true);
      expect(core.isOnCurve(curve, bytes(x, p - y))).toBe(true);
      const top = 2n ** BigInt(width * 8) - 1n;
      for (const [a, b] of [
        [0n, 0n],
        [x, y + 1n],
        [y, x],
        [p, y],
        [x, p],
        [top, top],
        [0n, 1n],
      ] as const) {
        expect(core.isOnCurve(curve, bytes(a, b))).toBe(false);
      }
      const root = pointAbove(curve, 0n).toAffine();
      expect(core.isOnCurve(curve, bytes(root.x, root.y))).toBe(true);
      // The same residue written with p added is another byte string, and no key.
      if (root.x + p <= top) expect(core.isOnCurve(curve, bytes(root.x + p, root.y))).toBe(false);
    });
  });
});
