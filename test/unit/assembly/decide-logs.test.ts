/** Logs in a case: the decision judges them as `appraiseQuote` does, and allows only what replays to the quote. */
import { describe, expect, test } from "vitest";
import { type Code, loadCore } from "../../../src/core/index.ts";
import type { PcrBanks } from "../../support/ak.ts";
import { agileLog, EV_SEPARATOR, measured, replayed } from "../../support/event-logs.ts";
import { encodeList, type MadeEntry, ngEntry, replayedIma } from "../../support/ima-lists.ts";
import { type CaseOverrides, makeWorld } from "../../support/world.ts";

const core = await loadCore({ build: "checked" });
const world = makeWorld();

interface Logs {
  readonly eventLog?: Uint8Array;
  readonly ima?: Uint8Array;
}

const events = [0, 4, 7].map((pcr) => measured(pcr, EV_SEPARATOR, new Uint8Array(4)));
const entries = [ngEntry("boot_aggregate"), ngEntry("/bin/sh")];
const eventLog = agileLog(["sha256"], events);
const ima = encodeList(entries);

/** A machine that measured just this, and a policy that allows it. */
function machine(list: readonly MadeEntry[] = entries): CaseOverrides {
  const all = { ...replayed(["sha256"], events).sha256, ...replayedIma(list, "sha256") };
  const values = Object.entries(all).map(([pcr, value]) => [Number(pcr), value] as const);
  const pcrs: PcrBanks = { sha256: new Map(values) };
  const allowed = new Map(values.map(([pcr, value]) => [pcr, [value]] as const));
  return { pcrs, policies: [{ pcrs: { sha256: allowed } }] };
}

async function codesOf(logs: Logs, overrides = machine()): Promise<readonly Code[]> {
  const { evidence } = await world.build(overrides);
  const tpm = { ...evidence.tpm, ...logs };
  const bytes = await world.caseBytes({ ...overrides, evidence: { tpm } });
  const verdict = core.decide(bytes);
  const explained = core.decide(bytes, { explain: true });
  expect(explained.allow).toBe(verdict.allow);
  expect(verdict.allow).toBe(explained.codes.length === 0);
  expect(verdict.code).toBe(explained.codes[0] ?? null);
  return explained.codes;
}

test("logs that replay to the quote are allowed, one of them or both", async () => {
  for (const logs of [{ eventLog }, { ima }, { eventLog, ima }]) {
    expect(await codesOf(logs)).toEqual([]);
  }
  expect(await codesOf({ ima: encodeList([...entries, ngEntry("/tmp/later")]) })).toEqual([]);
});

describe("denied", () => {
  const violation = [...entries, ngEntry("/var/log/x", "zero")];
  const other = agileLog(["sha256"], [...events].reverse());
  const cases: readonly (readonly [string, Logs, Code])[] = [
    ["an empty event log", { eventLog: new Uint8Array() }, "environment.eventlog-malformed"],
    ["a cut event log", { eventLog: eventLog.subarray(0, -1) }, "environment.eventlog-malformed"],
    [
      "an event more",
      { eventLog: agileLog(["sha256"], [...events, ...events]) },
      "environment.eventlog-mismatch",
    ],
    [
      "an event less",
      { eventLog: agileLog(["sha256"], events.slice(1)) },
      "environment.eventlog-missing",
    ],
    ["an empty list", { ima: new Uint8Array() }, "environment.ima-mismatch"],
    ["an entry less", { ima: encodeList(entries.slice(0, 1)) }, "environment.ima-mismatch"],
    ["a cut entry", { ima: ima.subarray(0, -1) }, "environment.ima-incomplete"],
  ];
  test.each(cases)("%s", async (_, logs, code) => {
    expect(await codesOf(logs)).toEqual([code]);
  });

  test("a violation before the quote", async () => {
    const logs = { ima: encodeList(violation) };
    expect(await codesOf(logs, machine(violation))).toEqual(["environment.ima-violation"]);
  });

  test("by both logs at once, each named", async () => {
    const codes = await codesOf({ eventLog: other.subarray(0, -1), ima: ima.subarray(0, -1) });
    expect(codes).toEqual(["environment.eventlog-malformed", "environment.ima-incomplete"]);
  });

  test("good logs do not help where the policy does not allow the values", async () => {
    const { pcrs } = machine();
    const wrong = { ...(pcrs ? { pcrs } : {}) };
    expect(await codesOf({ eventLog, ima }, wrong)).toContain("environment.pcr-mismatch");
  });
});
