/**
 * Writes assembly/field/p256-lanes.generated.ts: multiplication modulo the prime of P-256 for four independent numbers
 * at once, unrolled, for the build to compile. (AssemblyScript does not unroll, and its loads want literal offsets.)
 *
 * A number is 20 limbs of 13 bits in Montgomery's form with R = 2^260. A vector holds four numbers, one in each 32-bit
 * lane; the lane has two limbs as signed 16-bit halves, so that ten vectors hold four numbers. One instruction,
 * i32x4.dot_i16x8_s, forms a[2p]·b[m] + a[2p+1]·b[m-1] in each lane, half of what a column 2p + m of the product wants.
 *
 * Bounds that keep each 32-bit column from overflowing: a column sums 20 products; with one factor's limbs below 2^13
 * and the other's (a difference) below 12,288, limb 14 of both perhaps 2,048 more, they stay below 2^31 - 2^26, which
 * leaves room for the reduction.
 */

const LIMBS = 20;
const PAIRS = LIMBS / 2;
const BITS = 13;
/** Vectors of one operand that stay in registers during a pass. */
const WINDOW = 5;

/** p = 2^256 - 2^224 + 2^192 + 2^96 - 1, without the -1: exponent and sign of each power of two. */
const POWERS = [
  { exponent: 96, operation: "add" },
  { exponent: 192, operation: "add" },
  { exponent: 224, operation: "sub" },
  { exponent: 256, operation: "add" },
] as const;

// Scratch, in vectors from its start: the twisted operand, both halves of the columns, the quotient's digits.
const TWISTED = 0;
const COLUMNS = TWISTED + LIMBS + 1;
const UPPER = COLUMNS + 2 * LIMBS;
const QUOTIENT = UPPER + 2 * LIMBS;
const SCRATCH_VECTORS = QUOTIENT + LIMBS;

const at = (vector: number): string => `${vector * 16}`;
const load = (base: string, vector: number): string => `v128.load(${base}, ${at(vector)})`;
const store = (base: string, vector: number, value: string): string =>
  `  v128.store(${base}, ${value}, ${at(vector)});`;
const op = (name: string, a: string, b: string | number): string => `i32x4.${name}(${a}, ${b})`;
const set = (name: string, value: string): string => `  const ${name} = ${value};`;

/**
 * The second operand with neighbours paired the other way round: vector m has b[m] in its low halves and b[m-1] in its
 * high ones, for m = 0 to 20 (limbs outside are zero).
 */
function twist(): string[] {
  const swap = "2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13";
  const lines = ["  let previous = ZERO();", "  let pair: v128;"];
  for (let q = 0; q < PAIRS; q++) {
    lines.push(`  pair = ${load("b", q)};`);
    lines.push(store("s", TWISTED + 2 * q, "blend(pair, previous)"));
    lines.push(store("s", TWISTED + 2 * q + 1, `v128.shuffle<u8>(pair, pair, ${swap})`));
    lines.push("  previous = pair;");
  }
  lines.push(store("s", TWISTED + LIMBS, "blend(ZERO(), previous)"));
  return lines;
}

/**
 * Half of the first operand (five vectors, in registers) times every second twisted vector: five accumulators slide
 * over the columns of one parity, and each column is stored when the window leaves it.
 */
function pass(half: number, parity: number): string[] {
  const first = half * WINDOW;
  const base = half === 0 ? COLUMNS : UPPER;
  const id = `${half}${parity}`;
  const lines = Array.from({ length: WINDOW }, (_, i) => set(`a${id}${i}`, load("a", first + i)));
  const sums = new Map<number, string>();
  const last = parity === 0 ? LIMBS : LIMBS - 1;
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

/** A column: what the two halves of the product, the quotient's digits and the carry give it, less c's limb. */
function column(k: number, less: string | null = null): string {
  const terms: { operation: "add" | "sub"; value: string }[] = [];
  const lower = 2 * (WINDOW - 1) + LIMBS;
  if (k <= lower) terms.push({ operation: "add", value: load("s", COLUMNS + k) });
  if (k >= 2 * WINDOW && k < 2 * LIMBS - 1) {
    terms.push({ operation: "add", value: load("s", UPPER + k) });
  }
  if (less !== null) terms.push({ operation: "sub", value: less });
  for (const { exponent, operation } of POWERS) {
    const digit = k - Math.floor(exponent / BITS);
    if (digit < 0 || digit >= LIMBS) continue;
    terms.push({ operation, value: op("shl", load("s", QUOTIENT + digit), exponent % BITS) });
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
 * Montgomery's reduction. As p is -1 modulo 2^13, the digit of the quotient is the column's own low 13 bits, and
 * adding -1 times it leaves exactly the carry.
 */
function reduce(): string[] {
  const lines = ["  const mask = v128.load(MASK);", "  let carry: v128;", "  let t: v128;"];
  for (let k = 0; k < LIMBS; k++) {
    lines.push(`  t = ${column(k)};`);
    lines.push(store("s", QUOTIENT + k, "v128.and(t, mask)"));
    lines.push(`  carry = ${op("shr_s", "t", BITS)};`);
  }
  return lines;
}

/** Carries through the upper columns (less c, where there is one) and packs pairs of limbs. */
function finish(subtract: boolean): string[] {
  const lines = ["  let low: v128;"];
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
 * Takes off the multiple of p that the top limb shows, so that the number ends within p/2 and a little: with
 * h = round(number / 2^256), number - h·p, added to the limbs in which the powers of p lie.
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
  const name = subtract ? "mulSub" : "mul";
  const extra = subtract ? ", c: usize" : "";
  const doc = subtract
    ? "/** out = a·b/R - c in each lane, within p/2 and a little. out may be an operand. */"
    : "/** out = a·b/R in each lane, between -p/8 and 9p/8. out may be an operand. */";
  const stores = Array.from({ length: PAIRS }, (_, j) => store("out", j, `r${j}`));
  return [
    doc,
    `export function ${name}(out: usize, a: usize, b: usize${extra}): void {`,
    "  const s = SCRATCH;",
    ...twist(),
    ...pass(0, 0),
    ...pass(1, 0),
    ...pass(0, 1),
    ...pass(1, 1),
    ...reduce(),
    ...finish(subtract),
    ...(subtract ? settle() : stores),
    "}",
    "",
  ];
}

/** The text of assembly/field/p256-lanes.generated.ts. */
export function laneKernels(): string {
  const quad = (value: number): string => `memory.data<i32>([${Array(4).fill(value).join(", ")}])`;
  return [
    "// Made by scripts/kernel-lanes.ts, which explains it. Do not edit.",
    `const SCRATCH: usize = memory.data(${SCRATCH_VECTORS * 16}, 16);`,
    "// Loaded, not written as constants: V8 would build those anew at each use (measured).",
    `const MASK: usize = ${quad(2 ** BITS - 1)};`,
    `const HALF: usize = ${quad(2 ** (255 - BITS * (LIMBS - 1)))};`,
    `const LOW: usize = ${quad(0xffff)};`,
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
    ...kernel(false),
    ...kernel(true),
  ].join("\n");
}
