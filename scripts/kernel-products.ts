/**
 * Writes assembly/field/products.generated.ts: products of four numbers of 20 limbs, by columns in
 * scratch (kernel-lanes explains numbers and vectors), where the reductions of P-256 and
 * edwards25519 find them.
 *
 * A square needs little more than half of a product: for two different pairs of limbs, one of their
 * two meetings with the other's limbs doubled.
 */
import {
  BITS,
  type Entry,
  LIMBS,
  load,
  op,
  PAIRS,
  preamble,
  product,
  store,
  twist,
} from "./kernel-lanes.ts";

/** b - c instead of b. */
const difference = (pair: number): string => `i16x8.sub(${load("b", pair)}, ${load("c", pair)})`;

/**
 * Pair p meets twisted vector m, which has limbs m and m - 1: those are left out that meet p from
 * below, and those of p itself are not doubled.
 */
const SQUARE: Entry = {
  register: (pair) => `i16x8.add(${load("a", pair)}, ${load("a", pair)})`,
  factor: (pair, twisted, doubled) => {
    const own = load("a", pair);
    const other = twisted >> 1;
    if (pair > other) return null;
    if (twisted % 2 === 1) return pair === other ? own : doubled;
    if (pair === other) return `v128.and(${own}, v128.load(LOW))`;
    if (pair === other - 1) return `blend(${doubled}, ${own})`;
    return doubled;
  },
};

/**
 * factor·(a - b) with limbs small enough to be multiplied: each hands what is above 13 bits to the
 * next one, once; the topmost keeps all.
 */
function scale(): string[] {
  const lines = [
    "  const factors = i16x8.splat(<i16>factor);",
    "  let limbs: v128;",
    "  let carry: v128;",
    "  let below = ZERO();",
  ];
  for (let pair = 0; pair < PAIRS; pair++) {
    const limbs = `i16x8.sub(${load("a", pair)}, ${load("b", pair)})`;
    const carry = `i16x8.shr_s(limbs, ${BITS})`;
    const top = pair === PAIRS - 1;
    lines.push(`  limbs = i16x8.mul(${limbs}, factors);`);
    lines.push(`  carry = ${top ? `v128.and(${carry}, v128.load(LOW))` : carry};`);
    lines.push(`  limbs = i16x8.sub(limbs, i16x8.shl(carry, ${BITS}));`);
    const carried =
      pair === 0 ? op("shl", "carry", 16) : `v128.or(${op("shl", "carry", 16)}, below)`;
    lines.push(store("out", pair, `i16x8.add(limbs, ${carried})`));
    if (!top) lines.push(`  below = ${op("shr_u", "carry", 16)};`);
  }
  return lines;
}

function kernel(doc: string, name: string, operands: string, body: readonly string[]): string[] {
  const parameters = [...operands].map((operand) => `${operand}: usize`).join(", ");
  return [`/** ${doc} */`, `export function ${name}(${parameters}): void {`, ...body, "}", ""];
}

/** The text of assembly/field/products.generated.ts. */
export function productKernels(): string {
  const twisted = (operand: (pair: number) => string): string[] => twist(LIMBS, operand);
  return [
    ...preamble("kernel-products.ts").filter((line) => !line.startsWith("const MASK")),
    ...kernel("Columns of a·b.", "multiply", "ab", product()),
    ...kernel(
      "Columns of a·(b - c).",
      "multiplyDifference",
      "abc",
      product(LIMBS, twisted(difference)),
    ),
    ...kernel(
      "Columns of a·a.",
      "square",
      "a",
      product(
        LIMBS,
        twisted((pair) => load("a", pair)),
        SQUARE,
      ),
    ),
    "/** out = factor·(a - b), ready to be multiplied; no limb of it may reach 2^15. */",
    "export function scaledDifference(out: usize, factor: i32, a: usize, b: usize): void {",
    ...scale(),
    "}",
    "",
  ].join("\n");
}
