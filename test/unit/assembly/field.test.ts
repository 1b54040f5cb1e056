import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { BUILDS, compile, Instance } from "../../support/assembly.ts";

const P256 = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const P25519 = 2n ** 255n - 19n;

function toLimbs(value: bigint, limbs: number): Uint8Array {
  const big = Buffer.from(value.toString(16).padStart(limbs * 8, "0"), "hex");
  return new Uint8Array(big.reverse());
}
function fromLimbs(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}
function power(base: bigint, exponent: bigint, m: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % m;
    if (bit === "1") result = (result * base) % m;
  }
  return result;
}

/** Arithmetic modulo m in the core, on BigInts. */
class Field {
  readonly #core: Instance;
  readonly #m: bigint;
  readonly #limbs: number;
  #record = 0;

  constructor(core: Instance, m: bigint, limbs: number) {
    this.#core = core;
    this.#m = m;
    this.#limbs = limbs;
    this.#prepare();
  }

  #prepare(): void {
    this.#core.reset();
    this.#record = this.#core.room(32);
    const m = this.#core.put(toLimbs(this.#m, this.#limbs));
    const one = this.#core.room(this.#limbs * 4);
    this.#core.call("prepare", this.#record, this.#limbs, m, one, this.#core.room(this.#limbs * 4));
  }

  run(name: string, ...operands: bigint[]): bigint {
    this.#prepare();
    const pointers = operands.map((value) => this.#core.put(toLimbs(value, this.#limbs)));
    const out = this.#core.room(this.#limbs * 4);
    const tail = name === "pow" ? [this.#limbs] : [];
    this.#core.call(name, this.#record, out, ...pointers, ...tail);
    return fromLimbs(this.#core.get(out, this.#limbs * 4));
  }
}

/** Numbers below m, those at its ends often. */
const below = (m: bigint): fc.Arbitrary<bigint> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.bigInt({ min: 0n, max: m - 1n }) },
    fc.constantFrom(0n, 1n, 2n, m - 1n, m - 2n, m >> 1n, (m >> 1n) + 1n),
  );

const MODULI: readonly (readonly [string, bigint, number])[] = [
  ["P-256", P256, 8],
  ["2^255 - 19", P25519, 8],
  ["all ones", 2n ** 384n - 1n, 12],
  ["one limb", 0xfffffffbn, 1],
  ["3", 3n, 1],
  ["2048 bits", 2n ** 2048n - 2n ** 1000n + 1n, 64],
  ["4096 bits", 2n ** 4096n - 17n, 128],
];

describe.each(BUILDS)("field/montgomery, %s", (build) => {
  let core: Instance;
  beforeAll(async () => {
    const files = ["assembly/field/montgomery.ts", "assembly/field/limbs.ts"];
    core = new Instance(await compile(build, files));
  });

  test.each(MODULI)("agrees with BigInt modulo %s", (_, m, limbs) => {
    const field = new Field(core, m, limbs);
    const r = 2n ** BigInt(limbs * 32);
    const numRuns = limbs > 12 ? 25 : 200;
    fc.assert(
      fc.property(below(m), below(m), below(r), (a, b, any) => {
        expect(field.run("add", a, b)).toBe((a + b) % m);
        expect(field.run("sub", a, b)).toBe((a + m - b) % m);
        const product = field.run("mul", any, b);
        expect((product * r) % m).toBe((any * b) % m);
        expect(product < m).toBe(true);
        expect(field.run("toMontgomery", any)).toBe((any * r) % m);
        expect((field.run("fromMontgomery", a) * r) % m).toBe(a);
      }),
      { numRuns },
    );
  });

  test.each(MODULI.slice(0, 2))("powers and inverses modulo %s", (_, p, limbs) => {
    const field = new Field(core, p, limbs);
    fc.assert(
      fc.property(below(p), fc.bigInt({ min: 1n, max: p }), (a, exponent) => {
        const form = field.run("toMontgomery", a);
        const raised = field.run("fromMontgomery", field.run("pow", form, exponent));
        expect(raised).toBe(power(a, exponent, p));
        const inverse = field.run("fromMontgomery", field.run("invert", form));
        expect((inverse * a) % p).toBe(a === 0n ? 0n : 1n);
      }),
      { numRuns: 30 },
    );
  });

  test("an even, empty or oversized modulus traps", () => {
    const at = core.put(new Uint8Array(1024).fill(1));
    for (const [limbs, m] of [
      [8, core.put(new Uint8Array(32).fill(2))],
      [0, at],
      [129, at],
    ] as const) {
      expect(() => core.call("prepare", core.room(32), limbs, m, at, at)).toThrow(
        WebAssembly.RuntimeError,
      );
    }
  });
});
