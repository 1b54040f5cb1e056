/**
 * Montgomery's reduction of a product (kernel-lanes: columns in scratch) in four lanes, for primes
 * that are few powers of two less one. As p is -1 modulo 2^13, a digit of the quotient is the
 * column's own low 13 bits, and adding p that many times leaves exactly the carry.
 */
import { BITS, load, op, partsOf, quad, quotientAt, set, store } from "./kernel-lanes.ts";

export interface Prime {
  readonly limbs: number;
  /** p without the -1: exponent and sign of each power of two, the highest last. */
  readonly powers: readonly { readonly exponent: number; readonly operation: "add" | "sub" }[];
  /**
   * Whether limbs come out from -2^12 to 2^12 instead of from 0 to 2^13; costs two operations a pair
   * more, and sums of twice as many limbs stay below 2^31.
   */
  readonly balanced: boolean;
}

interface Term {
  readonly operation: "add" | "sub";
  readonly value: string;
}

/** A column: what the product, the quotient's digits, `more` and, last, the carry give it. */
function column({ limbs, powers }: Prime, k: number, more: readonly Term[] = []): string {
  const terms: Term[] = partsOf(k, limbs).map((value) => ({ operation: "add", value }));
  terms.push(...more);
  for (const { exponent, operation } of powers) {
    const digit = k - Math.floor(exponent / BITS);
    if (digit < 0 || digit >= limbs) continue;
    const value = op("shl", load("s", quotientAt(limbs) + digit), exponent % BITS);
    terms.push({ operation, value });
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

/** The digits of the quotient, into scratch. */
function quotient(prime: Prime): string[] {
  const lines = ["  const mask = v128.load(MASK);", "  let carry: v128;"];
  for (let k = 0; k < prime.limbs; k++) {
    lines.push(set(`t${k}`, column(prime, k)));
    lines.push(store("s", quotientAt(prime.limbs) + k, `v128.and(t${k}, mask)`));
    lines.push(`  carry = ${op("shr_s", `t${k}`, BITS)};`);
  }
  return lines;
}

/**
 * Carries through the upper columns (less c's limbs, where there is a c) and packs pairs of limbs,
 * r0 and up. Balanced limbs have half of their range added while they are digits, and taken off in
 * the end.
 */
function upper(prime: Prime, subtract: boolean): string[] {
  const { limbs, balanced } = prime;
  const lines: string[] = [];
  for (let j = 0; j < limbs / 2; j++) {
    if (subtract) lines.push(set(`c${j}`, load("c", j)));
    const halves = [`i32x4.shr_s(i32x4.shl(c${j}, 16), 16)`, `i32x4.shr_s(c${j}, 16)`];
    const last = j === limbs / 2 - 1;
    for (const [odd, half] of halves.entries()) {
      const k = limbs + 2 * j + odd;
      const top = last && odd === 1;
      const more: Term[] = subtract ? [{ operation: "sub", value: half }] : [];
      if (balanced && !top) more.push({ operation: "add", value: "v128.load(HALF)" });
      lines.push(set(`t${k}`, column(prime, k, more)));
      if (!top) lines.push(`  carry = ${op("shr_s", `t${k}`, BITS)};`);
    }
    const [even, odd] = [`t${limbs + 2 * j}`, `t${limbs + 2 * j + 1}`];
    const pair = `blend(${even}, ${op("shl", odd, 16)})`;
    const digits = `v128.and(${pair}, v128.load(${last ? "PAIR_TOP" : "PAIR"}))`;
    const halvesAt = `v128.load(${last ? "HALVES_TOP" : "HALVES"})`;
    lines.push(set(`r${j}`, balanced ? `i16x8.sub(${digits}, ${halvesAt})` : digits));
  }
  return lines;
}

/**
 * Takes off the multiple of p that the top limb shows, so that the number ends within p/2 and a
 * little, as sums of points want it: x is a square less two other x, and would double its size in
 * each level of a tree. With h = round(number / 2^n), number - h·p, added to the limbs in which the
 * powers of p lie.
 */
function settled({ limbs, powers }: Prime): Map<number, string> {
  const changed = new Map<number, string>([[0, "i16x8.add(r0, hLow)"]]);
  for (const { exponent, operation } of powers) {
    const limb = Math.floor(exponent / BITS);
    const value = `i16x8.shl(${limb % 2 === 0 ? "hLow" : "hHigh"}, ${exponent % BITS})`;
    const inverse = operation === "add" ? "sub" : "add";
    const pair = limb >> 1;
    changed.set(pair, `i16x8.${inverse}(${changed.get(pair) ?? `r${pair}`}, ${value})`);
  }
  if (changed.size > limbs / 2) throw new Error("more powers than limbs");
  return changed;
}

const topShift = ({ limbs, powers }: Prime): number =>
  (powers.at(-1)?.exponent ?? 0) - BITS * (limbs - 1);

function kernel(prime: Prime, subtract: boolean): string[] {
  const top = `t${2 * prime.limbs - 1}`;
  const changed = subtract ? settled(prime) : new Map<number, string>();
  const multiple = [
    set("h", op("shr_s", op("add", top, "v128.load(ROUND)"), topShift(prime))),
    set("hLow", "v128.and(h, v128.load(LOW))"),
    set("hHigh", op("shl", "h", 16)),
  ];
  return [
    subtract
      ? "/** out = the product at hand / R - c in each lane, within p/2 and a little. */"
      : "/** out = the product at hand / R in each lane, between -p/8 and 9p/8. */",
    `export function ${subtract ? "reduceLess(out: usize, c: usize)" : "reduce(out: usize)"}: void {`,
    "  const s = SCRATCH;",
    ...quotient(prime),
    ...upper(prime, subtract),
    ...(subtract ? multiple : []),
    ...Array.from({ length: prime.limbs / 2 }, (_, j) =>
      store("out", j, changed.get(j) ?? `r${j}`),
    ),
    "}",
    "",
  ];
}

/** The kernels `reduce` and `reduceLess`, and their constants. */
export function reductions(prime: Prime): string[] {
  const digit = 2 ** BITS - 1;
  const half = 2 ** (BITS - 1);
  const halves = [quad("HALF", half), quad("HALVES", half * 0x10001), quad("HALVES_TOP", half)];
  return [
    quad("PAIR", digit * 0x10001),
    quad("PAIR_TOP", (0xffff << 16) | digit),
    quad("ROUND", 2 ** (topShift(prime) - 1)),
    ...(prime.balanced ? halves : []),
    "",
    ...kernel(prime, false),
    ...kernel(prime, true),
  ];
}
