/**
 * Single rules that no published mistake names: what a class covers, what a name stands for, what a
 * kind may not say.
 */
import { expect, test } from "vitest";
import { loadCore } from "../../../src/core/index.ts";
import { AK_ATTRIBUTES, softwareAk } from "../../support/ak.ts";
import { chain } from "../../support/chains.ts";
import { seeded } from "../../support/keys.ts";
import { type CaseOverrides, makeWorld } from "../../support/world.ts";

const core = await loadCore();
const world = makeWorld();
const codeOf = async (overrides: CaseOverrides) =>
  core.decide(await world.caseBytes(overrides)).code;

test("a class covers the policies that it lists, and a grant names no other", async () => {
  const { keysets } = world.charter();
  const standard = keysets.authority.classes.get("standard");
  if (standard === undefined) throw new Error("no class");
  const covering = (...policies: string[]): CaseOverrides => ({
    charter: {
      keysets: {
        ...keysets,
        authority: {
          ...keysets.authority,
          classes: new Map([["standard", { ...standard, policies }]]),
        },
      },
    },
  });
  expect(await codeOf(covering("base", "other"))).toBeNull();
  expect(await codeOf(covering("other"))).toBe("signature.class");
  const two = { policies: [{}, { name: "other" }] };
  expect(await codeOf({ ...covering("base"), ...two })).toBe("signature.class");
  expect(await codeOf({ ...covering("base", "other"), ...two })).toBeNull();
});

test("a policy is active under its own name alone", async () => {
  const { policies } = await world.build();
  const digest = policies[0]?.digest ?? seeded("none");
  const swapped = new Map([
    ["base", [seeded("another")]],
    ["other", [digest]],
  ]);
  expect(await codeOf({ snapshot: { policies: swapped } })).toBe("policy.inactive");
  const both = new Map([...swapped, ["base", [seeded("another"), digest]]] as const);
  expect(await codeOf({ snapshot: { policies: both } })).toBeNull();
});

test("a grant has no parent and no depth, a link no status index", async () => {
  const grant = (key: number, value: Uint8Array | number): CaseOverrides => ({
    edit: { claims: { grant: (map) => map.set(key, value) } },
  });
  expect(await codeOf(grant(-70002, seeded("parent")))).toBe("artifact.malformed");
  expect(await codeOf(grant(-70003, 1))).toBe("artifact.malformed");
  const edit = { claims: { link: (map: Map<number | string, unknown>) => map.set(-70008, 6) } };
  expect(await codeOf(chain(world, [{ edit }]))).toBe("artifact.malformed");
});

test.each([
  ["not restricted", 1 << 16],
  ["does not sign", 1 << 18],
  ["not fixed to its TPM", 1 << 1],
  ["made outside", 1 << 5],
  ["decrypts", 1 << 17],
  ["may be duplicated", 1 << 11],
])("a credential for a key that is no attestation key: %s", async (_, bit) => {
  const ak = softwareAk("ecdsa-p256", "ak", AK_ATTRIBUTES ^ bit);
  expect(core.decide(await makeWorld(ak).caseBytes()).code).toBe("identity.key");
});

test("where the node is the holder, a proof by anyone else is refused, even a good one", async () => {
  const { evidence } = await world.build({ holder: "node" });
  expect(evidence.proof).toBeNull();
  const proof = await world.make("proof", { request: seeded("request") });
  const proven = { holder: "node", evidence: { proof: proof.bytes } } as const;
  expect(await codeOf(proven)).toBe("identity.proof");
});
