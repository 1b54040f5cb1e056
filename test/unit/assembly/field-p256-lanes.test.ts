import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, Instance } from "../../support/assembly.ts";
import { mod } from "../../support/weierstrass.ts";

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const R = 2n ** 260n;
const LANES = [0, 1, 2, 3];

/** Four numbers as 20 limbs of 13 bits, the topmost signed; or balanced, as tables hold them. */
function toLanes(values: readonly bigint[], balanced = false): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(160));
  for (const [lane, value] of values.entries()) {
    let rest = value;
    for (let k = 0; k < 20; k++) {
      let limb = mod(rest, 8192n);
      if (balanced && limb >= 4096n) limb -= 8192n;
      if (k === 19) limb = rest;
      rest = (rest - limb) / 8192n;
      bytes.setInt16((k >> 1) * 16 + lane * 4 + (k & 1) * 2, Number(limb), true);
    }
  }
  return new Uint8Array(bytes.buffer);
}

function fromLanes(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return LANES.map((lane) => {
    let value = 0n;
    for (let k = 19; k >= 0; k--) {
      value = value * 8192n + BigInt(view.getInt16((k >> 1) * 16 + lane * 4 + (k & 1) * 2, true));
    }
    return value;
  });
}

const edges = [0n, 1n, P - 1n, P, -1n, -P / 2n, P / 2n, 2n ** 256n, 2n ** 255n, 2n ** 13n - 1n];
/** What loose numbers are: any value from -p/2 to 1.1p. */
const loose = fc.oneof(
  { weight: 4, arbitrary: fc.bigInt({ min: -P / 2n, max: P + P / 10n }) },
  fc.constantFrom(...edges),
);
const four = fc.tuple(loose, loose, loose, loose);

describe("field/p256-lanes, simd", () => {
  let core: Instance;
  beforeAll(async () => {
    core = new Instance(await compile("simd", ["assembly/field/p256-lanes.ts"]));
  });

  function run(name: string, ...operands: Uint8Array[]): bigint[] {
    core.reset();
    const pointers = operands.map((bytes) => core.put(bytes));
    const out = core.room(160);
    core.call(name, out, ...pointers);
    return fromLanes(core.get(out, 160));
  }

  test("mul and mulSub agree with BigInt in every lane, and keep their bounds", () => {
    fc.assert(
      fc.property(four, four, four, fc.boolean(), (a, b, c, balanced) => {
        const [x, y, z] = [toLanes(a, balanced), toLanes(b), toLanes(c, balanced)];
        for (const [lane, product] of run("mul", x, y).entries()) {
          expect(mod(product * R, P)).toBe(mod((a[lane] ?? 0n) * (b[lane] ?? 0n), P));
          expect(product > -P / 8n && product < (P * 9n) / 8n).toBe(true);
        }
        for (const [lane, result] of run("mulSub", x, y, z).entries()) {
          const expected = (a[lane] ?? 0n) * (b[lane] ?? 0n) - (c[lane] ?? 0n) * R;
          expect(mod(result * R, P)).toBe(mod(expected, P));
          expect(result > (-P * 51n) / 100n && result < (P * 51n) / 100n).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("differences enter products, squares and what is scaled", () => {
    fc.assert(
      fc.property(four, four, four, four, (a, b, c, d) => {
        const [w, x, y, z] = [toLanes(a), toLanes(b), toLanes(c), toLanes(d)];
        const at = (values: readonly bigint[], lane: number): bigint => values[lane] ?? 0n;
        const check = (found: bigint[], expected: (lane: number) => bigint): void => {
          for (const lane of LANES) {
            expect(mod((found[lane] ?? 0n) * R, P)).toBe(mod(expected(lane), P));
          }
        };
        const difference = (i: number): bigint => at(a, i) * (at(b, i) - at(c, i));
        check(run("mulDifference", w, x, y), difference);
        check(run("mulDifferenceSub", w, x, y, z), (i) => difference(i) - at(d, i) * R);
        check(run("sqr", w), (i) => at(a, i) ** 2n);
        check(run("sqrSub", w, z), (i) => at(a, i) ** 2n - at(d, i) * R);
        for (const factor of [1, 2, 3]) {
          core.reset();
          const out = core.room(160);
          core.call("scaledDifference", out, factor, core.put(w), core.put(x));
          const bytes = core.get(out, 160);
          expect(fromLanes(bytes)).toEqual(a.map((v, i) => BigInt(factor) * (v - at(b, i))));
          const view = new DataView(bytes.buffer);
          const limbs = Array.from({ length: 80 }, (_, i) => view.getInt16(2 * i, true));
          expect(Math.max(...limbs.map(Math.abs))).toBeLessThanOrEqual(8191 + 4);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("no column overflows at the largest limbs that the kernel promises to take", () => {
    // Limb 14 is the one that taking off a multiple of p may leave larger.
    const fill = (limb: number, fourteenth: number): Uint8Array => {
      const limbs = Int16Array.from({ length: 80 }, (_, i) => {
        return (i >> 3) * 2 + (i & 1) === 14 ? fourteenth : limb;
      });
      return new Uint8Array(limbs.buffer);
    };
    for (const a of [fill(12_287, 14_335), fill(-12_287, -14_335), fill(-8192, -12_287)]) {
      for (const b of [fill(8191, 10_239), fill(-4096, -6144)]) {
        const [x = 0n] = fromLanes(a);
        const [y = 0n] = fromLanes(b);
        for (const square of run("sqr", b)) expect(mod(square * R - y * y, P)).toBe(0n);
        for (const product of run("mul", a, b)) expect(mod(product * R - x * y, P)).toBe(0n);
      }
    }
  });

  test("sums, differences and inverses; an inverse of zero does not exist", () => {
    fc.assert(
      fc.property(four, four, (a, b) => {
        expect(run("add", toLanes(a), toLanes(b))).toEqual(a.map((v, i) => v + (b[i] ?? 0n)));
        expect(run("sub", toLanes(a), toLanes(b))).toEqual(a.map((v, i) => v - (b[i] ?? 0n)));
        core.reset();
        const out = core.room(160);
        const exists = core.call("invertLanes", out, core.put(toLanes(a)));
        const units = a.every((value) => mod(value, P) !== 0n);
        expect(exists).toBe(units ? 1 : 0);
        if (!units) return;
        for (const [lane, result] of fromLanes(core.get(out, 160)).entries()) {
          // a = x·R gives R/x: the product of both is R^2.
          expect(mod(result * (a[lane] ?? 0n), P)).toBe(mod(R * R, P));
        }
      }),
      { numRuns: 200 },
    );
  });

  test("a lane as plain limbs is reduced, and zero is found in any form", () => {
    for (let multiple = -4n; multiple <= 4n; multiple++) {
      for (const offset of [0n, 1n, -1n, 2n ** 96n, P / 2n]) {
        const values = [5n, multiple * P + offset, 7n, 0n];
        core.reset();
        const out = core.room(32);
        const at = core.put(toLanes(values, true));
        core.call("toLimbs", out, at, 1);
        const big = Buffer.from(core.get(out, 32)).reverse().toString("hex");
        expect(BigInt(`0x${big}`)).toBe(mod(offset, P));
        expect(core.call("isZero", at, 1)).toBe(offset === 0n ? 1 : 0);
        expect(core.call("isZero", at, 3)).toBe(1);
        expect(core.call("isZero", at, 2)).toBe(0);
      }
    }
  });
});
