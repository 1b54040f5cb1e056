/** A class with a higher threshold and a mark of its own: more signatures, and no way around. */
import { expect, test } from "vitest";
import { type Code, loadCore } from "../../src/core/index.ts";
import { NOW } from "../support/domain.ts";
import { seeded } from "../support/keys.ts";
import { type CaseOverrides, makeWorld } from "../support/world.ts";

const core = await loadCore();
const world = makeWorld();
const { authority } = world.signers;
const broken: CaseOverrides = {
  grant: { governance: { epoch: 3, keyset: "authority", class: "break-glass", ticket: "INC-1" } },
  signers: { grant: authority },
};
const decided = async (more: CaseOverrides) => {
  const grant = { ...broken.grant, ...more.grant };
  return core.decide(await world.caseBytes({ ...broken, ...more, grant }), { explain: true });
};

test("with its threshold it is allowed, and marked", async () => {
  const verdict = await decided({});
  expect(verdict.code).toBeNull();
  expect(verdict.request?.mark).toBe(true);
  const usual = core.decide(await world.caseBytes());
  expect(usual.request?.mark).toBe(false);
});

test("with the signatures of the usual class it is denied", async () => {
  const two = { grant: [authority[0], authority[1]] } as const;
  expect((await decided({ signers: two })).code).toBe("signature.threshold");
});

test.each<[string, CaseOverrides, Code]>([
  ["frozen", { snapshot: { freeze: "new" } }, "governance.frozen"],
  ["frozen in all", { snapshot: { freeze: "all" } }, "governance.frozen"],
  ["a stale snapshot", { snapshot: { exp: NOW } }, "governance.expired"],
  ["an expired charter", { charter: { exp: NOW } }, "governance.expired"],
  ["an expired grant", { grant: { exp: NOW } }, "window.expired"],
  ["longer than the class allows", { grant: { exp: NOW + 31 * 86_400 } }, "signature.class"],
  ["an inactive policy", { snapshot: { policies: new Map() } }, "policy.inactive"],
  ["another job", { job: { argv: [seeded("other", 8)] } }, "policy.arguments"],
  ["another node", { grant: { audience: [seeded("node", 17)] } }, "identity.audience"],
  ["revoked", { statusList: { grants: new Uint8Array(8).fill(255) } }, "revocation.artifact"],
  ["no list", { statusList: { grants: new Uint8Array(0) } }, "revocation.artifact"],
  ["an earlier epoch", { snapshot: { epoch: 4 } }, "revocation.epoch"],
  [
    "unquoted",
    { quote: () => ({ attest: new Uint8Array(), signature: new Uint8Array(), values: [] }) },
    "environment.quote-missing",
  ],
  ["an old quote", { attest: { extraData: seeded("old") } }, "environment.quote-nonce"],
  [
    "another machine state",
    { pcrs: { sha256: new Map([0, 1, 2, 3, 4, 5, 6, 7].map((i) => [i, seeded(`x ${i}`)])) } },
    "environment.pcr-mismatch",
  ],
  ["used up", { uses: 3 }, "replay.use"],
  ["without the plane", { grant: { decision: "plane" } }, "plane.missing"],
])("it bypasses nothing: %s", async (_, more, code) => {
  const verdict = await decided(more);
  expect(verdict.allow).toBe(false);
  expect(verdict.code).toBe(code);
  expect(verdict.request?.mark ?? true).toBe(true);
});
