/**
 * Writes assembly/field/rows.generated.ts: the inner loop of long multiplication (field/long-lanes).
 * Ten limbs of one factor, each pair in all four lanes, times a run of limbs of the other, added to
 * columns of 32 bits. As in kernel-lanes, five vectors stay in registers while five accumulators
 * slide over the columns of one parity; here the run's length is not known, so five steps, after
 * which each accumulator is in its old place, are the body of a loop.
 */
import { load, op, set, store } from "./kernel-lanes.ts";

const WINDOW = 5;

/** One step of the loop: accumulator i stands for the column of vector i + step. */
function step(step: number): string[] {
  const entering = (step + WINDOW - 1) % WINDOW;
  const lines = [
    set(`w${step}`, load("w", 2 * step)),
    `    c${entering} = ${load("c", 2 * (step + WINDOW - 1))};`,
  ];
  for (let i = 0; i < WINDOW; i++) {
    const sum = `c${(step + i) % WINDOW}`;
    lines.push(`    ${sum} = ${op("add", sum, op("dot_i16x8_s", `a${i}`, `w${step}`))};`);
  }
  return [...lines, store("c", 2 * step, `c${step}`)];
}

/** The columns of one parity; the even ones have one vector more, the upper half of the last. */
function columns(odd: boolean): string[] {
  const opening = Array.from({ length: WINDOW - 1 }, (_, i) =>
    odd ? `  c${i} = ${load("c", 2 * i)};` : `  let c${i} = ${load("c", 2 * i)};`,
  );
  const closing = Array.from({ length: WINDOW }, (_, i) => {
    const sum = i === WINDOW - 1 ? load("c", 2 * i) : `c${i}`;
    if (!odd) return store("c", 2 * i, op("add", sum, op("dot_i16x8_s", `a${i}`, "last")));
    return i === WINDOW - 1 ? "" : store("c", 2 * i, sum);
  }).filter((line) => line !== "");
  return [
    ...(odd ? ["  w = run + 16;", "  c = out + 16;"] : ["  let w = run;", "  let c = out;"]),
    ...opening,
    ...(odd ? [] : ["  let c4: v128;"]),
    `  for (let turn = turns; turn > 0; --turn) {`,
    ...Array.from({ length: WINDOW }, (_, i) => step(i)).flat(),
    `    w += ${2 * WINDOW * 16};`,
    `    c += ${2 * WINDOW * 16};`,
    "  }",
    ...(odd ? [] : [set("last", "v128.load(w)")]),
    ...closing,
  ];
}

/** The text of assembly/field/rows.generated.ts. */
export function rowKernel(): string {
  return [
    "// Made by scripts/kernel-rows.ts, which explains it. Do not edit.",
    "/**",
    " * Adds to the columns from `out` on: the pairs of limbs at `a`, 16 bytes from one to the next,",
    " * times 10·turns limbs, whose twisted vectors (kernel-lanes) begin at `run`.",
    " */",
    "export function addRows(out: usize, a: usize, run: usize, turns: u32): void {",
    ...Array.from({ length: WINDOW }, (_, i) => set(`a${i}`, `v128.load32_splat(a, ${16 * i})`)),
    ...columns(false),
    ...columns(true),
    "}",
    "",
  ].join("\n");
}
