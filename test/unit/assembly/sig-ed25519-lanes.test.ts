/** Ed25519 by tables, against the plain path and its strict predicate. */
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, Instance } from "../../support/assembly.ts";
import { concat } from "../../support/signatures.ts";

const { Point } = ed25519;
const L = Point.Fn.ORDER;
const ED25519 = 2;
const TIERS = [1, 2] as const;
const WINDOWS = [0, 4, 7] as const;
const TORSION = Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");

interface Signed {
  key: Uint8Array;
  message: Uint8Array;
  signature: Uint8Array;
}

const little = (value: bigint): Uint8Array =>
  new Uint8Array(Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse());
const number = (bytes: Uint8Array): bigint =>
  BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);

function signed(seed: number, text: Uint8Array): Signed {
  const secret = new Uint8Array(32).fill(seed + 1);
  const signature = Uint8Array.from(ed25519.sign(text, secret));
  return { key: Uint8Array.from(ed25519.getPublicKey(secret)), message: text, signature };
}

describe("sig/ed25519-lanes, simd", () => {
  let core: Instance;
  beforeAll(async () => {
    const files = ["sig/ed25519-lanes", "sig/ed25519", "sig/prepared-keys"];
    const module = await compile(
      "simd",
      files.map((name) => `assembly/${name}.ts`),
    );
    core = new Instance(module);
  });

  const plain = ({ key, message, signature }: Signed): boolean => {
    core.reset();
    const [k, m, s] = [core.put(key), core.put(message), core.put(signature)];
    return core.call("verifyPlain", k, m, message.length, s, signature.length) === 1;
  };

  function answers(items: readonly Signed[], tier: 1 | 2): boolean[] {
    core.reset();
    const slots = items.map(({ key, message, signature }, index) => {
      const at = core.put(key);
      const slot = core.call("enrollKey", ED25519, at, tier) >>> 0;
      expect(slot).not.toBe(0xffffffff);
      const table = core.call("tableOf", slot);
      const parts = [table, at, core.put(message), message.length, core.put(signature), 0];
      core.write(core.call("edItemOf", index), new Uint8Array(new Uint32Array(parts).buffer));
      return slot;
    });
    core.call("verifyEdItems", items.length, WINDOWS[tier]);
    const found = items.map((_, i) => core.get(core.call("edItemOf", i) + 20, 1)[0] === 1);
    for (const slot of new Set(slots)) core.call("forgetKey", slot);
    return found;
  }

  test.each(TIERS)("one to four signatures, changed ones among them, tier %i", (tier) => {
    const one = fc.record({
      seed: fc.nat(20),
      text: fc.uint8Array({ maxLength: 200 }),
      change: fc.constantFrom("none", "none", "bit", "message", "high S"),
      at: fc.nat(511),
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 4 }), (members) => {
        const items = members.map(({ seed, text, change, at }) => {
          const item = signed(seed, text);
          if (change === "bit") {
            const byte = at >> 3;
            item.signature[byte] = (item.signature[byte] ?? 0) ^ (1 << (at & 7));
          }
          if (change === "message") item.message = concat(text, new Uint8Array(1));
          if (change === "high S") {
            item.signature.set(little(number(item.signature.subarray(32)) + L), 32);
          }
          return item;
        });
        const expected = items.map(plain);
        expect(expected).toEqual(members.map(({ change }) => change === "none"));
        expect(answers(items, tier)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test.each(TIERS)("every place of a batch may be wrong, and harms no other, tier %i", (tier) => {
    const all = Array.from({ length: 64 }, (_, i) => signed(i % 5, Uint8Array.of(i)));
    for (const size of [3, 4, 5, 8, 31, 63, 64]) {
      const batch = all.slice(0, size).map((item, i) => {
        if (i % 3 !== 1) return item;
        const signature = item.signature.slice();
        // R in some, S in others, and an S that no signature has.
        if (i % 2 === 0) signature[i % 32] = (signature[i % 32] ?? 0) ^ 4;
        else signature.fill(i % 4 === 1 ? 0xff : i, 32);
        return { ...item, signature };
      });
      expect(answers(batch, tier)).toEqual(batch.map((_, i) => i % 3 !== 1));
    }
  });

  test("scalars at the ends: S of 0, 1, L - 1; A of mixed order; R of small order", () => {
    // With a key A = a·B + torsion, S·B = R + k·A holds only where k takes the torsion away.
    const secret = 987_654_321n;
    const key = Point.BASE.multiply(secret).add(TORSION).toBytes();
    let [accepted, refused] = [0, 0];
    for (let i = 0; i < 40; i++) {
      const r = BigInt(i) * 7919n + 1n;
      const R = Point.BASE.multiply(r).toBytes();
      const message = Uint8Array.of(i);
      core.reset();
      const item = { key, message, signature: concat(R, little(0n)) };
      const k = scalarOf(item);
      item.signature.set(little((r + k * secret) % L), 32);
      const expected = plain(item);
      expect(expected).toBe(k % 8n === 0n);
      if (expected) accepted++;
      else refused++;
      for (const tier of TIERS) {
        expect(answers([item], tier)).toEqual([expected]);
        expect(answers([item, item, signed(3, message)], tier)).toEqual([expected, expected, true]);
      }
    }
    expect(accepted).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
    for (const s of [0n, 1n, L - 1n, L]) {
      for (let small = 0n; small < 8n; small++) {
        const R = small === 0n ? Point.ZERO : TORSION.multiplyUnsafe(small);
        const item = { key, message: Uint8Array.of(9), signature: concat(R.toBytes(), little(s)) };
        expect(plain(item)).toBe(false);
        for (const tier of TIERS) expect(answers([item], tier)).toEqual([false]);
      }
    }
  });

  test("an R of small order is refused even where the equation holds", () => {
    // S·B - k·A = T for a key whose torsion part gives T: A = torsion + a·B and S = k·a.
    const secret = 5n;
    let met = 0;
    for (let i = 0; i < 64; i++) {
      const key = Point.BASE.multiply(secret).add(TORSION).toBytes();
      const R = TORSION.multiplyUnsafe(BigInt((i % 7) + 1)).toBytes();
      const item = { key, message: Uint8Array.of(i), signature: concat(R, little(0n)) };
      const k = scalarOf(item);
      item.signature.set(little((k * secret) % L), 32);
      const minus = (8n - (k % 8n)) % 8n;
      if (minus === BigInt((i % 7) + 1)) met++;
      expect(plain(item)).toBe(false);
      for (const tier of TIERS) expect(answers([item], tier)).toEqual([false]);
    }
    expect(met).toBeGreaterThan(0);
  });
});

/** SHA-512(R || A || message) mod L. */
function scalarOf({ key, message, signature }: Signed): bigint {
  return number(sha512(concat(signature.subarray(0, 32), key, message))) % L;
}
