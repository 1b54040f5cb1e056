import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, Instance } from "../../support/assembly.ts";
import { mod } from "../../support/weierstrass.ts";

const P = 2n ** 255n - 19n;

/** Four numbers of 20 limbs each, lane by lane. */
function pack(lanes: readonly (readonly number[])[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(160));
  for (const [lane, limbs] of lanes.entries()) {
    for (const [k, limb] of limbs.entries()) {
      view.setInt16((k >> 1) * 16 + lane * 4 + (k & 1) * 2, limb, true);
    }
  }
  return new Uint8Array(view.buffer);
}

const limbsOf = (bytes: Uint8Array, lane: number): number[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: 20 }, (_, k) =>
    view.getInt16((k >> 1) * 16 + lane * 4 + (k & 1) * 2, true),
  );
};
const numberOf = (limbs: readonly number[]): bigint =>
  limbs.reduceRight((sum, limb) => sum * 8192n + BigInt(limb), 0n);

// Sums and differences of two results: what the formulas multiply.
const limb = fc.oneof(fc.integer({ min: -8192, max: 8192 }), fc.constantFrom(-8192, 8192, 0));
const limbs = fc.array(limb, { minLength: 20, maxLength: 20 });
const four = fc.tuple(limbs, limbs, limbs, limbs);

describe("field/f25519-lanes, simd", () => {
  let core: Instance;
  beforeAll(async () => {
    core = new Instance(await compile("simd", ["assembly/field/f25519-lanes.ts"]));
  });

  test("products agree with BigInt in every lane, and come out small", () => {
    const ends = [8192, -8192].map((value) => Array<number>(20).fill(value));
    const check = (a: readonly number[][], b: readonly number[][]): void => {
      core.reset();
      const out = core.room(160);
      core.call("mul", out, core.put(pack(a)), core.put(pack(b)));
      for (const lane of [0, 1, 2, 3]) {
        const product = limbsOf(core.get(out, 160), lane);
        const expected = numberOf(a[lane] ?? []) * numberOf(b[lane] ?? []);
        expect(mod(numberOf(product), P)).toBe(mod(expected, P));
        expect(Math.max(...product.map(Math.abs))).toBeLessThanOrEqual(4100);
      }
    };
    for (const a of ends) for (const b of ends) check([a, b, a, b], [b, b, a, a]);
    fc.assert(fc.property(four, four, check), { numRuns: 300 });
    // What comes round from the top is below zero, and no limb below the fourth can take it up.
    const one = [1, ...Array<number>(19).fill(0)];
    for (const top of [-129, -200, -4000]) {
      for (const first of [-4096, -4095, -4090, 0]) {
        const a = [first, -4096, -4096, 5, ...Array<number>(15).fill(0), top];
        const b = [first, -4096, -4095, -4096, ...Array<number>(15).fill(-1), top];
        check([a, b, one, one], [one, one, a, b]);
      }
    }
  });

  test("a lane as plain limbs is reduced; inverses", () => {
    fc.assert(
      fc.property(four, (a) => {
        core.reset();
        const [one, out, at] = [core.room(160), core.room(160), core.put(pack(a))];
        // A product with 1 makes the numbers small, as they are wherever these are called.
        core.call("mul", one, at, core.put(pack(a.map(() => [1, ...Array<number>(19).fill(0)]))));
        const plain = core.room(32);
        for (const lane of [0, 1, 2, 3]) {
          core.call("toLimbs", plain, one, lane);
          const found = BigInt(`0x${Buffer.from(core.get(plain, 32)).reverse().toString("hex")}`);
          expect(found).toBe(mod(numberOf(a[lane] ?? []), P));
        }
        if (a.some((value) => mod(numberOf(value), P) === 0n)) return;
        core.call("invertLanes", out, one);
        for (const lane of [0, 1, 2, 3]) {
          const inverse = numberOf(limbsOf(core.get(out, 160), lane));
          expect(mod(inverse * numberOf(a[lane] ?? []), P)).toBe(1n);
        }
      }),
      { numRuns: 100 },
    );
  });
});
