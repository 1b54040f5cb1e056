/**
 * A batch gives what each case gives alone in a core that has seen nothing, whatever came before:
 * any mixture, order and size, with keys that the core took in by itself and without.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { CODE_LIST, type Core, loadCore, type Verdict } from "../../src/core/index.ts";
import { chain } from "../support/chains.ts";
import { denialCase } from "../support/denials.ts";
import { seeded } from "../support/keys.ts";
import { makeWorld } from "../support/world.ts";

const SEED = 20_260_102;
const world = makeWorld();
let cases: Uint8Array[] = [];
const alone: Verdict[] = [];

beforeAll(async () => {
  cases = [await world.caseBytes(), await world.caseBytes(chain(world, [{}, {}]))];
  for (let i = 0; i < 24; i++) {
    const built = await world.build({ grant: { cti: seeded(`grant ${i}`, 16) } });
    // The signatures of every other one are broken, each in another place.
    const at = built.bytes.length - 1 - i * 40;
    if (i % 2 === 1) built.bytes[at] = (built.bytes[at] ?? 0) ^ 4;
    cases.push(built.bytes);
    const signature = Buffer.from(built.bytes).indexOf(built.grant.bytes.subarray(-8));
    const forged = built.bytes.slice();
    forged[signature + (i % 8)] = (forged[signature + (i % 8)] ?? 0) ^ 1;
    cases.push(forged);
  }
  for (const code of CODE_LIST) {
    const bytes = await denialCase(world, code);
    if (bytes !== null) cases.push(bytes);
  }
  cases.push(new Uint8Array(0), cases[0]?.subarray(0, 900) ?? new Uint8Array(1));
  // Without tables and memory of their own: what is compared with stands on itself.
  const wasm = await WebAssembly.compile(readFileSync("src/core/wasm/core.scalar.wasm"));
  for (const bytes of cases) alone.push((await loadCore({ wasm })).decide(bytes));
});

const build = fc.constantFrom("simd" as const, "scalar" as const, "checked" as const);

test(`a batch is its cases, each alone (seed ${SEED})`, async () => {
  const cores = new Map<string, Core>();
  const place = fc.nat({ max: cases.length - 1 });
  const batch = fc.array(place, { maxLength: 90 });
  await fc.assert(
    fc.asyncProperty(build, fc.array(batch, { maxLength: 3 }), async (name, batches) => {
      const core = cores.get(name) ?? (await loadCore({ build: name }));
      cores.set(name, core);
      for (const places of batches) {
        const verdicts = core.decideBatch(places.map((i) => cases[i] ?? new Uint8Array(0)));
        expect(verdicts).toEqual(places.map((i) => alone[i]));
      }
    }),
    { seed: SEED, numRuns: 12 },
  );
});

test("each bit of a signature counts after keys were taken in and batches decided", async () => {
  const core = await loadCore();
  for (let round = 0; round < 12; round++) {
    const fresh = await world.build({ grant: { cti: seeded(`round ${round}`, 16) } });
    const parts = [
      fresh.grant.bytes,
      fresh.evidence.proof ?? new Uint8Array(0),
      fresh.quote.signature,
    ];
    const broken = parts.map((part) => {
      const bytes = fresh.bytes.slice();
      const at = Buffer.from(bytes).indexOf(part) + part.length - 1 - round;
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (round % 8));
      return bytes;
    });
    const mixed = [...broken, fresh.bytes, ...broken];
    const allows = core.decideBatch(mixed).map(({ allow }) => allow);
    expect(allows).toEqual([false, false, false, true, false, false, false]);
  }
});
