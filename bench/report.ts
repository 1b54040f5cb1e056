/** Figures as lines of text. */
import type { Result } from "./measure.ts";
import type { Fact } from "./module.ts";

const judged = (budget: number | null, met: boolean, relation: string): string =>
  budget === null ? "" : `  budget ${relation} ${+budget.toFixed(2)}: ${met ? "met" : "NOT met"}`;

export function factLine({ name, value, unit, budget }: Fact): string {
  const figure = Number.isInteger(value) ? String(value) : value.toFixed(2);
  const verdict = judged(budget, budget !== null && value <= budget, "<=");
  return `  ${name.padEnd(40)} ${figure.padStart(9)} ${unit}${verdict}`;
}

/** One line a subject: time, ratio, quartiles, budget. */
export function resultLines(results: readonly Result[]): string[] {
  return results.map(({ name, us, ratio, low, high, budget }) => {
    const time = us.toFixed(us < 10 ? 2 : 1).padStart(9);
    const spread = `(${low.toFixed(2)} to ${high.toFixed(2)})`.padEnd(16);
    const verdict = judged(budget, budget !== null && ratio >= budget, ">=");
    return `  ${name.padEnd(46)} ${time} us ${ratio.toFixed(2).padStart(6)}x ${spread}${verdict}`;
  });
}
