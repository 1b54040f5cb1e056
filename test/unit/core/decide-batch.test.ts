/** Batches of cases, and the memory of what verified; test/property/decide-batch compares verdicts. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inGroups, prepareCases } from "../../../src/core/batch.ts";
import { CoreError, loadCore } from "../../../src/core/index.ts";
import type { Exports } from "../../../src/core/instance.ts";
import { seeded } from "../../support/keys.ts";
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

test("preparing a batch never traps, and gives keys that come again their tables", async () => {
  const module = await WebAssembly.compile(readFileSync("src/core/wasm/core.simd.wasm"));
  const core = new WebAssembly.Instance(module).exports as unknown as Exports;
  const cases = [];
  for (let i = 0; i < 12; i++) {
    const { bytes } = await world.build({ grant: { cti: seeded(`grant ${i}`, 16) } });
    cases.push(bytes, bytes.subarray(0, bytes.length - 9));
  }
  for (const group of [cases, cases, [new Uint8Array(0), ...cases.slice(0, 3)]]) {
    prepareCases(core, group);
  }
  expect(core.keyBytes()).toBeGreaterThan(0);
  core.limitKeyBytes(0);
  prepareCases(core, cases);
});

test("groups keep order, hold 64 cases and fit the input region", () => {
  const sizes = [...Array.from({ length: 130 }, () => 10), 9_000_000, 9_000_000, 16_777_216, 5];
  const cases: Uint8Array[] = sizes.map((size) => new Uint8Array(size));
  const groups = inGroups(cases);
  // By identity: comparing 34 MB byte by byte takes the tests' reporter ten seconds.
  expect(groups.flat().map((bytes) => cases.indexOf(bytes))).toEqual([...cases.keys()]);
  expect(groups.map(({ length }) => length)).toEqual([64, 64, 3, 1, 1, 1]);
});

test("a shape error names its index, before any work", async () => {
  const core = await loadCore();
  const cases = [await world.caseBytes(), "no bytes" as unknown as Uint8Array];
  expect(() => core.decideBatch(cases)).toThrow(CoreError);
  expect(() => core.decideBatch(cases)).toThrow(expect.objectContaining({ index: 1 }));
});
