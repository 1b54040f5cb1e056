/**
 * `npm run bench`: how fast the core verifies, decides, appraises and hashes, against node:crypto and
 * others, interleaved in one process.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { loadCore } from "../src/core/index.ts";
import { barChart } from "./chart.ts";
import { measure, type Pace, type Result } from "./measure.ts";
import { moduleFacts } from "./module.ts";
import { benchCommand } from "./options.ts";
import { measuredPage } from "./page.ts";
import { factLine, resultLines } from "./report.ts";
import { groups } from "./suites.ts";

interface Options {
  readonly quick?: boolean;
  readonly json?: string;
  readonly page?: string;
  readonly charts?: string;
  readonly only: string;
}

const command = benchCommand(
  "bench",
  "Measures how fast the core verifies, decides, appraises and hashes, in CPU time, " +
    "in turn with node:crypto and others, in one process.",
  ["--quick", '--only "ECDSA P-256" --json figures.json', "--page figures.md --charts charts"],
)
  .option("--quick", "a shorter run, of less than a minute")
  .option("--json <file>", "also write the figures, with machine, versions and commit")
  .option("--page <file>", "also write them as Markdown")
  .option("--charts <folder>", "also draw them, as SVG")
  .option("--only <text>", "only what has this text in its name", "")
  .parse();
const options = command.opts<Options>();
try {
  // Before it measures for minutes.
  if (options.charts !== undefined) mkdirSync(options.charts, { recursive: true });
  for (const file of [options.json, options.page]) {
    if (file !== undefined) closeSync(openSync(file, "a"));
  }
} catch (error) {
  command.error(`error: ${error instanceof Error ? error.message : String(error)}`);
}
const scale = options.quick ? "quick" : "full";
const pace: Pace = options.quick ? { slices: 5, sliceMs: 20 } : { slices: 15, sliceMs: 60 };
const [cpu] = cpus();

/** What is unpacked from a package has none. */
function commitHere(): string {
  const words = ["rev-parse", "--short", "HEAD"];
  const { status, stdout } = spawnSync("git", words, {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  return status === 0 ? stdout.trim() : "unknown";
}

const machine = {
  cpu: cpu?.model ?? "unknown",
  node: process.version,
  v8: process.versions.v8,
  openssl: process.versions.openssl,
  commit: commitHere(),
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
if (figures.length === 0) {
  const names = groups.flatMap((group) => group.names).join("; ");
  command.error(`error: nothing has "${options.only}" in its name; names begin with ${names}.`);
}
const run = { machine, pace, facts, figures };
if (options.json !== undefined) {
  writeFileSync(options.json, `${JSON.stringify(run, null, 2)}\n`);
}
if (options.page !== undefined) writeFileSync(options.page, measuredPage(run));
if (options.charts !== undefined) {
  for (const { name, results } of figures) {
    const file = `${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.svg`;
    writeFileSync(join(options.charts, file), barChart(name, results));
  }
}
