/**
 * Checks that one case alone shows: the form of each field where it differs least from what is
 * allowed, and failures that a later success must not cover. Every row changes one thing in the
 * accepted case, below the types.
 */
import { describe, expect, test } from "vitest";
import { type Code, loadCore } from "../../../src/core/index.ts";
import { LIMITS } from "../../../src/limits.ts";
import { decode, encode } from "../../../src/wire/cbor.ts";
import { type CborKey, type CborMap, type CborValue, isMap } from "../../../src/wire/cbor-value.ts";
import { concat } from "../../support/ak.ts";
import { chain } from "../../support/chains.ts";
import { NOW, text } from "../../support/domain.ts";
import { imaCase, rulesOf, stageOf } from "../../support/ima-cases.ts";
import { ngEntry } from "../../support/ima-lists.ts";
import { seeded } from "../../support/keys.ts";
import { type CaseOverrides, makeWorld } from "../../support/world.ts";

const core = await loadCore();
const world = makeWorld();

type Change = (value: CborValue) => CborValue;
/** The value with what lies at these keys and indexes replaced. */
function at(path: readonly (CborKey | number)[], change: Change): Change {
  const [first, ...rest] = path;
  if (first === undefined) return change;
  return (value) => {
    if (Array.isArray(value)) {
      const place = Number(first);
      return value.with(place, at(rest, change)(value[place] ?? null)) as CborValue;
    }
    if (!isMap(value)) throw new Error(`nothing lies at ${String(first)}`);
    return new Map([...value, [first, at(rest, change)(value.get(first) ?? null)]]);
  };
}
const set = (path: readonly (CborKey | number)[], value: CborValue): Change =>
  at(path, () => value);
const edited = (
  kind: "charter" | "snapshot" | "node" | "grant" | "policy" | "proof",
  change: Change,
) => ({
  edit: {
    claims: {
      [kind]: (map: Map<CborKey, CborValue>) => {
        const changed = change(map) as CborMap;
        map.clear();
        for (const [key, value] of changed) map.set(key, value);
      },
    },
  },
});
const context = (change: Change): CaseOverrides => ({
  edit: {
    context: (map) => {
      for (const [key, value] of change(map) as CborMap) map.set(key, value);
    },
  },
});
/** The whole case, as CBOR. */
const whole = (change: Change) => ({ whole: change });

const KEYSETS = -70102;
const BOUNDS = -70103;
const SCOPE = -70000;
const GOVERNANCE = -70006;
const IMA = -70504;
const EVENTS = -70503;
const image = (alg: number, bytes: number) => [0, alg, new Uint8Array(bytes)];

const KEY_MAX = Number.MAX_SAFE_INTEGER;
/** Of 2^53, with this head. */
const keyBytes = (head: number) => Uint8Array.of(head, 0, 0x20, 0, 0, 0, 0, 0, 0);

type Row = readonly [what: string, code: Code, change: CaseOverrides | { whole: Change }];

const FORMS: readonly Row[] = [
  ["a case of version 2", "internal.case", whole(set([0], 2))],
  ["evidence of type 2", "internal.case", whole(set([2, 9, 0], 2))],
  ["context: a version without its digest", "internal.case", context(set([4, 2], null))],
  ["context: a digest without its version", "internal.case", context(set([4, 1], 0))],
  [
    "context: a start with a lease's members",
    "internal.case",
    context(set([9], [0, null, seeded("j"), seeded("c")])),
  ],
  ["context: a lease without its job", "internal.case", context(set([9], [1, seeded("r")]))],
  ["charter number 0", "governance.malformed", edited("charter", set([-70100], 0))],
  ["charter 0 with a predecessor", "governance.malformed", edited("charter", unnumbered)],
  ["charter 2 without a predecessor", "governance.malformed", edited("charter", set([-70100], 2))],
  ["charter 1 with one", "governance.malformed", edited("charter", set([-70101], seeded("p")))],
  ["snapshots of 0 seconds", "governance.malformed", edited("charter", set([BOUNDS, 1], 0))],
  [
    "a threshold that no keys reach",
    "governance.malformed",
    edited("charter", set([KEYSETS, 5, 0], 4)),
  ],
  ["no policy keys", "governance.malformed", edited("charter", at([KEYSETS], withoutKey(3)))],
  ["snapshot version 0", "governance.malformed", edited("snapshot", set([-70201], 0))],
  ["a cnf of another kind", "artifact.malformed", edited("grant", set([8], new Map([[5, 1]])))],
  ["a cnf of no node", "artifact.malformed", edited("grant", set([8], new Map([[SCOPE, 0]])))],
  ["a grant by another keyset", "artifact.malformed", edited("grant", set([GOVERNANCE, 1], 3))],
  [
    "an image by an unknown hash",
    "artifact.malformed",
    edited("grant", set([SCOPE, 1], image(-15, 64))),
  ],
  [
    "an image by a hash of another width",
    "artifact.malformed",
    edited("grant", set([SCOPE, 1], image(-16, 48))),
  ],
  ["standard input 2", "artifact.malformed", edited("grant", set([SCOPE, 5], 2))],
  ["a Name of 40 bytes", "identity.malformed", edited("node", set([-70401], new Uint8Array(40)))],
  ["a proof of something else", "identity.proof", edited("proof", renamed(-70300, -70301))],
  [
    "event rules of no bank",
    "policy.malformed",
    edited("policy", set([EVENTS], new Map([[0x12, eventRules()]]))),
  ],
  [
    "event rules of bank 65,547",
    "policy.malformed",
    edited("policy", set([EVENTS], new Map([[0x1_000b, eventRules()]]))),
  ],
  ["IMA digests of 28 bytes", "policy.malformed", ima(set([2, 0, 3, 0, 0], new Uint8Array(28)))],
  ["an excluded prefix that is no folder", "policy.malformed", ima(set([2, 0, 6], [text("/tmp")]))],
  [
    "an excluded prefix that is not absolute",
    "policy.malformed",
    ima(set([2, 0, 6], [text("tmp/")])),
  ],
  ["IMA rules under another key", "policy.malformed", ima(renamed(2, 3))],
  ["a stage under another key", "policy.malformed", ima(at([2, 0], renamed(2, 7)))],
  ["a stage that ends where it begins", "policy.malformed", ima(set([2, 0, 2], 0))],
  [
    "a class whose mark is 0",
    "governance.malformed",
    edited("charter", set([KEYSETS, 2, 1, "standard", 7], 0)),
  ],
  ["IMA rules whose aggregate is 0", "policy.malformed", ima(set([1], 0))],
  ["text keys by their letters, not by their lengths", "governance.malformed", misordered()],
  ["a claim of key 2^53 - 1", "artifact.unknown-claim", keyed(KEY_MAX, encode(KEY_MAX))],
  ["a claim of key 2^53", "artifact.malformed", keyed(KEY_MAX, keyBytes(0x1b))],
  ["a claim of key -2^53 + 1", "artifact.unknown-claim", keyed(-KEY_MAX, encode(-KEY_MAX))],
  ["a claim of key -2^53 - 1", "artifact.malformed", keyed(-KEY_MAX, keyBytes(0x3b))],
  ["a job of more than 64 KiB", "policy.job", job(set([2], Array(17).fill(new Uint8Array(4_000))))],
  ["a run time of 0", "policy.job", job(set([10], 0))],
  [
    "a chain of more than 192 KiB",
    "artifact.oversized",
    { edit: { object: { grant: () => new Uint8Array(LIMITS.chainBytes) } } },
  ],
  [
    "a status list of more than 256 KiB",
    "revocation.malformed",
    {
      edit: {
        statusList: () => encode([new Uint8Array(LIMITS.statusBytes), new Uint8Array(8), []]),
      },
    },
  ],
];

/** The charter with the last two of its classes, "standard" and "break-glass", in the other order. */
function misordered(): CaseOverrides {
  const charter = (bytes: Uint8Array): Uint8Array => {
    const keysets = (decode(bytes) as CborMap).get(KEYSETS) as CborMap;
    const [, classes] = keysets.get(2) as readonly [CborValue, CborMap];
    const members = [...classes].map(([name, value]) => concat(encode(name), encode(value)));
    return replaced(bytes, concat(...members.slice(-2)), concat(...members.slice(-2).reverse()));
  };
  return { edit: { payload: { charter } } };
}
/** The grant with one claim more, whose encoded key is replaced. */
function keyed(key: number, to: Uint8Array): CaseOverrides {
  return {
    edit: {
      claims: { grant: (map) => map.set(key, 0) },
      payload: { grant: (bytes) => replaced(bytes, encode(key), to) },
    },
  };
}
function replaced(bytes: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array {
  const at = Buffer.from(bytes).indexOf(from);
  if (at < 0) throw new Error("not there");
  return concat(bytes.subarray(0, at), to, bytes.subarray(at + from.length));
}

function unnumbered(value: CborValue): CborValue {
  return set([-70101], seeded("p"))(set([-70100], 0)(value));
}
function withoutKey(key: number): Change {
  return (value) => {
    if (!isMap(value)) throw new Error("no map");
    const [first] = [...(value.get(6) as readonly CborValue[])];
    const left = [...value].filter(([other]) => other !== key);
    return new Map([...left, [7, [first ?? 1, (value.get(6) as readonly CborValue[])[1] ?? []]]]);
  };
}
function renamed(from: number, to: number): Change {
  return (value) => {
    if (!isMap(value)) throw new Error("no map");
    return new Map([...value].map(([key, item]) => [key === from ? to : key, item]));
  };
}
function eventRules(): CborValue {
  return new Map([[0, [1, [], [], []]]]);
}
function ima(change: Change): CaseOverrides {
  const rules = rulesOf([stageOf(["/bin/a"])]);
  return { ...imaCase([ngEntry("/bin/a")], { rules }), ...edited("policy", at([IMA], change)) };
}
function job(change: Change): CaseOverrides {
  return { edit: { job: (bytes) => encode(change(decode(bytes))) } };
}

async function decided(change: Row[2]) {
  if (!("whole" in change)) return core.decide(await world.caseBytes(change));
  const edit = (bytes: Uint8Array): Uint8Array => encode(change.whole(decode(bytes)));
  return core.decide(await world.caseBytes({ edit: { case: edit } }));
}

test.each(FORMS)("%s", async (_, code, change) => {
  expect((await decided(change)).code).toBe(code);
});

describe("what one element fails, no other makes good", () => {
  const web = { scope: { uses: 1 }, audience: [world.ueid] };

  test("a node without the grant's label, though the link names it", async () => {
    const bytes = await world.caseBytes(
      chain(world, [{ claims: web }], { grant: { audience: "database" } }),
    );
    expect(core.decide(bytes).code).toBe("identity.audience");
  });

  test("the first of two policies, though the second is presented", async () => {
    const bytes = await world.caseBytes({ grant: { policies: ["hardened", "base"] } });
    expect(core.decide(bytes).code).toBe("policy.missing");
  });

  test("the first of two variables, though the second is allowed", async () => {
    const environment = [
      { name: text("AAA"), value: text("not listed") },
      { name: text("LANG"), value: text("C.UTF-8") },
    ];
    const bytes = await world.caseBytes({ job: { environment } });
    expect(core.decide(bytes).code).toBe("policy.environment");
  });

  test("a link's interpreter, where the grant has another or none", async () => {
    const other = { kind: "file", algorithm: "sha256", digest: seeded("interpreter") } as const;
    const held = { kind: "file", algorithm: "sha256", digest: seeded("held") } as const;
    for (const interpreter of [undefined, held]) {
      const scope = interpreter ? { interpreter } : {};
      const links = [{ claims: { scope: { interpreter: other } } }];
      const bytes = await world.caseBytes(chain(world, links, { scope }));
      expect(core.decide(bytes, { explain: true }).codes).toContain("lineage.scope");
    }
  });

  test("a link's longer arguments", async () => {
    const values = [...["report", "--month", "2030-03", "--all"].map(text)];
    const links = [{ claims: { scope: { argv: { form: "exact" as const, values } } } }];
    const bytes = await world.caseBytes(chain(world, links));
    expect(core.decide(bytes, { explain: true }).codes).toContain("lineage.scope");
  });
});

test("a charter of another domain ends the way, whoever signed it", async () => {
  const first = await world.build();
  const next = await world.make("charter", {
    ...world.charter({ number: 2, predecessor: first.charter.digest, iat: NOW - 1 }),
    domain: "other.example",
  });
  const evidence = { charters: [first.charter.bytes, next.bytes] };
  const bytes = await world.caseBytes({ evidence });
  expect(core.decide(bytes).code).toBe("governance.domain");
});

test("an IMA prefix of no entries is none", async () => {
  const made = imaCase([ngEntry("/bin/b")], { prefix: [ngEntry("/bin/a")] });
  expect(core.decide(await world.caseBytes(made)).allow).toBe(true);
  const none = { ...made, ...context(set([8, 3], 0)) };
  expect(core.decide(await world.caseBytes(none)).code).toBe("internal.case");
});

test("two documents of one policy are one too many, though both are active", async () => {
  const bytes = await world.caseBytes({ policies: [{}, { version: 2 }] });
  expect(core.decide(bytes).code).toBe("policy.malformed");
});

test("a threshold of all keys is a threshold", async () => {
  const { governance } = world.signers;
  const keysets = world.charter().keysets;
  const charter = {
    keysets: { ...keysets, governance: { ...keysets.governance, threshold: governance.length } },
  };
  const signers = { snapshot: governance };
  expect(core.decide(await world.caseBytes({ charter, signers })).code).toBeNull();
  expect(core.decide(await world.caseBytes({ charter })).code).toBe("governance.threshold");
});
