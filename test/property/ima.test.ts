/** IMA lists of any kind: judged in pieces as in one, hostile bytes without a trap, and every cut denied. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { loadCore } from "../../src/core/index.ts";
import { concat } from "../support/ak.ts";
import { le32 } from "../support/event-logs.ts";
import {
  bufferEntry,
  imaCase,
  pcr10,
  rulesOf,
  signedEntry,
  stageOf,
} from "../support/ima-cases.ts";
import { encodeList, legacyEntry, type MadeEntry, ngEntry } from "../support/ima-lists.ts";
import { makeWorld } from "../support/world.ts";

const core = await loadCore();
const world = makeWorld();
const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);

const anEntry = fc.constantFrom<MadeEntry>(
  ...[ngEntry("/bin/a"), ngEntry("/bin/a"), ngEntry("/bin/b"), ngEntry("/bin/b")],
  ...[legacyEntry("/init"), bufferEntry(".ima"), signedEntry("/x", new Uint8Array(0))],
  ...[ngEntry("/bin/c"), ngEntry("boot_aggregate"), ngEntry("/bin/a", "zero")],
);
const anEnd = fc.option(fc.integer({ min: 1, max: 9 }), { nil: null });
const aStage = fc.record({
  from: fc.integer({ min: 0, max: 6 }),
  length: anEnd,
  paths: fc.subarray(["/bin/a", "/bin/b", "/bin/c"], { minLength: 1 }),
});

test(`a list judged in any two pieces is judged as the whole (seed ${seed})`, async () => {
  const entries = fc.array(anEntry, { minLength: 1, maxLength: 8 });
  const stages = fc.array(aStage, { minLength: 1, maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(entries, stages, fc.nat(8), async (list, drawn, cut) => {
      const rules = rulesOf(
        drawn.map(({ from, length, paths }) =>
          stageOf(paths, { from, to: length === null ? null : from + length }),
        ),
      );
      const whole = core.decide(await world.caseBytes(imaCase(list, { rules })));
      const at = Math.min(cut, list.length);
      const [prefix, rest] = [list.slice(0, at), list.slice(at)];
      if (prefix.length === 0) return;
      const first = core.decide(await world.caseBytes(imaCase(prefix, { rules })));
      if (first.ima === null) {
        // What is not proven is not continued; and more entries make nothing allowed.
        expect(whole.allow).toBe(false);
        return;
      }
      expect(first.ima).toEqual({ entries: at, values: [pcr10(prefix)] });
      const second = core.decide(await world.caseBytes(imaCase(rest, { rules, prefix })));
      expect([second.code, second.ima]).toEqual([whole.code, whole.ima]);
    }),
    { seed, numRuns: 40 },
  );
});

test("every cut of a list is denied, and lengths up to 2^32 - 1 cost nothing", async () => {
  const entries = [ngEntry("/bin/a"), ngEntry("/bin/b")];
  const built = await world.build(imaCase(entries));
  const list = encodeList(entries);
  const judge = async (ima: Uint8Array) => {
    const tpm = { ...built.evidence.tpm, ima };
    return core.decide(await world.caseBytes({ ...imaCase(entries), evidence: { tpm } })).code;
  };
  expect(await judge(list)).toBe(null);
  for (let end = 0; end < list.length; end += end < 100 ? 1 : 7) {
    expect(await judge(list.subarray(0, end)), `${end}`).toMatch(/^environment\.ima-/);
  }
  for (const length of [0xffff_ffff, 0x8000_0000, 0x7fff_ffff, 256, 0]) {
    for (const at of [24, 34]) {
      const hostile = concat(list.subarray(0, at), le32(length), list.subarray(at + 4));
      expect(await judge(hostile), `${length} at ${at}`).toMatch(/^environment\.ima-/);
    }
  }
});
