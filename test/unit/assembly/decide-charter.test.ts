/** Bounds that a charter sets beyond its own keysets, and charters that follow one another. */
import { describe, expect, test } from "vitest";
import { type Code, loadCore } from "../../../src/core/index.ts";
import type { Charter } from "../../../src/wire/objects.ts";
import { DAY, NOW, type Signers } from "../../support/domain.ts";
import { seeded, testSigner } from "../../support/keys.ts";
import { makeWorld } from "../../support/world.ts";

const core = await loadCore();
const world = makeWorld();

/** A case under the pinned charter and its successor, both signed by the same roots unless told. */
async function rotated(
  first: Partial<Charter>,
  second: Partial<Charter>,
  signers?: Signers,
): Promise<Uint8Array> {
  const pinned = await world.make("charter", world.charter(first));
  const claims = world.charter({ number: 2, predecessor: pinned.digest, ...second });
  const last = await world.make("charter", claims, { signers });
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

describe("a rotation of the roots", () => {
  const { root, stranger } = world.signers;
  const fresh = [1, 2, 3].map((n) => testSigner(`fresh root ${n}`, "P-256")) as unknown as Signers;
  const keysOf = (signers: Signers) => signers.map(({ key }) => key);
  const to = (signers: Signers, threshold = 2): Partial<Charter> => ({
    keysets: { ...world.charter().keysets, root: { threshold, keys: keysOf(signers) } },
  });
  const decided = async (second: Partial<Charter>, signers: Signers) =>
    core.decide(await rotated({}, second, signers)).code;
  const [, fresh2 = fresh[0], fresh3 = fresh[0]] = fresh;

  test("is signed by both thresholds", async () => {
    expect(await decided(to(fresh), [root[0], root[1], fresh[0], fresh2])).toBeNull();
    expect(await decided(to(fresh), [...root, ...fresh])).toBeNull();
  });

  test("the new roots alone cannot take over, nor the old ones name others without them", async () => {
    expect(await decided(to(fresh), fresh)).toBe("governance.threshold");
    expect(await decided(to(fresh), root)).toBe("governance.threshold");
    expect(await decided(to(fresh), [root[0], ...fresh])).toBe("governance.threshold");
    expect(await decided(to(fresh), [...root, fresh3])).toBe("governance.threshold");
    expect(await decided(to(fresh, 1), fresh)).toBe("governance.threshold");
  });

  test("a key of both counts once for each", async () => {
    const mixed: Signers = [root[0], fresh[0], fresh2];
    expect(await decided(to(mixed), [root[0], fresh[0]])).toBe("governance.threshold");
    expect(await decided(to(mixed), [root[0], root[1], fresh[0]])).toBeNull();
  });

  test("every signature counts, also of one too many", async () => {
    const signers: Signers = [root[0], root[1], fresh[0], fresh2, stranger];
    expect(await decided(to(fresh), signers)).toBe("governance.unknown-key");
  });
});

test.each<[string, Partial<Charter>, Code]>([
  ["a gap", { number: 3 }, "governance.chain"],
  ["a step back", { number: 1, predecessor: null }, "governance.chain"],
  ["another predecessor", { predecessor: seeded("another") }, "governance.chain"],
  ["another domain", { domain: "other.example" }, "governance.domain"],
])("a charter that does not follow: %s", async (_, second, code) => {
  expect(core.decide(await rotated({}, second)).code).toBe(code);
});

test.each([
  [16, null],
  [17, "internal.case"],
] as const)("a gate that slept through rotations: %d charters", async (count, code) => {
  const made = [await world.make("charter", world.charter())];
  for (let number = 2; number <= count; number++) {
    const predecessor = made.at(-1)?.digest ?? null;
    made.push(await world.make("charter", world.charter({ number, predecessor })));
  }
  const [pinned = { bytes: new Uint8Array(), digest: new Uint8Array() }] = made;
  const charters = made.map(({ bytes }) => bytes);
  const last = made.at(-1)?.digest ?? new Uint8Array();
  const built = await world.build({
    snapshot: { charter: last },
    context: { charter: pinned.digest },
    evidence: { charters: charters.slice(0, 16) },
    edit: { evidence: (map) => void map.set(1, charters) },
  });
  const verdict = core.decide(built.bytes);
  expect(verdict.code).toBe(code);
  if (code === null) expect(verdict.floors?.charterNumber).toBe(16);
});

test("an older charter cannot stand for the last one: the floor names its number", async () => {
  const floors = world.floors({ charterNumber: 2 });
  expect(core.decide(await world.caseBytes({ context: floors })).code).toBe("governance.rollback");
});

test("a snapshot from the future raises no floor, nor does an older one", async () => {
  const future = await world.caseBytes({ snapshot: { iat: NOW + 1, exp: NOW + 60 } });
  expect(core.decide(future).floors).toBeNull();
  const older = {
    floors: { charterNumber: 1, snapshotVersion: 8, snapshotDigest: seeded("8"), time: 0 },
  };
  expect(core.decide(await world.caseBytes({ context: older })).floors).toBeNull();
  expect(core.decide(await world.caseBytes({ snapshot: { exp: NOW } })).floors).not.toBeNull();
});
