/** The benchmark's own parts: statistics, lines, charts, and every suite once. */
import { expect, test } from "vitest";
import { barChart } from "../../../bench/chart.ts";
import { measure, quantile, type Result } from "../../../bench/measure.ts";
import { moduleFacts } from "../../../bench/module.ts";
import { measuredPage } from "../../../bench/page.ts";
import { factLine, resultLines } from "../../../bench/report.ts";
import { groups } from "../../../bench/suites.ts";
import { loadCore } from "../../../src/core/index.ts";

const base: Result = { name: "<a> & b", budget: null, us: 80, ratio: 1, low: 1, high: 1 };
const results: Result[] = [
  base,
  { name: "met", budget: 6, us: 10, ratio: 8, low: 7, high: 9 },
  { name: "missed", budget: 6, us: 20, ratio: 4, low: 3, high: 5 },
];

test("quantiles are of the values, whatever their order", () => {
  expect([0, 0.25, 0.5, 0.75, 1].map((share) => quantile([5, 1, 4, 2, 3], share))).toEqual([
    1, 2, 3, 4, 5,
  ]);
  expect(quantile([], 0.5)).toBeNaN();
});

test("a subject that does three times the work is a third as fast", async () => {
  const work = (times: number) => (): void => {
    let x = 1;
    for (let i = 0; i < times * 20_000; i++) x = Math.imul(x, 31) + i;
    if (x === 0.5) throw new Error("unreachable");
  };
  const subjects = [1, 3].map((n) => ({ name: `${n}`, operations: 1, run: work(n) }));
  const [one, three] = await measure(subjects, { slices: 9, sliceMs: 5 });
  expect(one).toMatchObject({ ratio: 1, low: 1, high: 1, budget: null });
  expect(three?.ratio).toBeGreaterThan(0.1);
  expect(three?.ratio).toBeLessThan(0.9);
});

test("lines say whether a budget is met, and nothing where there is none", () => {
  const [first = "", met = "", missed = ""] = resultLines(results);
  expect(first).not.toContain("budget");
  expect(met).toMatch(/8\.00x \(7\.00 to 9\.00\).*budget >= 6: met$/);
  expect(missed).toMatch(/budget >= 6: NOT met$/);
  expect(factLine({ name: "size", value: 2, unit: "ms", budget: 1 })).toMatch(/<= 1: NOT met$/);
});

test("a page has a table for each suite, and says what was missed", () => {
  const facts = [{ name: "size", value: 150_000, unit: "bytes", budget: 163_840 }];
  const figures = [{ name: "One suite", results }];
  const pace = { slices: 3, sliceMs: 20 };
  const page = measuredPage({ machine: { cpu: "x" }, pace, facts, figures });
  expect(page).toContain("| size | 150,000 bytes | 163840, met |");
  expect(page).toContain("## One suite\n\n|  | us | ratio | budget |\n| --- |");
  expect(page).toContain("| met | 10.0 | 8.00 (7.00 to 9.00) | 6, met |");
  expect(page).toContain("| missed | 20.0 | 4.00 (3.00 to 5.00) | 6, **not met** |");
});

test("a chart is well-formed SVG with a bar a subject, and marks what was missed", () => {
  const svg = barChart("<x> & y", results);
  const open: string[] = [];
  for (const [, close, name = "", rest = ""] of svg.matchAll(
    /<(\/?)([a-z]+)((?:"[^"]*"|[^">])*)>/g,
  )) {
    if (close === "/") expect(open.pop()).toBe(name);
    else if (!rest.endsWith("/")) open.push(name);
  }
  expect(open).toEqual([]);
  expect(svg.replaceAll(/<[^>]*>/g, "")).not.toMatch(/[<>]|&(?!amp;|lt;|gt;)/);
  expect(svg.match(/<rect /g)).toHaveLength(3);
  expect(svg.match(/class="missed"/g)).toHaveLength(1);
  expect(svg).not.toContain("NaN");
  expect(svg).toContain("prefers-color-scheme: dark");
});

test("the module keeps its budgets of size, and its tables their sizes", () => {
  const facts = new Map(moduleFacts().map(({ name, value }) => [name, value]));
  expect(facts.get("core.simd.wasm")).toBeLessThanOrEqual(160 * 1024);
  expect(facts.get("memory for a warm P-256 key")).toBe(66_560);
});

test("every suite runs", async () => {
  const core = await loadCore();
  for (const { names, make } of groups) {
    for (const { name, subjects, end } of await make(core, "once")) {
      expect(names.some((start) => name.startsWith(start))).toBe(true);
      for (const { run } of subjects) await run();
      await end?.();
    }
  }
});
