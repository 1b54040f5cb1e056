/** Batches of cases, and the memory of what verified; test/property/decide-batch compares verdicts. */
import { expect, test } from "vitest";
import { CoreError, loadCore } from "../../../src/core/index.ts";
import { makeWorld } from "../../support/world.ts";

const world = makeWorld();

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
