/**
 * SIGKILL of the gate at each step between collect and outcome: no job is left running, none has
 * started without a durable claim and intent, the log verifies, and an intent without an outcome is
 * shown as aborted.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Journal } from "../../src/log/journal.ts";
import { parseLeaf } from "../../src/log/leaf.ts";
import { noteSigner, noteVerifier } from "../../src/log/note.ts";
import { verifyLog } from "../../src/log/verification.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { NOW } from "../support/domain.ts";
import { nodeKey } from "../support/keys.ts";
import { makeWorld } from "../support/world.ts";
import type { Step } from "./gate-steps.ts";

const GATE = fileURLToPath(new URL("gate-steps.ts", import.meta.url));
const ORIGIN = "example.org/gate";
const key = makeWorld().signers.nodeLog;

/**
 * What each step must leave behind: the log's events before and after the next start, and whether
 * the job began.
 */
const EXPECTED: readonly (readonly [Step, readonly string[], readonly string[], boolean])[] = [
  ["before the evidence", [], [], false],
  ["after the evidence", [], [], false],
  ["before the case is kept", [], [], false],
  ["after the case is kept", [], [], false],
  ["inside the claim's transaction", [], [], false],
  ["after the claim is durable", ["intent"], ["intent", "aborted"], false],
  ["before the release", ["intent"], ["intent", "aborted"], false],
  ["while the job runs", ["intent"], ["intent", "aborted"], true],
  ["inside the outcome's transaction", ["intent"], ["intent", "aborted"], true],
  ["after the outcome is durable", ["intent", "outcome"], ["intent", "outcome"], true],
  ["never", ["intent", "outcome"], ["intent", "outcome"], true],
];

/** Processes whose arguments hold this word. */
function running(word: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0").includes(word);
    } catch {
      return false;
    }
  });
}

async function gone(word: string): Promise<void> {
  for (let i = 0; i < 200 && running(word).length > 0; i++) {
    await new Promise((done) => setTimeout(done, 10));
  }
  expect(running(word)).toEqual([]);
}

test.each(EXPECTED)("killed %s", async (step, events, later, began) => {
  // The seconds that the job sleeps name it among all processes.
  const marker = String(100_000 + Math.floor(Math.random() * 800_000));
  const gate = spawnSync(process.execPath, [GATE, step, marker], { encoding: "utf8" });
  const home = gate.stdout.split("\n")[0] ?? "";
  expect({ signal: gate.signal, errors: gate.stderr }).toEqual({
    signal: step === "never" ? null : "SIGKILL",
    errors: "",
  });
  await gone(marker);
  await gone("987");
  expect(existsSync(join(home, "started"))).toBe(began);
  const store = openSqliteStore(join(home, "state.db"));
  try {
    const seen = async () =>
      (await store.leaves(0, 100)).map(({ bytes }) => parseLeaf(bytes).event as string);
    expect(await seen()).toEqual(events);
    const claimed = events.length > 0;
    expect(await store.openRuns()).toHaveLength(events.length === 1 ? 1 : 0);
    const signer = noteSigner(ORIGIN, nodeKey(key));
    await new Journal({ store, origin: ORIGIN, signer }).abortOpenRuns(NOW);
    expect(await seen()).toEqual(later);
    const [intent] = await store.leaves(0, 1);
    const chain = intent && parseLeaf(intent.bytes).chain;
    expect(await store.uses(chain ? [chain] : [])).toEqual(claimed ? [1] : []);
    if (key.key.kty !== "OKP") throw new Error("the log key is no Ed25519 key");
    const verifier = noteVerifier(ORIGIN, key.key.x);
    const verified = await verifyLog(store, { origin: ORIGIN, verifier });
    expect(verified.size).toBe(later.length);
  } finally {
    await store.close();
    await rm(home, { recursive: true, force: true });
  }
});
