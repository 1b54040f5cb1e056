/**
 * Writes assembly/field/f25519-lanes.generated.ts: the reduction of products (kernel-products)
 * modulo p = 2^255 - 19 in four lanes (kernel-lanes explains numbers and vectors). Numbers stand as they are: the columns from
 * 2^260 on count 2^260 mod p = 608 each.
 *
 * Limbs come out balanced, within 2^12 and a little, so that sums and differences of two results
 * may be multiplied: 20 products of 2^13 each way stay below 2^31 - 2^29.
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

/** Bits of the topmost limb. */
const TOP_BITS = 255 - BITS * (LIMBS - 1);

const sum = (terms: readonly string[]): string => terms.reduce((all, term) => op("add", all, term));

/**
 * Digit and carry of t, which has half of the digit's range added: the digit then stands from 0 up,
 * and is balanced around zero when `packed` takes the half off.
 */
function divide(bits: number, mask: string): string[] {
  return [`  carry = ${op("shr_s", "t", bits)};`, `  t = v128.and(t, ${mask});`];
}

/** Carries through the columns from 20 on, and keeps them times 608. */
function upper(): string[] {
  const lines: string[] = [];
  for (let k = LIMBS; k < 2 * LIMBS; k++) {
    const terms = partsOf(k);
    if (k > LIMBS) terms.push("carry");
    lines.push(`  t = ${sum(terms)};`);
    // The topmost column is a carry alone, below 2^19, and takes no limb off.
    if (k < 2 * LIMBS - 1) lines.push(...divide(BITS, "mask"));
    lines.push(store("s", quotientAt() + k - LIMBS, op("mul", "t", "fold")));
  }
  return lines;
}

/**
 * Adds them to the columns below, carries, and brings what is above 2^255 round once more, times
 * 19. The carry comes last in each sum, because each column waits for the one before it.
 */
function lower(): string[] {
  const lines: string[] = [];
  for (let k = 0; k < LIMBS; k++) {
    const top = k === LIMBS - 1;
    const half = top ? "v128.load(HALF_TOP)" : "half";
    const terms = [...partsOf(k), load("s", quotientAt() + k), half];
    if (k > 0) terms.push("carry");
    lines.push(`  t = ${sum(terms)};`);
    lines.push(...(top ? divide(TOP_BITS, "v128.load(MASK_TOP)") : divide(BITS, "mask")));
    lines.push(set(`r${k}`, "t"));
  }
  lines.push(`  t = ${op("add", "r0", op("mul", "carry", "v128.load(NINETEEN)"))};`);
  lines.push(...divide(BITS, "mask"), set("q0", "t"));
  lines.push(`  t = ${op("add", "r1", "carry")};`);
  lines.push(...divide(BITS, "mask"), set("q1", "t"));
  lines.push(set("q2", op("add", "r2", "carry")));
  return lines;
}

/** The text of assembly/field/f25519-lanes.generated.ts. */
export function f25519Kernels(): string {
  const limb = (k: number): string => (k < 3 ? `q${k}` : `r${k}`);
  const packed = Array.from({ length: PAIRS }, (_, j) => {
    // Limb 2 has a carry of either sign, whose upper half would reach into limb 3.
    const low = j === 1 ? `v128.and(${limb(2)}, v128.load(LOW))` : limb(2 * j);
    const pair = `v128.or(${low}, ${op("shl", limb(2 * j + 1), 16)})`;
    return store(
      "out",
      j,
      `i16x8.sub(${pair}, ${j === PAIRS - 1 ? "v128.load(HALVES_TOP)" : "halves"})`,
    );
  });
  const half = 2 ** (BITS - 1);
  const halfTop = 2 ** (TOP_BITS - 1);
  return [
    ...reductionPreamble("kernel-25519.ts"),
    quad("HALF", half),
    quad("HALF_TOP", halfTop),
    quad("MASK_TOP", 2 ** TOP_BITS - 1),
    quad("HALVES", half * 0x10001),
    quad("HALVES_TOP", half + halfTop * 0x10000),
    quad("FOLD", 608),
    quad("NINETEEN", 19),
    "",
    "/** out = the product at hand in each lane, within 0.51·p. */",
    "export function reduce(out: usize): void {",
    "  const s = SCRATCH;",
    "  const mask = v128.load(MASK);",
    "  const half = v128.load(HALF);",
    "  const halves = v128.load(HALVES);",
    "  const fold = v128.load(FOLD);",
    "  let carry: v128;",
    "  let t: v128;",
    ...upper(),
    ...lower(),
    ...packed,
    "}",
    "",
  ].join("\n");
}
