/**
 * `npm run bench`: how fast the core verifies and hashes, against node:crypto and others,
 * interleaved in one process. `-- --quick` takes under a minute; `-- --json FILE` also writes the
 * figures with machine, versions and commit.
 */
import { execFileSync } from "node:child_process";
import { hash as nativeHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { sha256 } from "@noble/hashes/sha2.js";
import { loadCore } from "../src/core/index.ts";
import { measure, type Pace, type Result } from "./measure.ts";
import { otherSuites, p256Suites, type Suite } from "./signatures.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    only: { type: "string" },
  },
});
const pace: Pace = options.quick ? { slices: 5, sliceMs: 20 } : { slices: 15, sliceMs: 60 };

function hashSuite(core: Awaited<ReturnType<typeof loadCore>>, bytes: number): Suite {
  const message = new Uint8Array(randomBytes(bytes));
  const subjects = [
    { name: "crypto.hash", run: () => void nativeHash("sha256", message, "buffer") },
    { name: "core.hash", run: () => void core.hash("sha256", message) },
    { name: "@noble/hashes", run: () => void sha256(message) },
  ];
  const name = `SHA-256 of ${bytes} bytes`;
  return { name, subjects: subjects.map((subject) => ({ ...subject, operations: 1 })) };
}

function show(name: string, results: readonly Result[]): void {
  console.log(`\n${name}`);
  for (const { name: subject, us, ratio, low, high } of results) {
    const time = us.toFixed(us < 10 ? 2 : 1).padStart(9);
    const spread = `${low.toFixed(2)} to ${high.toFixed(2)}`;
    console.log(
      `  ${subject.padEnd(52)} ${time} us  ${ratio.toFixed(2).padStart(6)}x  (${spread})`,
    );
  }
}

const started = performance.now();
const core = await loadCore({ preparedKeyBytes: 2 ** 30 });
const startMs = performance.now() - started;
const [cpu] = cpus();
const machine = {
  cpu: cpu?.model ?? "unknown",
  node: process.version,
  v8: process.versions.v8,
  openssl: process.versions.openssl,
  commit: execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim(),
};
console.log(`${machine.cpu}, Node ${machine.node}, OpenSSL ${machine.openssl}, ${machine.commit}`);
console.log(`CPU time an operation; ratio to the first line, median and quartiles of the slices`);
console.log(`loading the core: ${startMs.toFixed(1)} ms`);
const suites = [
  ...p256Suites(core, options.quick),
  ...otherSuites(core),
  ...[145, 65_536].map((bytes) => hashSuite(core, bytes)),
].filter(({ name }) => name.includes(options.only ?? ""));
const figures: { name: string; results: Result[] }[] = [];
for (const { name, subjects } of suites) {
  const results = await measure(subjects, pace);
  show(name, results);
  figures.push({ name, results });
}
if (options.json !== undefined) {
  const text = JSON.stringify({ machine, pace, startMs, figures }, null, 2);
  writeFileSync(options.json, `${text}\n`);
}
