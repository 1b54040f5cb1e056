/** Batches of cases, and the memory of verified signatures: neither changes a verdict. */
import { expect, test } from "vitest";
import { CODE_LIST, CoreError, loadCore } from "../../../src/core/index.ts";
import { denialCase } from "../../support/denials.ts";
import { makeWorld } from "../../support/world.ts";

const world = makeWorld();

async function everyCase(): Promise<Uint8Array[]> {
  const cases = [await world.caseBytes()];
  for (const code of CODE_LIST) {
    const bytes = await denialCase(world, code);
    if (bytes !== null) cases.push(bytes);
  }
  return cases;
}

test("a batch gives what each case gives alone, in order, in a core that has seen none of it", async () => {
  const cases = await everyCase();
  const alone = [];
  for (const bytes of cases) alone.push((await loadCore()).decide(bytes));
  const core = await loadCore();
  const batch = core.decideBatch(cases);
  expect(batch).toEqual(alone);
  expect(core.decideBatch([...cases].reverse())).toEqual([...alone].reverse());
  expect(core.decideBatch([])).toEqual([]);
});

test("an object that verified is judged anew when one bit of it differs", async () => {
  const core = await loadCore();
  const built = await world.build();
  expect(core.decide(built.bytes).allow).toBe(true);
  const objects = [built.charter, built.snapshot, built.grant, built.node, ...built.policies];
  for (const { bytes } of objects) {
    const at = Buffer.from(built.bytes).indexOf(bytes) + bytes.length - 1;
    const forged = built.bytes.slice();
    forged[at] = (forged[at] ?? 0) ^ 1;
    expect(core.decide(forged).allow).toBe(false);
    expect(core.decide(built.bytes).allow).toBe(true);
  }
});

test("a shape error names its index, before any work", async () => {
  const core = await loadCore();
  const cases = [await world.caseBytes(), "no bytes" as unknown as Uint8Array];
  expect(() => core.decideBatch(cases)).toThrow(CoreError);
  expect(() => core.decideBatch(cases)).toThrow(expect.objectContaining({ index: 1 }));
});
