/** Bounds that a charter sets beyond its own keysets, and charters that follow one another. */
import { expect, test } from "vitest";
import { loadCore } from "../../../src/core/index.ts";
import type { Charter } from "../../../src/wire/objects.ts";
import { DAY, NOW } from "../../support/domain.ts";
import { makeWorld } from "../../support/world.ts";

const core = await loadCore();
const world = makeWorld();

/** A case under the pinned charter and its successor, both signed by the same roots. */
async function rotated(first: Partial<Charter>, second: Partial<Charter>): Promise<Uint8Array> {
  const pinned = await world.make("charter", world.charter(first));
  const claims = world.charter({ number: 2, predecessor: pinned.digest, ...second });
  const last = await world.make("charter", claims);
  return world.caseBytes({
    snapshot: { charter: last.digest },
    evidence: { charters: [pinned.bytes, last.bytes] },
    context: { charter: pinned.digest },
  });
}

test.each([
  [NOW + 7, NOW + DAY],
  [NOW + DAY, NOW + 7],
])("a permission ends with the first charter to expire: %d, %d", async (first, second) => {
  const verdict = core.decide(await rotated({ exp: first }, { exp: second }));
  expect(verdict.code).toBeNull();
  expect(verdict.request?.expires).toBe(NOW + 7);
});

test("one charter out of force is enough to deny, wherever it stands", async () => {
  expect(core.decide(await rotated({ exp: NOW }, {})).code).toBe("governance.expired");
  expect(core.decide(await rotated({}, { exp: NOW })).code).toBe("governance.expired");
  expect(core.decide(await rotated({ iat: NOW + 1 }, {})).code).toBe("governance.not-yet");
  expect(core.decide(await rotated({}, { iat: NOW + 1 })).code).toBe("governance.not-yet");
});

test("codes of a charter stand in the order of the table", async () => {
  const verdict = core.decide(await world.caseBytes({ charter: { iat: NOW + 2, exp: NOW } }));
  expect(verdict.code).toBe("governance.expired");
});

test.each([
  [0, 1, "signature.class"],
  [1, 2, "signature.class"],
  [1, 1, null],
] as const)("a bound of depth %d and a grant of depth %d", async (depth, maxDepth, code) => {
  const bounds = { ...world.charter().bounds, depth };
  const bytes = await world.caseBytes({ charter: { bounds }, grant: { maxDepth } });
  expect(core.decide(bytes).code).toBe(code);
});
