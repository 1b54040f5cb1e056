/**
 * What a delegate may try with a chain, each by its name; denials.ts holds one case for each code
 * besides.
 */
import { describe, expect, test } from "vitest";
import { type Code, loadCore } from "../../../src/core/index.ts";
import type { Link, Scope } from "../../../src/wire/objects.ts";
import { chain, holderAt, type LinkChange } from "../../support/chains.ts";
import { HOUR, NOW, text } from "../../support/domain.ts";
import { seeded } from "../../support/keys.ts";
import { type CaseOverrides, makeWorld } from "../../support/world.ts";

const builds = ["simd", "scalar", "checked"] as const;
const cores = await Promise.all(builds.map((build) => loadCore({ build })));
const core = await loadCore();
const world = makeWorld();

async function codeOf(
  links: readonly LinkChange[],
  overrides: CaseOverrides = {},
): Promise<Code | null> {
  const bytes = await world.caseBytes(chain(world, links, overrides));
  const { code, allow } = core.decide(bytes);
  expect(allow).toBe(code === null);
  expect(cores.map((build) => build.decide(bytes).code)).toEqual(builds.map(() => code));
  return code;
}
const codeFor = (claims: Partial<Link>, overrides?: CaseOverrides) =>
  codeOf([{ claims }], overrides);
const scoped = (link: Partial<Scope>, grant: Partial<Scope> = {}) =>
  codeFor({ scope: link }, { scope: grant });

describe("chains that hold", () => {
  test.each([0, 1, 2, 3, 4])("a grant and %d links", async (count) => {
    const verdict = core.decide(await world.caseBytes(chain(world, Array(count).fill({}))));
    expect(verdict.codes).toEqual([]);
    expect(verdict.request?.elements).toHaveLength(count + 1);
  });

  test("held by the executing node at its end", async () => {
    const claims = { cnf: { node: "executing" } } as const;
    expect(await codeOf([{}, { claims }], { holder: "node", grant: holderOf() })).toBeNull();
  });

  test("narrowed in every way at once", async () => {
    const claims: Partial<Link> = {
      ...{ nbf: NOW - 80, exp: NOW + 60, iat: NOW - 99, maxDepth: 1, decision: "local" },
      scope: { argv: world.scope().argv, callers: [1000], runtimeSeconds: 60, uses: 1 },
      governance: { epoch: 4, keyset: "authority", class: "standard", ticket: null },
      audience: [world.ueid],
    };
    expect(await codeFor(claims, { grant: { audience: "web" } })).toBeNull();
  });

  test("the earliest expiry of any element ends the permission", async () => {
    const links = [{ claims: { exp: NOW + 60 } }, { claims: { exp: NOW + 60 } }];
    const verdict = core.decide(await world.caseBytes(chain(world, links)));
    expect(verdict.request?.expires).toBe(NOW + 60);
  });
});

/** A grant that a key holds, where a chain's end is the node's. */
function holderOf() {
  return { cnf: { key: world.signers.agent.key }, maxDepth: 4 };
}

describe("one path", () => {
  test("a valid element of another chain", async () => {
    const other = await world.build({ grant: { maxDepth: 4, cti: seeded("other grant", 16) } });
    expect(await codeFor({ parent: other.grant.digest })).toBe("lineage.parent");
  });

  test("a link whose parent is the grant, not the link before it", async () => {
    const { grant } = await world.build({ grant: { maxDepth: 4 } });
    const second = { claims: { parent: grant.digest }, signer: holderAt(world, 1) };
    expect(await codeOf([{}, second])).toBe("lineage.parent");
  });

  test("an element twice in the chain", async () => {
    // Delegated to itself, so that the signature holds under the same key again.
    const cnf = { key: world.signers.agent.key };
    const again = chain(world, [{ claims: { cnf } }], {
      signers: { proof: [world.signers.agent] },
    });
    const [once] = again.links ?? [];
    if (once === undefined) throw new Error("no link");
    let first: Awaited<ReturnType<typeof once>> | null = null;
    const links = [once, once].map((make) => async (parent: Parameters<typeof make>[0]) => {
      first ??= await make(parent);
      return first;
    });
    expect(core.decide(await world.caseBytes(again)).code).toBeNull();
    expect(core.decide(await world.caseBytes({ ...again, links })).code).toBe("lineage.parent");
  });

  test("a grant in the place of a link, and a link in the place of the grant", async () => {
    const built = await world.build(chain(world, [{}]));
    const [grant, link] = built.chain.map(({ bytes }) => bytes);
    if (grant === undefined || link === undefined) throw new Error("no chain");
    for (const elements of [
      [grant, grant],
      [link, link],
      [link, grant],
    ]) {
      const bytes = await world.caseBytes({ ...chain(world, [{}]), evidence: { elements } });
      expect(core.decide(bytes).code).toBe("artifact.malformed");
    }
  });

  test("a link alone, its grant withheld", async () => {
    const built = await world.build(chain(world, [{}]));
    const elements = built.chain.slice(1).map(({ bytes }) => bytes);
    const bytes = await world.caseBytes({ ...chain(world, [{}]), evidence: { elements } });
    expect(core.decide(bytes).code).toBe("artifact.malformed");
  });

  test("a sixth element", async () => {
    const built = await world.build(chain(world, [{}, {}, {}, {}]));
    const elements = built.chain.map(({ bytes }) => bytes);
    const edit = {
      evidence: (map: Map<unknown, unknown>) => map.set(4, [...elements, elements[4]]),
    };
    expect(core.decide(await world.caseBytes({ edit })).allow).toBe(false);
  });
});

describe("signed by the parent's holder, and nobody else", () => {
  test("a stranger", async () => {
    const code = await codeOf([{ signer: world.signers.stranger }]);
    expect(code).toBe("signature.unknown-key");
  });

  test("the holder of another element of the chain", async () => {
    expect(await codeOf([{}, { signer: holderAt(world, 0) }])).toBe("signature.unknown-key");
    expect(await codeOf([{}, { signer: holderAt(world, 2) }])).toBe("signature.unknown-key");
  });

  test("an authority, which signs grants and not links", async () => {
    expect(await codeOf([{ signer: world.signers.authority[0] }])).toBe("signature.unknown-key");
  });

  test("under a parent that the executing node holds", async () => {
    const node = { claims: { cnf: { node: "executing" } as const } };
    expect(await codeOf([node, { signer: holderAt(world, 0) }])).toBe("signature.unknown-key");
    const grant = { cnf: { node: "executing" } as const, maxDepth: 4 };
    expect(await codeOf([{}], { grant })).toBe("signature.unknown-key");
  });

  test("the leaf's holder alone may ask: not the grant's, nor the node where a key holds it", async () => {
    const proof = [world.signers.agent] as const;
    expect(await codeOf([{}], { signers: { proof } })).toBe("identity.proof");
    expect(await codeOf([{}], { evidence: { proof: null } })).toBe("identity.proof");
  });
});

describe("depth only falls", () => {
  const depths: [string, LinkChange[], number, Code | null][] = [
    ["as deep as the grant allows", [{}], 1, null],
    ["a link under a grant that may not be delegated", [{}], 0, "lineage.depth"],
    ["deeper than the grant allows", [{ claims: { maxDepth: 1 } }, {}], 1, "lineage.depth"],
    ["raised by a child", [{ claims: { maxDepth: 3 } }], 2, "lineage.depth"],
    ["under a link that says it ends there", [{ claims: { maxDepth: 1 } }, {}], 4, "lineage.depth"],
    ["a depth skipped", [{ claims: { depth: 2 } }], 4, "lineage.depth"],
    ["a depth repeated", [{}, { claims: { depth: 1 } }], 4, "lineage.depth"],
  ];
  test.each(depths)("%s", async (_what, links, maxDepth, code) => {
    const bounded = links.map((link) => ({
      ...link,
      claims: { maxDepth: Math.min(maxDepth, 4), ...link.claims },
    }));
    expect(await codeOf(bounded, { grant: { maxDepth } })).toBe(code);
  });

  test("a link that states no maximum depth may not be delegated", async () => {
    const silent = (map: Map<unknown, unknown>) => map.delete(-70004);
    const last = { edit: { claims: { link: silent } } };
    expect(await codeOf([last])).toBeNull();
    expect(await codeOf([last, {}])).toBe("lineage.depth");
  });
});

describe("the window, one second beyond each bound", () => {
  const windows: [string, Partial<Link>, Code | null][] = [
    ["exactly the parent's", {}, null],
    ["exp", { exp: NOW + HOUR + 1 }, "lineage.window"],
    ["nbf", { nbf: NOW - 91 }, "lineage.window"],
    ["iat", { iat: NOW - 101 }, "lineage.window"],
    ["over already", { exp: NOW }, "window.expired"],
    ["not begun", { nbf: NOW + 1 }, "window.not-yet"],
  ];
  test.each(windows)("%s", async (_what, claims, code) => {
    expect(await codeFor(claims)).toBe(code);
  });

  test("an ancestor past its expiry ends its children", async () => {
    expect(await codeFor({}, { grant: { exp: NOW, maxDepth: 4 } })).toBe("window.expired");
  });
});

describe("the scope is nowhere wider", () => {
  const [report, month, when] = ["report", "--month", "2030-03"].map(text);
  if (report === undefined || month === undefined || when === undefined) throw new Error("no argv");
  const argv = (...values: Uint8Array[][]) => ({ form: "choices", values }) as const;
  const months = argv([report], [month], [when, text("2030-04")]);
  const lang = { name: text("LANG"), form: "exact", value: text("C.UTF-8") } as const;
  const tz = { name: text("TZ"), form: "exact", value: text("UTC") } as const;
  const preload = { name: text("LD_PRELOAD"), form: "exact", value: text("/x.so") } as const;
  const scopes: [string, Partial<Scope>, Partial<Scope>, Code | null][] = [
    ["arguments: some of the choices", { argv: world.scope().argv }, { argv: months }, null],
    ["arguments: the same as choices", { argv: argv([report], [month], [when]) }, {}, null],
    ["arguments: a choice more", { argv: months }, {}, "lineage.scope"],
    ["a variable less is the job's loss", { environment: [] }, {}, "policy.environment"],
    ["a variable more", { environment: [lang, tz] }, {}, "lineage.scope"],
    ["a loader's variable", { environment: [lang, preload] }, {}, "lineage.scope"],
    ["some of the variables", { environment: [lang] }, { environment: [lang, tz] }, null],
    ["a caller more", { callers: [0, 1000, 1001] }, {}, "lineage.scope"],
    ["some of the callers", { callers: [1000] }, {}, null],
    ["a second more to run", { runtimeSeconds: 61 }, {}, "lineage.scope"],
    ["a use more", { uses: 4 }, {}, "lineage.scope"],
    ["an input left out", { inputs: [] }, {}, "policy.inputs"],
    [
      "another executable",
      { image: { ...world.scope().image, kind: "oci" } },
      {},
      "policy.executable",
    ],
    ["standard input, where the grant names none", { stdin: "inherit" }, {}, "policy.stdin"],
    ["no standard input, said aloud", { stdin: "none" }, {}, null],
    ["an interpreter", { interpreter: world.scope().image }, {}, "policy.interpreter"],
  ];
  test.each(scopes)("%s", async (_what, link, grant, code) => {
    expect(await scoped(link, grant)).toBe(code);
  });

  test("what a link between leaves out is its parent's, not open", async () => {
    const links = [
      { claims: { scope: { uses: 2 } } },
      { claims: { scope: { runtimeSeconds: 61 } } },
    ];
    expect(await codeOf(links)).toBe("lineage.scope");
  });

  test("what a link between gave away, its child cannot take back", async () => {
    const links = [{ claims: { scope: { uses: 1 } } }, { claims: { scope: { uses: 2 } } }];
    expect(await codeOf(links)).toBe("lineage.scope");
    const bare = { environment: [] };
    const again = [{ claims: { scope: bare } }, { claims: { scope: { environment: [lang] } } }];
    const codes = core.decide(await world.caseBytes(chain(world, again)), { explain: true }).codes;
    expect(codes).toContain("lineage.scope");
  });

  test("fields that the job must equal are judged in the lineage as well", async () => {
    const wider: Partial<Scope>[] = [
      { image: { ...world.scope().image, kind: "oci" } },
      ...[{ cwd: text("/") }, { stdin: "inherit" }, { stdin: seeded("x") }, { uid: 0 }, { gid: 0 }],
      ...[{ interpreter: world.scope().image }, { inputs: [] }],
    ] as Partial<Scope>[];
    for (const scope of wider) {
      const bytes = await world.caseBytes(chain(world, [{ claims: { scope } }]));
      expect(core.decide(bytes, { explain: true }).codes).toContain("lineage.scope");
    }
  });
});

describe("policies are only appended", () => {
  const both = { policies: [{}, { name: "other" }] };
  const policies: [string, readonly string[], Code | null][] = [
    ["the same", ["base", "other"], null],
    ["one dropped", ["base"], "lineage.policies"],
    ["all replaced", ["other"], "lineage.policies"],
    ["in another order", ["other", "base"], "lineage.policies"],
  ];
  test.each(policies)("%s", async (_what, names, code) => {
    expect(await codeFor({ policies: names }, both)).toBe(code);
  });

  test("one more, which must hold", async () => {
    const grant = { policies: ["base"], maxDepth: 4 };
    expect(await codeFor({ policies: ["base", "other"] }, { ...both, grant })).toBeNull();
    const bad = { pcrs: { sha256: new Map([[0, [seeded("another state")]]]) } };
    const presented = { policies: [{}, { name: "other", ...bad }], grant };
    const claims = { policies: ["base", "other"] };
    expect(await codeFor(claims, presented)).toBe("environment.pcr-mismatch");
  });
});

describe("the audience is nowhere wider", () => {
  const other = Uint8Array.of(1, ...seeded("other node", 16));
  const nodes = [world.ueid, other].sort(Buffer.compare);
  const audiences: [string, Link["audience"], string | Uint8Array[], Code | null][] = [
    ["some of the nodes", [world.ueid], nodes, null],
    ["a node more", nodes, [world.ueid], "lineage.audience"],
    ["the same label", "web", "web", null],
    ["another label", "zone-a", "web", "lineage.audience"],
    ["nodes under a label", [world.ueid], "web", null],
    ["a label instead of nodes", "web", [world.ueid], "lineage.audience"],
    ["another node", [other], nodes, "identity.audience"],
  ];
  test.each(audiences)("%s", async (_what, audience, held, code) => {
    const claims = audience === undefined ? {} : { audience };
    expect(await codeFor(claims, { grant: { audience: held } })).toBe(code);
  });

  test("the label again, after nodes under it", async () => {
    const links = [{ claims: { audience: [world.ueid] } }, { claims: { audience: "web" } }];
    expect(await codeOf(links, { grant: { audience: "web" } })).toBe("lineage.audience");
  });
});

describe("what else stays", () => {
  test("the plane's decision, through a link that is silent", async () => {
    const plane = { claims: { decision: "plane" } } as const;
    const local = { claims: { decision: "local" } } as const;
    expect(await codeOf([plane])).toBe("plane.missing");
    expect(await codeOf([plane, {}])).toBe("plane.missing");
    expect(await codeOf([plane, {}, local])).toBe("lineage.decision");
  });

  test("an older epoch, though governance still accepts it", async () => {
    const governance = { epoch: 3, keyset: "authority", class: "standard", ticket: null } as const;
    const grant = { maxDepth: 4, governance: { ...governance, epoch: 4 } };
    expect(await codeFor({ governance }, { grant })).toBe("lineage.epoch");
  });

  test("another subject, another class, though the charter has it", async () => {
    expect(await codeFor({ sub: "bob@example.test" })).toBe("lineage.subject");
    const governance = { epoch: 3, keyset: "authority", class: "single", ticket: null } as const;
    expect(await codeFor({ governance })).toBe("lineage.class");
  });

  test("another domain", async () => {
    expect(await codeFor({ domain: "other.example" })).toBe("policy.domain");
  });
});

describe("ancestors are judged with their children", () => {
  test("an ancestor revoked, by index or by digest; the leaf itself", async () => {
    const { chain: made } = await world.build(chain(world, [{}, {}]));
    const [grant, link, leaf] = made.map(({ digest }) => digest);
    const revoked = (element: Uint8Array | undefined) =>
      codeOf([{}, {}], { statusList: { elements: element === undefined ? [] : [element] } });
    expect(await revoked(grant)).toBe("revocation.ancestor");
    expect(await revoked(link)).toBe("revocation.ancestor");
    expect(await revoked(leaf)).toBe("revocation.artifact");
    const grants = Uint8Array.of(1 << 5, 0, 0, 0);
    expect(await codeOf([{}], { statusList: { grants } })).toBe("revocation.ancestor");
  });

  test("a delegate cannot mint uses by minting links: the parent's are counted", async () => {
    const minted = (cti: string) => chain(world, [{ claims: { cti: seeded(cti, 16) } }]);
    for (const name of ["first", "second"]) {
      const { chain: made } = await world.build(minted(name));
      const uses = made.map(({ digest }, i) => ({ element: digest, count: i === 0 ? 3 : 0 }));
      const bytes = await world.caseBytes({ ...minted(name), context: { uses } });
      expect(core.decide(bytes).code).toBe("replay.use");
    }
    const claims = { scope: { uses: 1 } };
    expect(await codeFor(claims, { uses: 1 })).toBe("replay.use");
    expect(await codeFor({}, { uses: 2 })).toBeNull();
  });

  test("a link cannot choose a status index", async () => {
    const edit = { claims: { link: (map: Map<unknown, unknown>) => map.set(-70008, 6) } };
    expect(await codeOf([{ edit }])).toBe("artifact.malformed");
  });

  test("every claim that a link must state is required", async () => {
    for (const key of [1, 2, 3, 4, 5, 6, 7, 8, -70002, -70003, -70006]) {
      const edit = { claims: { link: (map: Map<unknown, unknown>) => map.delete(key) } };
      expect([key, await codeOf([{ edit }])]).toEqual([key, "artifact.malformed"]);
    }
    const zero = { claims: { link: (map: Map<unknown, unknown>) => map.set(-70003, 0) } };
    expect(await codeOf([{ edit: zero }])).toBe("artifact.malformed");
  });
});
