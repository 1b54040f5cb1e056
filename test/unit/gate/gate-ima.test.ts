/** The gate goes on where an IMA list was proven before: in the same boot, under the same policies, and never blindly. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AttestedRequest } from "../../../src/gate/evidence.ts";
import type { Decision } from "../../../src/gate/gate.ts";
import { skipEntries } from "../../../src/gate/ima-list.ts";
import { merkleRoot } from "../../../src/wire/merkle.ts";
import { parsePlain } from "../../../src/wire/objects.ts";
import { CLOCK, NOW } from "../../support/domain.ts";
import { type GateWorld, makeGateWorld } from "../../support/gate-world.ts";
import { BOOT_PCRS, pcr10, rulesOf, stageOf } from "../../support/ima-cases.ts";
import {
  encodeEntry,
  encodeList,
  IMA_PCR,
  legacyEntry,
  type MadeEntry,
  ngEntry,
} from "../../support/ima-lists.ts";
import { seeded } from "../../support/keys.ts";

const A = ngEntry("/bin/a");
const B = ngEntry("/bin/b");
const X = ngEntry("/tmp/x");
const RULES = rulesOf([stageOf(["/bin/a", "/bin/b"])]);

/** What the machine has measured, and which boot it is in. */
let measured: readonly MadeEntry[];
let later: readonly MadeEntry[];
let clock = CLOCK;
let gate: GateWorld;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW * 1000 });
  measured = [A];
  later = [];
  clock = CLOCK;
  gate = await makeGateWorld();
  const { world } = gate;
  const attest = async (request: Uint8Array): Promise<AttestedRequest> => {
    const sha256 = new Map([...BOOT_PCRS, [IMA_PCR, pcr10(measured)]] as const);
    const quote = world.ak.quote({ extraData: merkleRoot([request]), pcrs: { sha256 }, clock });
    const { attest, signature, values: pcrs } = quote;
    const ima = encodeList([...measured, ...later]);
    return { attest, signature, index: 0, size: 1, path: [], pcrs, ima };
  };
  await gate.dispose();
  gate = await makeGateWorld({ evidence: { attest } });
});
afterEach(async () => {
  vi.useRealTimers();
  await gate.dispose();
});

/** Decides and records a check; gives the code, and how many bytes of the list travelled. */
async function check(rules = RULES, version = 20): Promise<readonly [Decision["code"], number]> {
  const prepared = await gate.prepare();
  const materials = await gate.materials(prepared, {
    policies: [{ ima: rules }],
    snapshot: { version },
  });
  const asked = { prepared, materials, prover: gate.prover, parentRun: null };
  const decision = await gate.gate.decide(asked);
  await gate.gate.record(asked, decision, "checked");
  await prepared.close();
  if (decision.caseBytes === null) throw new Error("no case was made");
  const { evidence } = parsePlain("case", decision.caseBytes).value;
  return [decision.code, evidence.tpm.ima?.length ?? -1];
}
const bytesOf = (...entries: readonly MadeEntry[]): number => encodeList(entries).length;

test("a list is sent whole once, and then from where it was proven", async () => {
  expect(await check()).toEqual([null, bytesOf(A)]);
  expect(await check()).toEqual([null, 0]);
  measured = [A, B, A];
  expect(await check()).toEqual([null, bytesOf(B, A)]);
  expect(await check()).toEqual([null, 0]);
});

test("what came behind the quoted value is not relied on the next time", async () => {
  later = [X];
  expect(await check()).toEqual([null, bytesOf(A, X)]);
  expect(await check()).toEqual([null, bytesOf(X)]);
  [measured, later] = [[A, X], []];
  expect(await check()).toEqual(["environment.ima-file", bytesOf(A, X)]);
  // A denial proves nothing: it raises no prefix, and what was proven before stays.
  expect(await check()).toEqual(["environment.ima-file", bytesOf(A, X)]);
});

test("another boot, a restart and another policy begin anew", async () => {
  expect(await check()).toEqual([null, bytesOf(A)]);
  for (const session of [{ restartCount: 4 }, { resetCount: 13, restartCount: 0 }]) {
    clock = { ...CLOCK, ...session };
    measured = [B];
    expect(await check()).toEqual([null, bytesOf(B)]);
    expect(await check()).toEqual([null, 0]);
  }
  const fewer = rulesOf([stageOf(["/bin/b"])]);
  expect(await check(fewer, 21)).toEqual([null, bytesOf(B)]);
  expect(await check(fewer, 21)).toEqual([null, 0]);
  expect(await check(RULES, 22)).toEqual([null, 0]);
});

test("a state that was rolled back or altered costs time, and hides nothing", async () => {
  measured = [A, B];
  expect(await check()).toEqual([null, bytesOf(A, B)]);
  const policies = (await policiesOf())[0];
  const raise = (entries: number, values: readonly Uint8Array[]) =>
    gate.store.transact((transaction) =>
      transaction.raiseImaPrefix(gate.world.ak.name, policies, {
        ...{ resetCount: CLOCK.resetCount, restartCount: CLOCK.restartCount },
        ...{ entries, values },
      }),
    );
  measured = [A, B, X];
  for (const [entries, value] of [
    [3, seeded("no value")], // a value that was never there
    [9, pcr10([A, B])], // more entries than there are
  ] as const) {
    await raise(entries, [value]);
    expect(await check()).toEqual(["environment.ima-file", bytesOf(A, B, X)]);
  }
});

/** Policies of the prefixes that are held. */
async function policiesOf(): Promise<readonly [readonly Uint8Array[]]> {
  const prepared = await gate.prepare();
  const materials = await gate.materials(prepared, { policies: [{ ima: RULES }] });
  await prepared.close();
  const { parseSubject } = await import("../../../src/gate/case.ts");
  return [parseSubject(materials, null).policies ?? []];
}

test("skipEntries finds each entry, in lists of every width, and none beyond the end", () => {
  const entries = [legacyEntry("/init"), A, B, { ...A, template: "ima-sig" }, X];
  for (const bank of ["sha1", "sha256", "sha384", "sha512"] as const) {
    const list = encodeList(entries, bank);
    let at = 0;
    entries.forEach((entry, i) => {
      expect(skipEntries(list, i)).toBe(at);
      at += encodeEntry(entry, bank).length;
    });
    expect(skipEntries(list, entries.length)).toBe(list.length);
    expect(skipEntries(list, entries.length + 1)).toBe(null);
    expect(skipEntries(list.subarray(0, -1), entries.length)).toBe(null);
  }
  expect(skipEntries(new Uint8Array(0), 1)).toBe(null);
  expect(skipEntries(new Uint8Array(60).fill(0xff), 1)).toBe(null);
});
