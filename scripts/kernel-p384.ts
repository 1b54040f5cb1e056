/**
 * Writes assembly/field/p384-lanes.generated.ts: multiplication modulo p = 2^384 - 2^128 - 2^96 +
 * 2^32 - 1 in four lanes, 30 limbs of 13 bits, in Montgomery's form with R = 2^390 (kernel-lanes
 * explains numbers and vectors).
 *
 * Limbs come out balanced, within 2^12 and a little (limb 9 within 10,240, three p having been
 * taken off at most): a column sums 30 products, which stay below 2^31 - 2^29 when one factor is a
 * result and the other a sum or difference of two. As R is 64 times p, the product of two numbers
 * of a few p is again p and a little.
 */
import {
  BITS,
  load,
  op,
  partsOf,
  preamble,
  product,
  quad,
  quotientAt,
  set,
  store,
} from "./kernel-lanes.ts";

const LIMBS = 30;

/** p without the -1: exponent and sign of each power of two. */
const POWERS = [
  { exponent: 32, operation: "add" },
  { exponent: 96, operation: "sub" },
  { exponent: 128, operation: "sub" },
  { exponent: 384, operation: "add" },
] as const;

/**
 * A column: what the product, the quotient's digits and, last, the carry give it, less c's limb.
 */
function column(k: number, less: string | null = null): string {
  const terms: { operation: "add" | "sub"; value: string }[] = [];
  for (const value of partsOf(k, LIMBS)) terms.push({ operation: "add", value });
  for (const { exponent, operation } of POWERS) {
    const digit = k - Math.floor(exponent / BITS);
    if (digit < 0 || digit >= LIMBS) continue;
    const value = op("shl", load("s", quotientAt(LIMBS) + digit), exponent % BITS);
    terms.push({ operation, value });
  }
  if (less !== null) terms.push({ operation: "sub", value: less });
  if (k > 0) terms.push({ operation: "add", value: "carry" });
  if (terms[0]?.operation === "sub") terms.reverse();
  return terms.reduce(
    (sum, { operation, value }) => (sum === "" ? value : op(operation, sum, value)),
    "",
  );
}

/**
 * Montgomery's reduction: p is -1 modulo 2^13, so a digit of the quotient is the column's own low
 * 13 bits.
 */
function reduce(): string[] {
  const lines = ["  const mask = v128.load(MASK);", "  let carry: v128;", "  let t: v128;"];
  for (let k = 0; k < LIMBS; k++) {
    lines.push(`  t = ${column(k)};`);
    lines.push(store("s", quotientAt(LIMBS) + k, "v128.and(t, mask)"));
    lines.push(`  carry = ${op("shr_s", "t", BITS)};`);
  }
  return lines;
}

/** Carries through the upper columns, less c, and packs pairs of limbs. */
function finish(): string[] {
  const lines = ["  const half = v128.load(HALF);", "  const low = v128.load(LOW);"];
  for (let j = 0; j < LIMBS / 2; j++) {
    lines.push(`  pair = ${load("c", j)};`);
    for (const odd of [0, 1]) {
      const less = odd === 0 ? "i32x4.shr_s(i32x4.shl(pair, 16), 16)" : "i32x4.shr_s(pair, 16)";
      lines.push(`  t = ${column(LIMBS + 2 * j + odd, less)};`);
      if (j < LIMBS / 2 - 1 || odd === 0) {
        lines.push(`  carry = ${op("shr_s", op("add", "t", "half"), BITS)};`);
        lines.push(`  t = ${op("sub", "t", op("shl", "carry", BITS))};`);
      }
      lines.push(set(`r${2 * j + odd}`, "t"));
    }
  }
  const settled = settle(lines);
  for (let j = 0; j < LIMBS / 2; j++) {
    const [even, odd] = [settled(2 * j), settled(2 * j + 1)];
    const value = `v128.or(v128.and(${even}, low), ${op("shl", odd, 16)})`;
    lines.push(store("out", j, value));
  }
  return lines;
}

/**
 * Takes off the multiple of p that the top limb shows, so that the number ends within p/2 and a
 * little, as sums of points want it: x is a square less two other x, and would double its size in
 * each level of a tree. With h = round(number / 2^384), number - h·p.
 */
function settle(lines: string[]): (limb: number) => string {
  const top = 384 - BITS * (LIMBS - 1);
  lines.push(set("h", op("shr_s", op("add", `r${LIMBS - 1}`, "v128.load(ROUND)"), top)));
  const changed = new Map<number, string>([[0, op("add", "r0", "h")]]);
  for (const { exponent, operation } of POWERS) {
    const limb = Math.floor(exponent / BITS);
    const inverse = operation === "add" ? "sub" : "add";
    changed.set(limb, op(inverse, `r${limb}`, op("shl", "h", exponent % BITS)));
  }
  return (limb) => changed.get(limb) ?? `r${limb}`;
}

/** The text of assembly/field/p384-lanes.generated.ts. */
export function p384Kernels(): string {
  return [
    ...preamble("kernel-p384.ts", LIMBS),
    quad("HALF", 2 ** (BITS - 1)),
    quad("ROUND", 2 ** (383 - BITS * (LIMBS - 1))),
    "",
    "/** out = a·b/R - c in each lane, within p/2 and a little. out may be an operand. */",
    "export function mulSub(out: usize, a: usize, b: usize, c: usize): void {",
    ...product(LIMBS),
    ...reduce(),
    ...finish(),
    "}",
    "",
  ].join("\n");
}
