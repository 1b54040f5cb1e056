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

// Scratch, in vectors from its start: the twisted operand, the columns of each part of the product,
// the digits.
const TWISTED = 0;
const columnsAt = (part: number, limbs: number): number => limbs + 1 + part * 2 * limbs;
/** Room for as many vectors more as there are limbs, for what a reduction keeps. */
export const quotientAt = (limbs = LIMBS): number => columnsAt(limbs / 2 / WINDOW, limbs);

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
function twist(limbs: number): string[] {
  const swap = "2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13";
  const lines = ["  let previous = ZERO();", "  let pair: v128;"];
  for (let q = 0; q < limbs / 2; q++) {
    lines.push(`  pair = ${load("b", q)};`);
    lines.push(store("s", TWISTED + 2 * q, "blend(pair, previous)"));
    lines.push(store("s", TWISTED + 2 * q + 1, `v128.shuffle<u8>(pair, pair, ${swap})`));
    lines.push("  previous = pair;");
  }
  lines.push(store("s", TWISTED + limbs, "blend(ZERO(), previous)"));
  return lines;
}

/**
 * A part of the first operand (five vectors, in registers) times every second twisted vector: five
 * accumulators slide over the columns of one parity, and each column is stored when the window
 * leaves it.
 */
function pass(part: number, parity: number, limbs: number): string[] {
  const first = part * WINDOW;
  const base = columnsAt(part, limbs);
  const id = `${part}${parity}`;
  const lines = Array.from({ length: WINDOW }, (_, i) => set(`a${id}${i}`, load("a", first + i)));
  const sums = new Map<number, string>();
  const last = parity === 0 ? limbs : limbs - 1;
  for (let m = parity; m <= last; m += 2) {
    lines.push(set(`w${id}_${m}`, load("s", TWISTED + m)));
    for (let i = 0; i < WINDOW; i++) {
      const column = 2 * (first + i) + m;
      const dot = op("dot_i16x8_s", `a${id}${i}`, `w${id}_${m}`);
      const sum = sums.get(column);
      const name = `c${id}_${column}_${i}`;
      lines.push(set(name, sum === undefined ? dot : op("add", sum, dot)));
      sums.set(column, name);
      const left = m + 2 > last || i === 0;
      if (left) lines.push(store("s", base + column, name));
    }
  }
  return lines;
}

/** The product of a and b, by columns, in scratch. */
export function product(limbs = LIMBS): string[] {
  const parts = Array.from({ length: limbs / 2 / WINDOW }, (_, part) => part);
  return [
    "  const s = SCRATCH;",
    ...twist(limbs),
    ...[0, 1].flatMap((parity) => parts.flatMap((part) => pass(part, parity, limbs))),
  ];
}

/**
 * What the parts give to a column of the product, from 0 to twice the limbs less two; nothing
 * beyond.
 */
export function partsOf(k: number, limbs = LIMBS): string[] {
  return Array.from({ length: limbs / 2 / WINDOW }, (_, part) => part)
    .filter((part) => {
      const first = 2 * WINDOW * part;
      return k >= first && k <= first + 2 * (WINDOW - 1) + limbs;
    })
    .map((part) => load("s", columnsAt(part, limbs) + k));
}

/**
 * A constant of four equal lanes, in memory: V8 would build a literal anew at each use (measured).
 */
export const quad = (name: string, value: number): string =>
  `const ${name}: usize = memory.data<i32>([${Array(4).fill(value).join(", ")}]);`;

/** What every kernel's file begins with. */
export function preamble(script: string, limbs = LIMBS): string[] {
  return [
    `// Made by scripts/${script}, which explains it. Do not edit.`,
    `const SCRATCH: usize = memory.data(${(quotientAt(limbs) + limbs) * 16}, 16);`,
    quad("MASK", 2 ** BITS - 1),
    quad("LOW", 0xffff),
    "",
    "// @ts-ignore: decorator",
    "@inline",
    "function ZERO(): v128 {",
    "  return i32x4.splat(0);",
    "}",
    "",
    "/** Low halves of one vector, high halves of the other. */",
    "// @ts-ignore: decorator",
    "@inline",
    "function blend(low: v128, high: v128): v128 {",
    "  return v128.shuffle<u16>(low, high, 0, 9, 2, 11, 4, 13, 6, 15);",
    "}",
    "",
  ];
}
