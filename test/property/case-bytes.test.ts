/**
 * Every bit of an accepted case matters, every cut of it denies, and nothing that earlier calls
 * left in memory has a say. Seeds are fixed here; `test:slow` flips every bit.
 */
import { describe, expect, test } from "vitest";
import { loadCore } from "../../src/core/index.ts";
import { exemptFlip, sectionsOf } from "../support/bits.ts";
import { chain } from "../support/chains.ts";
import { seededRandom } from "../support/random.ts";
import { type BuiltCase, makeWorld } from "../support/world.ts";

const world = makeWorld();
const SEED = 20_260_101;
const FLIPS = 2_400;

const NARROWED = { scope: { uses: 1 }, policies: ["base"], audience: [world.ueid] };

const variants: readonly (readonly [name: string, () => Promise<BuiltCase>])[] = [
  ["key holder, local", () => world.build()],
  ["node holder, plane", () => world.build({ holder: "node", plane: true })],
  ["a chain of two links", () => world.build(chain(world, [{}, { claims: NARROWED }]))],
];

describe.each(variants)("%s", (_, build) => {
  test(`flipping one bit of each of ${FLIPS / 2} places denies (seed ${SEED})`, async () => {
    const core = await loadCore();
    const built = await build();
    const random = seededRandom(SEED);
    const sections = sectionsOf(built);
    expect(core.decide(built.bytes).allow).toBe(true);
    for (const { name, start, end } of sections) {
      for (let i = 0; i < FLIPS / 2 / sections.length; i++) {
        const bit = start * 8 + Math.floor(random() * (end - start) * 8);
        const flipped = built.bytes.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const allowed = core.decide(flipped).allow;
        if (allowed) expect(exemptFlip(built, flipped), `${name}, bit ${bit}`).toBe(true);
      }
    }
  });

  test("a case cut at any length is a denial", async () => {
    const core = await loadCore();
    const { bytes } = await build();
    for (let length = 0; length < bytes.length; length++) {
      expect(core.decide(bytes.subarray(0, length)).code).toBe("internal.case");
    }
  });
});
