/**
 * Multiplication of four independent numbers at once, unrolled: what the kernels of all primes have
 * in common.
 *
 * A number is 20 limbs of 13 bits (30 for P-384). A vector holds four numbers, one in each 32-bit
 * lane; the lane has two limbs as signed 16-bit halves, so that ten vectors hold four numbers. One
 * instruction, i32x4.dot_i16x8_s, forms a[2p]·b[m] + a[2p+1]·b[m-1] in each lane, half of what a
 * column 2p + m of the product wants.
 */

export const LIMBS = 20;
export const PAIRS = LIMBS / 2;
export const BITS = 13;
/** Vectors of one operand that stay in registers during a pass. */
const WINDOW = 5;

// Scratch, in vectors from its start: the twisted operand, the columns of the product, the digits.
const TWISTED = 0;
const columnsAt = (limbs: number): number => limbs + 1;
/** Room for as many vectors more as there are limbs, for what a reduction keeps. */
export const quotientAt = (limbs = LIMBS): number => columnsAt(limbs) + 2 * limbs;

const at = (vector: number): string => `${vector * 16}`;
export const load = (base: string, vector: number): string => `v128.load(${base}, ${at(vector)})`;
export const store = (base: string, vector: number, value: string): string =>
  `  v128.store(${base}, ${value}, ${at(vector)});`;
export const op = (name: string, a: string, b: string | number): string =>
  `i32x4.${name}(${a}, ${b})`;
export const set = (name: string, value: string): string => `  const ${name} = ${value};`;

/**
 * The second operand with neighbours paired the other way round: vector m has b[m] in its low
 * halves and b[m-1] in its high ones, for m = 0 to their number (limbs outside are zero).
 */
export function twist(limbs: number, operand = (q: number) => load("b", q)): string[] {
  const swap = "2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13";
  const lines = ["  let previous = ZERO();", "  let pair: v128;"];
  for (let q = 0; q < limbs / 2; q++) {
    lines.push(`  pair = ${operand(q)};`);
    lines.push(store("s", TWISTED + 2 * q, "blend(pair, previous)"));
    lines.push(store("s", TWISTED + 2 * q + 1, `v128.shuffle<u8>(pair, pair, ${swap})`));
    lines.push("  previous = pair;");
  }
  lines.push(store("s", TWISTED + limbs, "blend(ZERO(), previous)"));
  return lines;
}

/** How the first operand enters a product. */
export interface Entry {
  /** What a register keeps of a pair of limbs. */
  readonly register: (pair: number) => string;
  /** What meets a twisted vector; null for nothing. */
  readonly factor: (pair: number, twisted: number, register: string) => string | null;
}

const PLAIN: Entry = {
  register: (pair) => load("a", pair),
  factor: (_pair, _twisted, register) => register,
};

/**
 * A part of the first operand (five vectors, in registers) times every second twisted vector: five
 * accumulators slide over the columns of one parity, adding to what earlier parts left there, and
 * each column is stored when the window leaves it.
 */
function pass(part: number, parity: number, limbs: number, entry: Entry): string[] {
  const first = part * WINDOW;
  const base = columnsAt(limbs);
  const id = `${part}${parity}`;
  const window = Array.from({ length: WINDOW }, (_, i) => i);
  const lines = window.map((i) => set(`a${id}${i}`, entry.register(first + i)));
  const sums = new Map<number, string>();
  const last = parity === 0 ? limbs : limbs - 1;
  // The last column of this parity that earlier parts have.
  const known = part === 0 ? -1 : 2 * (first - 1) + last;
  for (let m = parity; m <= last; m += 2) {
    const met = window.filter((i) => entry.factor(first + i, m, "") !== null);
    if (met.length > 0) lines.push(set(`w${id}_${m}`, load("s", TWISTED + m)));
    for (const i of met) {
      const column = 2 * (first + i) + m;
      const factor = entry.factor(first + i, m, `a${id}${i}`) ?? "";
      const dot = op("dot_i16x8_s", factor, `w${id}_${m}`);
      const before = column <= known ? load("s", base + column) : undefined;
      const sum = sums.get(column) ?? before;
      const name = `c${id}_${column}_${i}`;
      lines.push(set(name, sum === undefined ? dot : op("add", sum, dot)));
      sums.set(column, name);
      const left = m + 2 > last || i === 0;
      if (left) lines.push(store("s", base + column, name));
    }
  }
  return lines;
}

/** The product of a and b (or what else is twisted and enters), by columns, in scratch. */
export function product(limbs = LIMBS, twisted = twist(limbs), entry = PLAIN): string[] {
  const parts = Array.from({ length: limbs / 2 / WINDOW }, (_, part) => part);
  return [
    "  const s = SCRATCH;",
    ...twisted,
    ...[0, 1].flatMap((parity) => parts.flatMap((part) => pass(part, parity, limbs, entry))),
  ];
}

/** What the product gives to a column, from 0 to twice the limbs less two; nothing beyond. */
export function partsOf(k: number, limbs = LIMBS): string[] {
  return k > 2 * limbs - 2 ? [] : [load("s", columnsAt(limbs) + k)];
}

/**
 * A constant of four equal lanes, in memory: V8 would build a literal anew at each use (measured).
 */
export const quad = (name: string, value: number): string =>
  `const ${name}: usize = memory.data<i32>([${Array(4).fill(value).join(", ")}]);`;

const BLEND = [
  "/** Low halves of one vector, high halves of the other. */",
  "// @ts-ignore: decorator",
  "@inline",
  "function blend(low: v128, high: v128): v128 {",
  "  return v128.shuffle<u16>(low, high, 0, 9, 2, 11, 4, 13, 6, 15);",
  "}",
  "",
];

const made = (script: string): string =>
  `// Made by scripts/${script}, which explains it. Do not edit.`;

/** What a file begins with that has products of its own. */
export function preamble(script: string, limbs = LIMBS): string[] {
  return [
    made(script),
    `export const SCRATCH: usize = memory.data(${(quotientAt(limbs) + limbs) * 16}, 16);`,
    quad("MASK", 2 ** BITS - 1),
    quad("LOW", 0xffff),
    "",
    "// @ts-ignore: decorator",
    "@inline",
    "function ZERO(): v128 {",
    "  return i32x4.splat(0);",
    "}",
    "",
    ...BLEND,
  ];
}

/** What a file begins with that reduces the products of kernel-products. */
export function reductionPreamble(script: string): string[] {
  return [
    made(script),
    'import { SCRATCH } from "./products.generated";',
    "",
    quad("MASK", 2 ** BITS - 1),
    quad("LOW", 0xffff),
    "",
    ...BLEND,
  ];
}
