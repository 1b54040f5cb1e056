/** The figures of a run as a page of Markdown: docs/measured.md. */
import type { Pace, Result } from "./measure.ts";
import type { Fact } from "./module.ts";

export interface Run {
  /** Processor, versions and commit. */
  readonly machine: Readonly<Record<string, string>>;
  readonly pace: Pace;
  readonly facts: readonly Fact[];
  readonly figures: readonly { readonly name: string; readonly results: readonly Result[] }[];
}

const row = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
const table = (head: readonly string[], rows: readonly string[][]): string[] => [
  row(head),
  row(head.map(() => "---")),
  ...rows.map(row),
];
const judged = (budget: number | null, met: boolean): string =>
  budget === null ? "" : `${+budget.toFixed(2)}, ${met ? "met" : "**not met**"}`;

function resultRow({ name, us, ratio, low, high, budget }: Result): string[] {
  const time = us.toFixed(us < 10 ? 2 : 1);
  const spread = `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
  return [name, time, spread, judged(budget, budget !== null && ratio >= budget)];
}

function factRow({ name, value, unit, budget }: Fact): string[] {
  const figure = Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(2);
  return [name, `${figure} ${unit}`, judged(budget, budget !== null && value <= budget)];
}

/** The whole page. */
export function measuredPage({ machine, pace, facts, figures }: Run): string {
  const { slices, sliceMs } = pace;
  return [
    "# Measured",
    "",
    "Written by `npm run bench -- --page docs/measured.md`. CPU time of an operation in microseconds, and how",
    `many times as fast it is as the first line of its table: median and quartiles of ${slices} slices of`,
    `${sliceMs} ms, in turn with the others. [How the core is fast](performance.md) says what lies behind, and`,
    "what was tried where a budget is not met.",
    "",
    ...table(
      ["", ""],
      Object.entries(machine).map(([name, value]) => [name, value]),
    ),
    "",
    ...table(["the module", "", "budget"], facts.map(factRow)),
    ...figures.flatMap(({ name, results }) => [
      "",
      `## ${name}`,
      "",
      ...table(["", "us", "ratio", "budget"], results.map(resultRow)),
    ]),
    "",
  ].join("\n");
}
