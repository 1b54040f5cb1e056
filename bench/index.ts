/**
 * `npm run bench`: how fast the core verifies, decides, appraises and hashes, against node:crypto and
 * others, interleaved in one process. `-- --quick` is a shorter run; `-- --json FILE` also writes
 * the figures with machine, versions and commit; `-- --page FILE` writes them as Markdown; `-- --charts
 * FOLDER` draws them; `-- --only TEXT` takes the suites with that text in their name.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadCore } from "../src/core/index.ts";
import { barChart } from "./chart.ts";
import { measure, type Pace, type Result } from "./measure.ts";
import { moduleFacts } from "./module.ts";
import { measuredPage } from "./page.ts";
import { factLine, resultLines } from "./report.ts";
import { groups } from "./suites.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    page: { type: "string" },
    charts: { type: "string" },
    only: { type: "string", default: "" },
  },
});
const scale = options.quick ? "quick" : "full";
const pace: Pace = options.quick ? { slices: 5, sliceMs: 20 } : { slices: 15, sliceMs: 60 };
const [cpu] = cpus();
const machine = {
  cpu: cpu?.model ?? "unknown",
  node: process.version,
  v8: process.versions.v8,
  openssl: process.versions.openssl,
  commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
};
console.log(`${machine.cpu}, Node ${machine.node}, OpenSSL ${machine.openssl}, ${machine.commit}`);
console.log("CPU time an operation; ratio to the first line, median and quartiles of the slices");
const facts = moduleFacts();
for (const fact of facts) console.log(factLine(fact));
const core = await loadCore({ preparedKeyBytes: 2 ** 30 });
const figures: { name: string; results: Result[] }[] = [];
for (const group of groups) {
  const asked = group.names.some(
    (name) => name.includes(options.only) || options.only.startsWith(name),
  );
  if (!asked) continue;
  for (const suite of await group.make(core, scale)) {
    const { name } = suite;
    if (!name.includes(options.only)) {
      await suite.end?.();
      continue;
    }
    const results = await measure(suite.subjects, suite.pace ?? pace, suite.clock);
    await suite.end?.();
    console.log(`\n${name}`);
    for (const line of resultLines(results)) console.log(line);
    figures.push({ name, results });
  }
}
const run = { machine, pace, facts, figures };
if (options.json !== undefined) {
  writeFileSync(options.json, `${JSON.stringify(run, null, 2)}\n`);
}
if (options.page !== undefined) writeFileSync(options.page, measuredPage(run));
if (options.charts !== undefined) {
  mkdirSync(options.charts, { recursive: true });
  for (const { name, results } of figures) {
    const file = `${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.svg`;
    writeFileSync(join(options.charts, file), barChart(name, results));
  }
}
