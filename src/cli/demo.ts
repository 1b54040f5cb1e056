/**
 * `portcullis demo`: a job and a sub-job admitted, some twenty-five denied, each for its own
 * reason, on a software TPM.
 */
import { readFile, writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { monotonicMs } from "../clock.ts";
import { EXIT } from "../gate/exit-codes.ts";
import { LogTampered } from "../log/error.ts";
import { verifyLog } from "../log/verification.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { SCENARIOS } from "./demo/scenarios.ts";
import { ORIGIN, Site } from "./demo/site.ts";
import { type Trial, tryOne } from "./demo/trial.ts";
import { oneLine, printLines } from "./print.ts";
import type { Session } from "./session.ts";
import { defineVerb } from "./verb.ts";

type Say = (line: string) => void;

/** The whole demo; true where every outcome is the expected one. */
async function demo(session: Session): Promise<number> {
  const started = monotonicMs();
  const say: Say = session.json ? () => undefined : (line) => printLines([line]);
  say("Setting the stage:");
  await using site = await Site.build((what) => say(`  - ${what}`));
  // Standard output is the result's alone with --json.
  site.jobOutput = session.json ? 2 : 1;
  say("Trying the gate:");
  const trials: Trial[] = [];
  for (const scenario of SCENARIOS) trials.push(await attempt(site, scenario, say));
  const audit = await auditTwice(site, say);
  const failed = trials.filter(({ faults }) => faults.length > 0).length + audit.length;
  if (!session.json) printTable(trials, say);
  const seconds = ((monotonicMs() - started) / 1000).toFixed(1);
  say(failed === 0 ? `All as it must be, in ${seconds} s.` : `${failed} not as they must be.`);
  session.tell({ ok: failed === 0, trials: trials.map((trial) => ({ ...trial })), audit }, []);
  return failed === 0 ? 0 : EXIT.internal;
}

async function attempt(site: Site, scenario: (typeof SCENARIOS)[number], say: Say): Promise<Trial> {
  const { title, expected } = scenario;
  let trial: Trial;
  try {
    trial = await tryOne(site, scenario);
  } catch (error) {
    const said = oneLine(error instanceof Error ? error.message : String(error));
    trial = { title, expected, actual: null, faults: [`it failed: ${said}`] };
  }
  const verdict = trial.actual ?? (trial.faults.length === 0 ? "admitted" : "no code");
  say(`  ${trial.faults.length === 0 ? "ok  " : "FAIL"} ${title}: ${verdict}`);
  for (const fault of trial.faults) say(`       ${fault}`);
  return trial;
}

/**
 * The log verifies; then a bit of a leaf is flipped on disk, and it no longer does. Gives what went
 * wrong.
 */
async function auditTwice(site: Site, say: Say): Promise<string[]> {
  const faults: string[] = [];
  const verifier = await site.verifier();
  const { size } = await verifyLog(site.open(), { origin: ORIGIN, verifier });
  say(`  ok   the audit log verifies: ${size} leaves from the first on`);
  const [leaf] = await site.open().leaves(3, 1);
  await site.open().close();
  site.store = null;
  if (leaf === undefined) return ["the log has no leaf 3"];
  await flipBit(site.home.state, leaf.bytes);
  const store = openSqliteStore(site.home.state);
  try {
    await verifyLog(store, { origin: ORIGIN, verifier });
    faults.push("the tampered log verifies");
  } catch (error) {
    if (!(error instanceof LogTampered) || error.index !== leaf.index) faults.push(String(error));
    else say(`  ok   one bit of leaf ${error.index} flipped: ${error.message}`);
  } finally {
    await store.close();
  }
  for (const fault of faults) say(`  FAIL ${fault}`);
  return faults;
}

/**
 * Flips the last bit of these bytes wherever they stand in the file: a free page may hold a copy.
 */
async function flipBit(file: string, bytes: Uint8Array): Promise<void> {
  const whole = await readFile(file);
  let at = whole.indexOf(bytes);
  if (at < 0) throw new Error("the leaf is not in the file");
  for (; at >= 0; at = whole.indexOf(bytes, at + 1)) {
    const last = at + bytes.length - 1;
    whole[last] = (whole[last] ?? 0) ^ 1;
  }
  await writeFile(file, whole);
}

function printTable(trials: readonly Trial[], say: Say): void {
  const width = Math.max(...trials.map(({ title }) => title.length));
  say("");
  say(`${"what was presented".padEnd(width)}  outcome`);
  say(`${"-".repeat(width)}  ${"-".repeat(32)}`);
  for (const { title, actual, faults } of trials) {
    const outcome = actual === null ? "admitted" : `denied: ${actual}`;
    say(`${title.padEnd(width)}  ${faults.length === 0 ? outcome : `WRONG (${outcome})`}`);
  }
  say("");
}

export function register(program: Command): void {
  defineVerb<object>(program, {
    name: "demo",
    summary: "watch a job admitted and others denied, on a software TPM",
    examples: ["portcullis demo", "portcullis demo --json"],
    notes: [
      "Needs swtpm and swtpm-tools (`scripts/setup` installs them). Leaves nothing behind.",
      "JSON: {ok, trials: [{title, expected, actual, faults}], audit}",
    ],
    run: demo,
  });
}
