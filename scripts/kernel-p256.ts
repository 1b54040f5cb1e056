/**
 * Writes assembly/field/p256-lanes.generated.ts: the reduction of products (kernel-products) modulo
 * the prime of P-256 in four lanes, in Montgomery's form with R = 2^260 (kernel-lanes explains
 * numbers and vectors).
 *
 * Bounds that keep each 32-bit column from overflowing: a column sums 20 products; with one
 * factor's limbs below 2^13 and the other's (a difference) below 12,288, limb 14 of both perhaps
 * 2,048 more, they stay below 2^31 - 2^26, which leaves room for the reduction.
 */
import {
  BITS,
  LIMBS,
  load,
  op,
  PAIRS,
  partsOf,
  quad,
  quotientAt,
  reductionPreamble,
  set,
  store,
} from "./kernel-lanes.ts";

/** p = 2^256 - 2^224 + 2^192 + 2^96 - 1, without the -1: exponent and sign of each power of two. */
const POWERS = [
  { exponent: 96, operation: "add" },
  { exponent: 192, operation: "add" },
  { exponent: 224, operation: "sub" },
  { exponent: 256, operation: "add" },
] as const;

/**
 * A column: what the product, the quotient's digits and the carry give it, less c's limb.
 */
function column(k: number, less: string | null = null): string {
  const terms: { operation: "add" | "sub"; value: string }[] = [];
  for (const value of partsOf(k)) terms.push({ operation: "add", value });
  if (less !== null) terms.push({ operation: "sub", value: less });
  for (const { exponent, operation } of POWERS) {
    const digit = k - Math.floor(exponent / BITS);
    if (digit < 0 || digit >= LIMBS) continue;
    terms.push({ operation, value: op("shl", load("s", quotientAt() + digit), exponent % BITS) });
  }
  // The carry last: each column waits for the one before it, and the rest of its sum should not.
  if (k > 0) terms.push({ operation: "add", value: "carry" });
  // A sum cannot begin with what is taken off: the topmost column is the carry less c's limb.
  if (terms[0]?.operation === "sub") terms.reverse();
  return terms.reduce(
    (sum, { operation, value }) => (sum === "" ? value : op(operation, sum, value)),
    "",
  );
}

/**
 * Montgomery's reduction. As p is -1 modulo 2^13, the digit of the quotient is the column's own low
 * 13 bits, and adding -1 times it leaves exactly the carry.
 */
function reduce(): string[] {
  const lines = ["  const mask = v128.load(MASK);", "  let carry: v128;", "  let t: v128;"];
  for (let k = 0; k < LIMBS; k++) {
    lines.push(`  t = ${column(k)};`);
    lines.push(store("s", quotientAt() + k, "v128.and(t, mask)"));
    lines.push(`  carry = ${op("shr_s", "t", BITS)};`);
  }
  return lines;
}

/** Carries through the upper columns (less c, where there is one) and packs pairs of limbs. */
function finish(subtract: boolean): string[] {
  const lines = ["  let low: v128;"];
  if (subtract) lines.push("  let pair: v128;");
  for (let j = 0; j < PAIRS; j++) {
    if (subtract) lines.push(`  pair = ${load("c", j)};`);
    for (const odd of [0, 1]) {
      const half = odd === 0 ? "i32x4.shr_s(i32x4.shl(pair, 16), 16)" : "i32x4.shr_s(pair, 16)";
      lines.push(`  t = ${column(LIMBS + 2 * j + odd, subtract ? half : null)};`);
      const top = j === PAIRS - 1 && odd === 1;
      if (!top) lines.push(`  carry = ${op("shr_s", "t", BITS)};`);
      if (odd === 0) lines.push("  low = v128.and(t, mask);");
      else {
        const high = op("shl", top ? "t" : "v128.and(t, mask)", 16);
        lines.push(set(`r${j}`, `v128.or(low, ${high})`));
      }
    }
  }
  return lines;
}

/**
 * Takes off the multiple of p that the top limb shows, so that the number ends within p/2 and a
 * little: with h = round(number / 2^256), number - h·p, added to the limbs in which the powers of p
 * lie.
 */
function settle(): string[] {
  const lines = [
    set("h", op("shr_s", op("add", "t", "v128.load(HALF)"), 256 - BITS * (LIMBS - 1))),
    set("hLow", "v128.and(h, v128.load(LOW))"),
    set("hHigh", op("shl", "h", 16)),
  ];
  const place = (exponent: number): [number, string] => {
    const limb = Math.floor(exponent / BITS);
    return [limb >> 1, `i16x8.shl(${limb % 2 === 0 ? "hLow" : "hHigh"}, ${exponent % BITS})`];
  };
  const changed = new Map<number, string>([[0, "i16x8.add(r0, hLow)"]]);
  for (const { exponent, operation } of POWERS) {
    const [pair, value] = place(exponent);
    const inverse = operation === "add" ? "sub" : "add";
    changed.set(pair, `i16x8.${inverse}(r${pair}, ${value})`);
  }
  for (let j = 0; j < PAIRS; j++) lines.push(store("out", j, changed.get(j) ?? `r${j}`));
  return lines;
}

function kernel(subtract: boolean): string[] {
  const signature = subtract ? "reduceLess(out: usize, c: usize)" : "reduce(out: usize)";
  const doc = subtract
    ? "/** out = the product at hand / R - c in each lane, within p/2 and a little. */"
    : "/** out = the product at hand / R in each lane, between -p/8 and 9p/8. */";
  const stores = Array.from({ length: PAIRS }, (_, j) => store("out", j, `r${j}`));
  return [
    doc,
    `export function ${signature}: void {`,
    "  const s = SCRATCH;",
    ...reduce(),
    ...finish(subtract),
    ...(subtract ? settle() : stores),
    "}",
    "",
  ];
}

/** The text of assembly/field/p256-lanes.generated.ts. */
export function p256Kernels(): string {
  return [
    ...reductionPreamble("kernel-p256.ts"),
    quad("HALF", 2 ** (255 - BITS * (LIMBS - 1))),
    "",
    ...kernel(false),
    ...kernel(true),
  ].join("\n");
}
