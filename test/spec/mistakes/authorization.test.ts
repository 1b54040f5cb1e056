/**
 * Published mistakes of authorization verifiers and of signed formats, each made here on purpose.
 * Rows about the log and the process that runs stand elsewhere; index.test.ts names the test of
 * every row.
 */
import { describe, expect, test } from "vitest";
import type { Code } from "../../../src/core/index.ts";
import { decode, encode, encodeTagged } from "../../../src/wire/cbor.ts";
import type { CborValue } from "../../../src/wire/cbor-value.ts";
import { COSE_SIGN, sign, sign1 } from "../../../src/wire/cose.ts";
import { thumbprint } from "../../../src/wire/keys.ts";
import { holderAt } from "../../support/chains.ts";
import type { Signers } from "../../support/domain.ts";
import { seeded, testSigner } from "../../support/keys.ts";
import type { CaseOverrides } from "../../support/world.ts";
import { allows, core, decided, denies, world } from "./denial.ts";
import {
  built,
  messageOf,
  PART_KINDS,
  type PartKind,
  ROOT_KINDS,
  type RootKind,
  SIGNED_PARTS,
  withMessage,
} from "./objects.ts";

type MapEdit = (map: Map<number | string, CborValue>) => void;
const claims = (kind: PartKind, edit: MapEdit): CaseOverrides => ({
  plane: true,
  edit: { claims: { [kind]: edit } },
});
const codeOf = (bytes: Uint8Array): Code | null => decided(bytes).code;

/** The protected header that names the algorithm, as a map. */
function headerWith(kind: PartKind, edit: MapEdit): Uint8Array {
  return withMessage(SIGNED_PARTS[kind], ([body, , payload, last]) => {
    if (last instanceof Uint8Array) return [edited(body, edit), new Map(), payload, last];
    const [first, ...rest] = last as readonly (readonly [Uint8Array, CborValue, CborValue])[];
    if (first === undefined) throw new Error("no signer");
    return [body, new Map(), payload, [[edited(first[0], edit), new Map(), first[2]], ...rest]];
  });
}

function edited(header: Uint8Array, edit: MapEdit): Uint8Array {
  const map = new Map(decode(header) as ReadonlyMap<number | string, CborValue>);
  edit(map);
  return encode(map);
}

const ALGORITHM = {
  charter: "governance.algorithm",
  snapshot: "governance.algorithm",
  grant: "signature.algorithm",
  link: "signature.algorithm",
  policy: "policy.unsigned",
  node: "identity.algorithm",
  proof: "identity.proof",
  result: "plane.algorithm",
} as const satisfies { readonly [kind in PartKind]: Code };

describe("CVE-2023-48223, CVE-2026-34950, CVE-2026-22817: algorithm chosen by the token", () => {
  test.each(PART_KINDS)("%s", (kind) => {
    // ES256K, PS256, A256KW, ES256, EdDSA, Ed448, HMAC, and what stands for none.
    for (const alg of [-47, -37, -5, -7, -8, -53, 5, 0, -1]) {
      expect(codeOf(headerWith(kind, (map) => map.set(1, alg)))).toBe(ALGORITHM[kind]);
    }
    // The name instead of the number, also with a leading space.
    for (const alg of [" -19", "-19", "EdDSA", "none", "", null]) {
      const code = codeOf(headerWith(kind, (map) => map.set(1, alg)));
      expect(SIGNED_PARTS[kind].malformed).toContain(code);
    }
  });
});

describe("pycose #140, #94; go-cose #80, #217: alg or crit read from the unprotected header", () => {
  const unprotected: readonly (readonly [string, ReadonlyMap<number, CborValue>])[] = [
    ["alg", new Map([[1, -19]])],
    ["crit", new Map([[2, [1]]])],
    ["kid", new Map([[4, new Uint8Array(32)]])],
    ["an unknown parameter", new Map([[99, 0]])],
  ];
  test.each(PART_KINDS)("%s", (kind) => {
    const part = SIGNED_PARTS[kind];
    for (const [name, map] of unprotected) {
      const bytes = withMessage(part, ([body, , payload, last]) => [body, map, payload, last]);
      expect(part.malformed, name).toContain(codeOf(bytes));
      expect(codeOf(bytes), name).not.toBe("artifact.oversized");
      if (messageOf(part.bytes).message[3] instanceof Uint8Array) continue;
      const inSigner = withMessage(part, ([body, empty, payload, last]) => {
        const rows = last as readonly (readonly CborValue[])[];
        return [body, empty, payload, rows.map((row) => row.with(1, map))];
      });
      expect(part.malformed, name).toContain(codeOf(inSigner));
      expect(codeOf(inSigner), name).not.toBe("artifact.oversized");
    }
    const missing = headerWith(kind, (map) => map.delete(1));
    expect(part.malformed).toContain(codeOf(missing));
    const critical = headerWith(kind, (map) => map.set(2, [1]));
    expect(part.malformed).toContain(codeOf(critical));
  });
});

describe("GHSA-pwqf-9h7j-7mv8, GHSA-3633-5h82-39pq, GHSA-9vcr-p3rj-q5q6: one key counted twice", () => {
  const rows = (kind: PartKind, change: (rows: readonly CborValue[]) => readonly CborValue[]) =>
    withMessage(SIGNED_PARTS[kind], ([body, empty, payload, last]) => [
      ...[body, empty, payload],
      change(last as readonly CborValue[]),
    ]);

  test.each(["charter", "snapshot", "policy", "grant"] as const)("by the same id: %s", (kind) => {
    const twice = rows(kind, ([first]) => [first ?? null, first ?? null]);
    expect(SIGNED_PARTS[kind].malformed).toContain(codeOf(twice));
  });

  test("by two ids: one that is not the key's thumbprint names no key", () => {
    const renamed = rows("grant", ([first]) => {
      const [header, empty, signature] = first as readonly CborValue[];
      const other = edited(header as Uint8Array, (map) => map.set(4, new Uint8Array(32)));
      return [[other, empty ?? null, signature ?? null], first ?? null];
    });
    expect(codeOf(renamed)).toBe("signature.unknown-key");
  });

  test("by two entries of a keyset, or of two encodings", async () => {
    const { governance } = world.signers;
    const key =
      (member: MapEdit): MapEdit =>
      (map) => {
        const sets = new Map(map.get(-70102) as ReadonlyMap<number, CborValue>);
        const [threshold, keys] = sets.get(5) as readonly [number, readonly CborValue[]];
        const first = new Map(keys[0] as ReadonlyMap<number | string, CborValue>);
        member(first);
        map.set(-70102, sets.set(5, [threshold, [first, ...keys]]));
      };
    expect(governance).toHaveLength(3);
    for (const member of [
      () => undefined,
      (first: Map<number | string, CborValue>) => first.set(2, thumbprint(governance[0].key)),
      (first: Map<number | string, CborValue>) => first.set(3, -19),
      (first: Map<number | string, CborValue>) => first.set(-2, [0]),
    ]) {
      await denies(claims("charter", key(member)), "governance.malformed");
    }
  });

  test("by being no member: a class counts its own members alone", async () => {
    const { authority } = world.signers;
    const single = { ...world.grant().governance, class: "single" };
    await allows({ grant: { governance: single }, signers: { grant: [authority[1]] } });
    await denies(
      { grant: { governance: single }, signers: { grant: [authority[0], authority[2]] } },
      "signature.threshold",
    );
  });
});

describe("CVE-2026-23992: threshold 0", () => {
  const threshold = (role: number, value: number) =>
    claims("charter", (map) => {
      const sets = new Map(map.get(-70102) as ReadonlyMap<number, CborValue>);
      const [, keys] = sets.get(role) as readonly CborValue[];
      map.set(-70102, sets.set(role, [value, keys ?? null]));
    });
  test.each([1, 3, 5, 6])("of keyset %d, and one that its keys cannot reach", async (role) => {
    await denies(threshold(role, 0), "governance.malformed");
    await denies(threshold(role, 4), "governance.malformed");
  });

  test("of a class", async () => {
    const zero = claims("charter", (map) => {
      const sets = new Map(map.get(-70102) as ReadonlyMap<number, CborValue>);
      const [keys, classes] = sets.get(2) as readonly [CborValue, ReadonlyMap<string, CborValue>];
      const standard = classes.get("standard") as readonly CborValue[];
      map.set(
        -70102,
        sets.set(2, [keys, new Map([...classes, ["standard", standard.with(0, 0)]])]),
      );
    });
    await denies(zero, "governance.malformed");
  });
});

describe("CVE-2022-35929, CVE-2022-35930: wrong or absent type passes; typ swapped", () => {
  const typOf = (kind: string): string => `portcullis-${kind}+cwt`;
  const typs = [
    ...[...PART_KINDS, "receipt", "", "GRANT", "gran", "grantx"].map(typOf),
    ...["", "application/cwt", "portcullis-grant", "grant"],
  ];
  test.each(PART_KINDS)("%s under every other type, signed as such", async (kind) => {
    const part = SIGNED_PARTS[kind];
    const { message } = messageOf(part.bytes);
    const signers: Signers = kind === "proof" ? [holderAt(world, 1)] : world.defaultSigners(kind);
    const single = message[3] instanceof Uint8Array;
    const signed = async (typ: string): Promise<Code | null> => {
      const bytes = single
        ? await sign1(typ, message[2], signers[0])
        : await sign(typ, message[2], signers);
      return codeOf(part.put(bytes));
    };
    expect(part.malformed).not.toContain(await signed(typOf(kind)));
    for (const typ of typs.filter((typ) => typ !== typOf(kind))) {
      expect(part.malformed, typ).toContain(await signed(typ));
    }
    const absent = withMessage(part, ([body, ...rest]) => [
      edited(body, (map) => map.delete(16)),
      ...rest,
    ]);
    expect(part.malformed).toContain(codeOf(absent));
  });

  test.each(PART_KINDS)("%s under the other tag, another one, or none", (kind) => {
    const part = SIGNED_PARTS[kind];
    const { tag, message } = messageOf(part.bytes);
    const untagged = encode(message);
    const tags = [[0xd2], [0xd8, 98], [0xd1], [0xd8, 97], [0xd8, 18], []];
    const own = encodeTagged(tag, message).subarray(0, -untagged.length);
    for (const tagged of tags) {
      if (Buffer.from(own).equals(Buffer.from(tagged))) continue;
      const bytes = new Uint8Array([...tagged, ...untagged]);
      expect(part.malformed).toContain(codeOf(part.put(bytes)));
    }
  });
});

describe("gh CLI #10418: success when nothing was verified", () => {
  test.each(["charter", "snapshot", "policy", "grant"] as const)("%s with no signer", (kind) => {
    const part = SIGNED_PARTS[kind];
    const none = withMessage(part, ([body, empty, payload]) => [body, empty, payload, []]);
    expect(part.malformed).toContain(codeOf(none));
  });

  test.each(PART_KINDS)("%s with an empty signature, or none", (kind) => {
    const part = SIGNED_PARTS[kind];
    const empty = new Uint8Array();
    for (const nothing of [empty, null]) {
      const bytes = withMessage(part, ([body, unprotected, payload, last]) => [
        ...[body, unprotected, payload],
        last instanceof Uint8Array
          ? nothing
          : (last as readonly (readonly CborValue[])[]).map((row) => row.with(2, nothing)),
      ]);
      expect(part.malformed).toContain(codeOf(bytes));
    }
  });

  test("a case of absent parts", async () => {
    const empty = new Uint8Array();
    const absent: readonly (readonly [number, CborValue, Code])[] = [
      [1, [], "governance.missing"],
      [1, [empty], "governance.missing"],
      [2, empty, "governance.missing"],
      [3, empty, "revocation.missing"],
      [4, [], "artifact.missing"],
      [4, [empty], "artifact.missing"],
      [5, null, "identity.proof"],
      [5, empty, "identity.proof"],
      [6, empty, "identity.missing"],
      [7, empty, "policy.job"],
      [8, [], "policy.missing"],
      [8, [empty], "policy.malformed"],
    ];
    for (const [key, value, code] of absent) {
      await denies({ edit: { evidence: (map) => map.set(key, value) } }, code);
    }
  });
});

describe("CVE-2022-36056, CVE-2026-22703: valid, but of another artifact", () => {
  test("a quote and a proof of the same node for another job", async () => {
    const { evidence } = await world.build({ job: { argv: [seeded("other", 8)] } });
    await denies({ evidence: { proof: evidence.proof } }, "identity.proof");
    await denies({ holder: "node", evidence: { tpm: evidence.tpm } }, "environment.quote-nonce");
  });

  test("a quote for another authorization of the same job", async () => {
    const { evidence } = await world.build({ holder: "node", grant: { cti: seeded("x", 16) } });
    await denies({ holder: "node", evidence: { tpm: evidence.tpm } }, "environment.quote-nonce");
  });

  test("the plane's result over another request, or other evidence", async () => {
    const { result } = await world.build({ plane: true, run: seeded("another run") });
    await denies(await world.withResult({ plane: true }, () => result), "plane.request");
  });

  test("objects of another domain, under the same keys", async () => {
    const domain = "other.example";
    await denies({ snapshot: { domain } }, "governance.domain");
    await denies({ grant: { domain } }, "policy.domain");
    await denies({ policies: [{ domain }] }, "policy.malformed");
    await denies({ node: { domain } }, "identity.domain");
  });

  test("a snapshot of another charter of this domain, a policy of another name", async () => {
    await denies({ snapshot: { charter: seeded("another") } }, "governance.charter");
    await denies(
      { policies: [{ name: "other" }], grant: { policies: ["base"] } },
      "policy.missing",
    );
  });
});

/** Who signs what, under which code a key of another set is refused. */
describe("biscuit, 2024-07-31: key confusion between keysets", () => {
  const refusals = {
    charter: "governance.unknown-key",
    snapshot: "governance.unknown-key",
    grant: "signature.unknown-key",
    policy: "policy.unsigned",
    node: "identity.unknown-key",
    proof: "identity.proof",
    result: "plane.unknown-key",
  } as const satisfies { readonly [kind in RootKind]: Code };
  const { root, authority, policy, enroller, governance, plane, agent, nodeLog } = world.signers;
  const sets = {
    root,
    authority,
    policy,
    enroller,
    governance,
    plane,
    agent: [agent],
    log: [nodeLog],
  };
  const own: { readonly [kind in RootKind]: keyof typeof sets } = {
    charter: "root",
    snapshot: "governance",
    grant: "authority",
    policy: "policy",
    node: "enroller",
    proof: "agent",
    result: "plane",
  };
  test.each(ROOT_KINDS)("%s signed by the keys of every other set", async (kind) => {
    for (const [set, keys] of Object.entries(sets)) {
      if (set === own[kind]) continue;
      const many = messageOf(SIGNED_PARTS[kind].bytes).tag === COSE_SIGN;
      const signers = { [kind]: (many ? keys : keys.slice(0, 1)) as unknown as Signers };
      await denies({ plane: true, signers }, refusals[kind]);
    }
  });

  test("a key of another domain's charter, though that charter is genuine", async () => {
    const stranger = testSigner("another domain's authority", "P-256");
    await denies({ signers: { grant: [authority[0], stranger] } }, "signature.unknown-key");
  });
});

test("the objects that these tests change make an allowed case", () => {
  expect(core.decide(built.bytes).code).toBeNull();
});
