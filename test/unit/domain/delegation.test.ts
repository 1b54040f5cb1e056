/**
 * What a delegate asks for: refused before anything is signed where the core would deny it, and
 * accepted by it else.
 */
import { describe, expect, test } from "vitest";
import { loadCore } from "../../../src/core/index.ts";
import { heldBy, parseChain, policiesOf } from "../../../src/domain/chains.ts";
import { type DelegationRequest, delegate } from "../../../src/domain/delegation.ts";
import { DomainError } from "../../../src/domain/error.ts";
import type { Grant } from "../../../src/wire/objects.ts";
import { chain, holderAt } from "../../support/chains.ts";
import { HOUR, NOW, text } from "../../support/domain.ts";
import { seeded } from "../../support/keys.ts";
import { type CaseOverrides, type Made, makeWorld } from "../../support/world.ts";

const core = await loadCore();
const world = makeWorld();
const HOLDER = { key: holderAt(world, 1).key };
const request = (change: Partial<DelegationRequest> = {}): DelegationRequest => ({
  issuer: "delegate",
  holder: HOLDER,
  ...change,
});
const GRANT: Partial<Grant> = {
  maxDepth: 2,
  scope: world.scope({
    argv: {
      form: "choices",
      values: [[text("report")], [text("--month")], [text("2030-03"), text("2030-04")]],
    },
    environment: [
      { name: text("LANG"), form: "exact", value: text("C.UTF-8") },
      { name: text("TZ"), form: "exact", value: text("UTC") },
    ],
  }),
};

/** A case in which this is delegated from the grant. */
const delegated = (change: Partial<DelegationRequest>, o: CaseOverrides = {}): CaseOverrides => ({
  ...chain(world, [{}], { ...o, grant: { ...GRANT, ...o.grant } }),
  links: [
    async ({ bytes }: Made) => {
      const { file, digest } = await delegate(parseChain(bytes), request(change), agent, NOW);
      return { bytes: parseChain(file).elements.at(-1) ?? bytes, digest };
    },
  ],
});
const { agent } = world.signers;

describe("what the core accepts", () => {
  const accepted: [string, Partial<DelegationRequest>, CaseOverrides?][] = [
    ["nothing narrowed", {}],
    ["arguments", { argv: ["report", "--month", "2030-03"].map(text) }],
    ["variables", { variables: [text("LANG")] }],
    ["callers", { callers: [1000] }],
    ["run time and uses", { runtimeSeconds: 60, uses: 1 }],
    ["a window", { lifetimeSeconds: 60 }],
    ["the parent's whole window", { lifetimeSeconds: HOUR }],
    ["further delegation", { furtherDepth: 1 }],
    ["a node under a label", { nodes: [world.ueid] }, { grant: { audience: "web" } }],
    [
      "a policy more",
      { furtherPolicies: ["other", "base"] },
      { policies: [{}, { name: "other" }], grant: { policies: ["base"] } },
    ],
    ["names that are recorded", { ticket: "CHG-2", attribution: "team" }],
  ];
  test.each(accepted)("%s", async (_what, change, overrides) => {
    const verdict = core.decide(await world.caseBytes(delegated(change, overrides)));
    expect(verdict.codes).toEqual([]);
  });

  test("for the executing node", async () => {
    const bytes = await world.caseBytes({
      ...delegated({ holder: { node: "executing" } }),
      evidence: { proof: null },
    });
    expect(core.decide(bytes).code).toBeNull();
  });

  test("the plane's decision, which is then missing", async () => {
    const bytes = await world.caseBytes(delegated({ decision: "plane" }));
    expect(core.decide(bytes).code).toBe("plane.missing");
  });
});

describe("what is refused before it is signed", () => {
  const refused: [string, Partial<DelegationRequest>, RegExp][] = [
    ["other arguments", { argv: ["report", "--month", "2031"].map(text) }, /Argument 2/],
    ["fewer arguments", { argv: [text("report")] }, /3 arguments/],
    ["a further variable", { variables: [text("HOME")] }, /variable HOME/],
    ["a further caller", { callers: [1000, 1001] }, /among 0, 1000/],
    ["a longer run", { runtimeSeconds: 61 }, /60 s at most/],
    ["more uses", { uses: 4 }, /3 at most/],
    ["another node", { nodes: [Uint8Array.of(1, ...seeded("x", 16))] }, /not for/],
    ["no node", { nodes: [] }, /at least one/],
    ["a later end", { lifetimeSeconds: HOUR + 1 }, /end after/],
    ["a start in the past", { notBefore: NOW - 1 }, /past/],
    ["a start after the end", { notBefore: NOW + HOUR }, /before it begins/],
    ["deeper than may be", { furtherDepth: 2 }, /1 times more/],
    ["too many policies", { furtherPolicies: [..."abcdefgh"] }, /8 policies/],
  ];
  test.each(refused)("%s", async (_what, change, why) => {
    const { grant } = await world.build({ grant: GRANT });
    const step = delegate(parseChain(grant.bytes), request(change), agent, NOW);
    await expect(step).rejects.toThrow(why);
    await expect(step).rejects.toMatchObject({ code: "domain.input" });
  });

  const grants: [string, Partial<Grant>, string, RegExp][] = [
    ["a grant that may not be delegated", { maxDepth: 0 }, "domain.input", /not be delegated/],
    ["a grant that has expired", { exp: NOW }, "domain.input", /expired/],
    ["a grant of the future", { iat: NOW + 1, nbf: NOW + 1 }, "domain.input", /clock/],
    ["a grant of the node's", { cnf: { node: "executing" } }, "domain.input", /executing node/],
    ["another's grant", { cnf: HOLDER }, "domain.signers", /does not hold/],
  ];
  test.each(grants)("%s", async (_what, claims, code, why) => {
    const { grant } = await world.build({ grant: { ...GRANT, ...claims } });
    const step = delegate(parseChain(grant.bytes), request(), agent, NOW);
    await expect(step).rejects.toThrow(why);
    await expect(step).rejects.toMatchObject({ code });
  });

  test("a link that may not be delegated in turn", async () => {
    const { grant } = await world.build({ grant: GRANT });
    const { file } = await delegate(parseChain(grant.bytes), request(), agent, NOW);
    const step = delegate(parseChain(file), request(), holderAt(world, 1), NOW);
    await expect(step).rejects.toThrow(/not be delegated/);
  });
});

test("a chain's file: what its elements allow together", async () => {
  const { grant } = await world.build({ grant: GRANT });
  const first = request({ uses: 2, furtherDepth: 1, furtherPolicies: ["other"] });
  const { file } = await delegate(parseChain(grant.bytes), first, agent, NOW);
  const second = request({ runtimeSeconds: 5, nodes: [world.ueid] });
  const both = parseChain((await delegate(parseChain(file), second, holderAt(world, 1), NOW)).file);
  expect(both.links).toHaveLength(2);
  expect(both.elements[0]).toEqual(grant.bytes);
  const held = heldBy(both);
  expect(held.scope).toMatchObject({ uses: 2, runtimeSeconds: 5, uid: 1000 });
  expect(held.scope.argv).toEqual(GRANT.scope?.argv);
  expect(policiesOf(both)).toEqual(["base", "other"]);
  expect(held).toMatchObject({ audience: [world.ueid], decision: "local" });
});

test("what is no chain", async () => {
  const { grant } = await world.build({ grant: GRANT });
  const join = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
  expect(() => parseChain(new Uint8Array(0))).toThrow();
  expect(() => parseChain(grant.bytes.subarray(1))).toThrow();
  expect(() => parseChain(grant.bytes.subarray(0, -1))).toThrow();
  expect(() => parseChain(join(grant.bytes, Uint8Array.of(0)))).toThrow();
  expect(() => parseChain(join(grant.bytes, grant.bytes))).toThrow(/portcullis-link/);
  const six = join(...Array.from({ length: 6 }, () => grant.bytes));
  expect(() => parseChain(six)).toThrow(DomainError);
});
