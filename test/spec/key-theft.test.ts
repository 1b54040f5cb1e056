/**
 * What a stolen key can do and cannot, one group for each row of SECURITY.md's table; a set is
 * stolen to its threshold. Each theft ends with a charter that leaves the stolen keys out.
 */
import { describe, expect, test } from "vitest";
import { type Code, loadCore } from "../../src/core/index.ts";
import type { Charter } from "../../src/wire/objects.ts";
import { chain } from "../support/chains.ts";
import { DAY, HOUR, NOW, PCRS, type Signers, text } from "../support/domain.ts";
import { seeded, testSigner } from "../support/keys.ts";
import { type CaseOverrides, makeWorld } from "../support/world.ts";

const core = await loadCore();
const world = makeWorld();
const { root, authority, policy, enroller, governance, plane, agent, nodeLog } = world.signers;

const codeOf = async (overrides: CaseOverrides): Promise<Code | null> =>
  core.decide(await world.caseBytes(overrides)).code;
const can = async (overrides: CaseOverrides) => expect(await codeOf(overrides)).toBeNull();
const cannot = async (overrides: CaseOverrides, code: Code) =>
  expect(await codeOf(overrides)).toBe(code);

const fresh = (name: string): Signers =>
  [1, 2, 3].map((n) => testSigner(`after the theft: ${name} ${n}`, "P-256")) as unknown as Signers;
const keysOf = (signers: Signers) => signers.map(({ key }) => key);

/** The same case under charter 2, which the roots made after the theft. */
async function after(
  change: (keysets: Charter["keysets"]) => Partial<Charter["keysets"]>,
  overrides: CaseOverrides,
): Promise<CaseOverrides> {
  const first = await world.make("charter", world.charter());
  const { keysets } = world.charter();
  const next = { ...keysets, ...change(keysets) };
  const claims = world.charter({ number: 2, predecessor: first.digest, keysets: next });
  const second = await world.make("charter", claims);
  return {
    ...overrides,
    snapshot: { charter: second.digest, ...overrides.snapshot },
    evidence: { charters: [first.bytes, second.bytes], ...overrides.evidence },
    context: { charter: first.digest, ...overrides.context },
  };
}

const otherJob = { argv: [text("anything")] };
const ANOTHER_JOB: CaseOverrides = {
  job: otherJob,
  scope: { argv: { form: "exact", values: otherJob.argv } },
};
const BAD = new Map([...(PCRS.sha256 ?? [])].map(([pcr]) => [pcr, seeded(`bad ${pcr}`)]));
const badPolicy = { pcrs: { sha256: new Map([...BAD].map(([pcr, value]) => [pcr, [value]])) } };
const BAD_STATE: CaseOverrides = { pcrs: { sha256: BAD } };
const FROZEN = { freeze: "new" } as const;
const signedBy = (
  kind: "grant" | "snapshot" | "policy" | "node" | "charter",
  signers: Signers,
) => ({
  signers: { [kind]: signers },
});

describe("root keys", () => {
  const thief = fresh("the thief's authority");
  const { keysets } = world.charter();
  const usurped = {
    ...keysets,
    authority: { ...keysets.authority, keys: keysOf(thief) },
  };

  test("can do everything: they make the next charter", async () => {
    const taken = await after(() => usurped, { ...ANOTHER_JOB, ...signedBy("grant", thief) });
    await can(taken);
  });

  test("cannot, below their threshold, change a thing", async () => {
    await cannot(
      { charter: { keysets: usurped }, signers: { charter: [root[0]], grant: thief } },
      "governance.threshold",
    );
    await cannot(
      { charter: { keysets: usurped }, signers: { charter: thief, grant: thief } },
      "governance.unknown-key",
    );
  });

  test("end with a charter that both the old and the new threshold signed", async () => {
    const heirs = fresh("root");
    const first = await world.make("charter", world.charter());
    const moved = { ...keysets, root: { threshold: 2, keys: keysOf(heirs) } };
    const second = await world.make(
      "charter",
      world.charter({ number: 2, predecessor: first.digest, keysets: moved }),
      { signers: [root[0], root[1], ...heirs] },
    );
    const third = await world.make(
      "charter",
      world.charter({ number: 3, predecessor: second.digest, keysets: usurped }),
    );
    await cannot(
      {
        snapshot: { charter: third.digest },
        evidence: { charters: [second.bytes, third.bytes] },
        context: { charter: second.digest },
        ...signedBy("grant", thief),
      },
      "governance.unknown-key",
    );
  });
});

describe("authority keys", () => {
  const stolen = signedBy("grant", [authority[0], authority[2]]);

  test("can authorize any job within the class", () => can({ ...ANOTHER_JOB, ...stolen }));

  test("cannot go beyond the class: its nodes, policies, lifetime, depth", async () => {
    const narrow = { ...world.grant().governance, class: "narrow" };
    const outside = [
      { audience: "zone-a" },
      { exp: NOW + 3 * HOUR },
      { maxDepth: 1 },
      { audience: [seeded("another node", 17)] },
    ];
    for (const claims of outside) {
      await cannot({ grant: { governance: narrow, ...claims }, ...stolen }, "signature.class");
    }
    const higher = { ...world.grant().governance, class: "break-glass" };
    await cannot({ grant: { governance: higher }, ...stolen }, "signature.threshold");
  });

  test("cannot bless a machine state, enroll a machine, or speak for governance", async () => {
    const keys: Signers = [authority[0], authority[1], authority[2]];
    await cannot(
      { ...BAD_STATE, policies: [badPolicy], ...signedBy("policy", keys) },
      "policy.unsigned",
    );
    await cannot(signedBy("node", [authority[0]]), "identity.unknown-key");
    await cannot(signedBy("snapshot", keys), "governance.unknown-key");
  });

  test("cannot run while frozen, or without an active policy", async () => {
    await cannot({ ...ANOTHER_JOB, ...stolen, snapshot: FROZEN }, "governance.frozen");
    await cannot({ ...stolen, snapshot: { policies: new Map() } }, "policy.inactive");
  });

  test("can nothing below the threshold", () =>
    cannot({ ...ANOTHER_JOB, ...signedBy("grant", [authority[0]]) }, "signature.threshold"));

  test("end with rotation, what they signed before included", async () => {
    const keys = keysOf(fresh("authority"));
    const classes = new Map(
      [...world.charter().keysets.authority.classes].filter(([name]) => name !== "single"),
    );
    const theft = { ...ANOTHER_JOB, ...stolen };
    await cannot(
      await after(() => ({ authority: { keys, classes } }), theft),
      "signature.unknown-key",
    );
  });
});

describe("policy keys", () => {
  const stolen = signedBy("policy", [policy[0], policy[1]]);

  test("can sign a policy that calls a bad state good, and governance could make it active", () =>
    can({ ...BAD_STATE, policies: [badPolicy], ...stolen }));

  test("cannot make it active", async () => {
    const inactive = { policies: new Map([["base", [seeded("the good one")]]]) };
    await cannot(
      { ...BAD_STATE, policies: [badPolicy], ...stolen, snapshot: inactive },
      "policy.inactive",
    );
    await cannot(signedBy("snapshot", [policy[0], policy[1]]), "governance.unknown-key");
  });

  test("cannot authorize a job or enroll a machine; can nothing below the threshold", async () => {
    await cannot(signedBy("grant", [policy[0], policy[1]]), "signature.unknown-key");
    await cannot(signedBy("node", [policy[0]]), "identity.unknown-key");
    await cannot(
      { ...BAD_STATE, policies: [badPolicy], ...signedBy("policy", [policy[0]]) },
      "policy.unsigned",
    );
  });

  test("end with rotation", async () => {
    const set = { threshold: 2, keys: keysOf(fresh("policy")) };
    const theft = { ...BAD_STATE, policies: [badPolicy], ...stolen };
    await cannot(await after(() => ({ policy: set }), theft), "policy.unsigned");
  });
});

describe("an enroller key", () => {
  const ueid = Uint8Array.of(1, ...seeded("a false node", 16));
  const falseNode: CaseOverrides = {
    node: { ueid, labels: ["web"] },
    grant: { audience: "web" },
    ...signedBy("node", [enroller[1]]),
  };

  test("can make false nodes within its labels", () => can(falseNode));

  test("cannot give labels beyond them, nor outlive the charter's bound", async () => {
    await cannot({ ...falseNode, node: { ueid, labels: ["vault"] } }, "identity.labels");
    await cannot(
      { ...falseNode, node: { ueid, labels: ["web"], exp: NOW + 500 * DAY } },
      "identity.too-long",
    );
    await cannot({ ...falseNode, ...signedBy("node", [enroller[2]]) }, "identity.labels");
  });

  test("cannot authorize a job or bless a machine state", async () => {
    await cannot(
      { ...falseNode, signers: { node: [enroller[1]], grant: [enroller[0], enroller[1]] } },
      "signature.unknown-key",
    );
    await cannot(
      { ...BAD_STATE, policies: [badPolicy], signers: { policy: [enroller[0], enroller[1]] } },
      "policy.unsigned",
    );
    await cannot({ ...falseNode, ...BAD_STATE }, "environment.pcr-mismatch");
  });

  test("ends with revocation of what it made, and with rotation", async () => {
    await cannot(
      { ...falseNode, statusList: { nodes: new Uint8Array(8).fill(255) } },
      "revocation.node",
    );
    const [, , third] = world.charter().keysets.enroller;
    const left = third === undefined ? [] : [third];
    await cannot(await after(() => ({ enroller: left }), falseNode), "identity.unknown-key");
  });
});

describe("governance keys", () => {
  const stolen = signedBy("snapshot", [governance[0], governance[2]]);
  const newest = {
    floors: { charterNumber: 1, snapshotVersion: 7, snapshotDigest: seeded("seen"), time: 0 },
  };

  test("can deny everything, lift a freeze, un-revoke, make an old signed policy active, and give up plane mode", async () => {
    await cannot({ ...stolen, snapshot: { freeze: "all" } }, "governance.frozen");
    // What was seen froze all, and revoked the grant: the thief's next version does not.
    await can({
      ...stolen,
      snapshot: { version: 8, freeze: "none", decision: "local" },
      context: newest,
    });
    await can({ ...stolen, policies: [{ version: 0, iat: NOW - 300 * DAY }] });
  });

  test("cannot authorize a job, bless a new machine state, or enroll a machine", async () => {
    await cannot(
      { ...ANOTHER_JOB, ...signedBy("grant", [governance[0], governance[1]]) },
      "signature.unknown-key",
    );
    await cannot(
      {
        ...BAD_STATE,
        policies: [badPolicy],
        ...signedBy("policy", [governance[0], governance[1]]),
      },
      "policy.unsigned",
    );
    await cannot(signedBy("node", [governance[0]]), "identity.unknown-key");
    await cannot(signedBy("charter", [governance[0], governance[1]]), "governance.unknown-key");
  });

  test("cannot outlive its hour, turn back what was seen, or lift a grant's own plane mode", async () => {
    await cannot({ ...stolen, snapshot: { exp: NOW + 2 * HOUR } }, "governance.too-long");
    await cannot({ ...stolen, snapshot: { version: 6 }, context: newest }, "governance.rollback");
    await cannot({ ...stolen, context: newest }, "governance.rollback");
    await cannot({ ...stolen, grant: { decision: "plane" } }, "plane.missing");
  });

  test("can nothing below the threshold, and end with rotation", async () => {
    await cannot(signedBy("snapshot", [governance[0]]), "governance.threshold");
    const set = { threshold: 2, keys: keysOf(fresh("governance")) };
    await cannot(await after(() => ({ governance: set }), stolen), "governance.unknown-key");
  });
});

describe("a plane key", () => {
  const stolen: CaseOverrides = { plane: true, signers: { result: [plane[0]] } };

  test("can agree where agreement is demanded", () => can(stolen));

  test("cannot make the gate's own case hold", async () => {
    await cannot({ ...stolen, grant: { exp: NOW } }, "window.expired");
    await cannot({ ...stolen, uses: 3 }, "replay.use");
    await cannot({ ...stolen, ...BAD_STATE }, "environment.pcr-mismatch");
    await cannot({ ...stolen, result: { exp: NOW + 61 } }, "plane.too-long");
    await cannot({ ...stolen, signers: { grant: [plane[0], plane[1]] } }, "signature.unknown-key");
  });

  test("ends with rotation", async () => {
    const set = { threshold: 1, keys: keysOf(fresh("plane")) };
    await cannot(await after(() => ({ plane: set }), stolen), "plane.unknown-key");
  });
});

describe("a holder's key", () => {
  test("can use that grant, and hand on less of it where the grant says so", async () => {
    await can({});
    await can(chain(world, [{ claims: { exp: NOW + 60 } }]));
  });

  test("cannot do anything else: another job, another node, more of it, the grant of another", async () => {
    await cannot({ job: otherJob }, "policy.arguments");
    await cannot({ grant: { audience: [seeded("another node", 17)] } }, "identity.audience");
    await cannot({ uses: 3 }, "replay.use");
    await cannot(chain(world, [{ claims: { exp: NOW + 2 * HOUR } }]), "lineage.window");
    await cannot(chain(world, [{}], { grant: { maxDepth: 0 } }), "lineage.depth");
    const other = testSigner("another holder", "P-256");
    await cannot({ grant: { cnf: { key: other.key } } }, "identity.proof");
    await cannot(signedBy("grant", [agent]), "signature.unknown-key");
  });

  test("ends when it is revoked or expired", async () => {
    const statusList = { grants: new Uint8Array(8).fill(255) };
    await cannot({ statusList }, "revocation.artifact");
    await cannot({ grant: { exp: NOW } }, "window.expired");
  });
});

test("a log key cannot start a job: it is in no set that a case is judged by", async () => {
  await cannot(signedBy("grant", [nodeLog]), "signature.unknown-key");
  await cannot(signedBy("snapshot", [nodeLog]), "governance.unknown-key");
  await cannot(signedBy("node", [nodeLog]), "identity.unknown-key");
  await cannot({ plane: true, signers: { result: [nodeLog] } }, "plane.unknown-key");
});

test("an attestation key's file without its TPM is nothing: nobody else can sign a quote", async () => {
  const forged = (bytes: Uint8Array) => bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1);
  await cannot({ edit: { signature: forged } }, "environment.quote-signature");
});
