/**
 * Bar charts as SVG: one bar a subject, as long as its ratio, with the quartiles as a line and the
 * budget as a mark. Colours follow the reader's scheme, and every colour reads on white and black.
 */
import type { Result } from "./measure.ts";

const WIDTH = 760;
const LABEL = 330;
const ROW = 26;
const TOP = 44;
const RIGHT = 90;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 15px }
  .bar { fill: #2f6fdb } .base { fill: #8a94a0 } .missed { fill: #c4701c }
  .spread { stroke: #24292f; stroke-width: 1.5 } .budget { stroke: #1a7f37; stroke-width: 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .spread { stroke: #e6edf3 } .budget { stroke: #3fb950 }
    .bar { fill: #539bf5 } .missed { fill: #e0913f }
  }`;

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const escaped = (text: string): string => text.replace(/[&<>]/g, (c) => ENTITIES[c] ?? c);
const fixed = (value: number): string => value.toFixed(1);

/** A chart of a suite's results, the first being what the others are compared with. */
export function barChart(title: string, results: readonly Result[]): string {
  const longest = Math.max(...results.map(({ high, budget }) => Math.max(high, budget ?? 0)), 1);
  const scale = (WIDTH - LABEL - RIGHT) / longest;
  const rows = results.map((result, i) => row(result, TOP + i * ROW, scale, i === 0));
  const height = TOP + results.length * ROW + 30;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}\n</style>`,
    `<text class="title" x="8" y="24">${escaped(title)}</text>`,
    ...rows,
    `<text x="8" y="${height - 8}">times as fast; line: quartiles; green: budget</text>`,
    "</svg>",
    "",
  ].join("\n");
}

function row(result: Result, y: number, scale: number, isBase: boolean): string {
  const { name, ratio, low, high, budget } = result;
  const missed = budget !== null && ratio < budget;
  const kind = isBase ? "base" : missed ? "missed" : "bar";
  const middle = y + 9;
  const line = (a: number, b: number, top: number, bottom: number, style: string): string =>
    `<line class="${style}" x1="${fixed(LABEL + a * scale)}" x2="${fixed(LABEL + b * scale)}" ` +
    `y1="${top}" y2="${bottom}"/>`;
  return [
    `<text x="${LABEL - 8}" y="${y + 14}" text-anchor="end">${escaped(name)}</text>`,
    `<rect class="${kind}" x="${LABEL}" y="${y}" width="${fixed(ratio * scale)}" height="18"/>`,
    isBase ? "" : line(low, high, middle, middle, "spread"),
    budget === null ? "" : line(budget, budget, y - 2, y + 20, "budget"),
    `<text x="${fixed(LABEL + Math.max(ratio, high) * scale + 6)}" y="${y + 14}">${ratio.toFixed(2)}×</text>`,
  ].join("");
}
