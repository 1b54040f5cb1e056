import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { BUILDS, compile, Instance } from "../../support/assembly.ts";
import { inverse } from "../../support/weierstrass.ts";

const P256 = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const N256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const P384 = 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n;

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

/**
 * Quotients of Euclid's algorithm at the bounds of what is taken in one step: chance gives one of 31
 * bits in two billion.
 */
const quotient = fc.oneof(
  fc.constantFrom(1n, 2n, 3n),
  fc
    .tuple(fc.constantFrom(30n, 31n, 32n, 33n, 62n, 63n, 64n, 65n, 95n, 128n), fc.integer())
    .map(([bits, more]) => 2n ** bits + BigInt(more % 3)),
  fc.bigInt({ min: 1n, max: 2n ** 70n }),
);

/** Numbers below 2^bits that have these quotients in turn, and this common divisor. */
function numbersWith(quotients: readonly bigint[], divisor: bigint, bits: number) {
  let [m, a] = [divisor, 0n];
  for (let i = 0; ; i++) {
    const next = (quotients[i % quotients.length] ?? 1n) * m + a;
    if (next >> BigInt(bits) > 0n) return { m, a };
    [m, a] = [next, m];
  }
}

describe.each(BUILDS)("field/lehmer, %s", (build) => {
  let core: Instance;
  beforeAll(async () => {
    core = new Instance(await compile(build, ["assembly/field/lehmer.ts"]));
  });

  function invert(a: bigint, m: bigint, limbs: number): bigint {
    const bytes = (value: bigint): Uint8Array =>
      Uint8Array.from(Buffer.from(value.toString(16).padStart(limbs * 8, "0"), "hex").reverse());
    core.reset();
    const out = core.room(limbs * 4);
    core.call("invertPlain", out, core.put(bytes(a)), core.put(bytes(m)), limbs);
    return BigInt(
      `0x${Buffer.from(core.get(out, limbs * 4))
        .reverse()
        .toString("hex")}`,
    );
  }

  test.each([
    ["p of P-256", P256, 8],
    ["n of P-256", N256, 8],
    ["2^255 - 19", 2n ** 255n - 19n, 8],
    ["p of P-384", P384, 12],
  ] as const)("inverts modulo %s", (_, m, limbs) => {
    const powers = Array.from({ length: limbs * 32 - 1 }, (_, bit) => 2n ** BigInt(bit));
    const ends = powers.flatMap((power) => [power, power - 1n, m - power, m / power]);
    for (const a of ends.filter((end) => end >= 0n && end < m)) {
      expect(invert(a, m, limbs), `${a}`).toBe(a === 0n ? 0n : inverse(a, m));
    }
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: m - 1n }), (a) => {
        expect(invert(a, m, limbs)).toBe(inverse(a, m));
      }),
      { numRuns: 300 },
    );
  });

  test("inverts whatever the quotients are, and gives 0 where there is no inverse", () => {
    fc.assert(
      fc.property(
        fc.array(quotient, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(1n, 1n, 1n, 2n, 3n, 2n ** 32n),
        fc.constantFrom(8, 12),
        (quotients, divisor, limbs) => {
          const { m, a } = numbersWith(quotients, divisor, limbs * 32);
          fc.pre(a > 0n);
          expect(invert(a, m, limbs)).toBe(gcd(m, a) === 1n ? inverse(a, m) : 0n);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
