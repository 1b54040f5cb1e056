/**
 * Headers and keys of another form, under good signatures: what stands under another label, or
 * calls itself something else, must not pass for what a header or a key holds there (RFC 9052 §3.1,
 * §7.1; RFC 9596 §2).
 */
import { describe, expect, test } from "vitest";
import { type Code, loadCore } from "../../../src/core/index.ts";
import { LIMITS } from "../../../src/limits.ts";
import { decode, decodeTagged, encode, encodeTagged } from "../../../src/wire/cbor.ts";
import type { CborKey, CborMap, CborValue } from "../../../src/wire/cbor-value.ts";
import { COSE_SIGN, COSE_SIGN1, parseCose, sign, sigStructure } from "../../../src/wire/cose.ts";
import { thumbprint } from "../../../src/wire/keys.ts";
import { concat } from "../../support/ak.ts";
import { type TestSigner, testSigner } from "../../support/keys.ts";
import { makeWorld } from "../../support/world.ts";

const core = await loadCore();
const world = makeWorld();
const built = await world.build();

type Change = (map: CborMap) => CborMap;
const renamed =
  (from: CborKey, to: CborKey): Change =>
  (map) =>
    new Map([...map].map(([key, item]) => [key === from ? to : key, item]));
const set =
  (key: CborKey, value: CborValue): Change =>
  (map) =>
    new Map([...map, [key, value]]);
const without =
  (gone: CborKey): Change =>
  (map) =>
    new Map([...map].filter(([key]) => key !== gone));
const same: Change = (map) => map;
const changed = (header: Uint8Array, change: Change): Uint8Array =>
  encode(change(decode(header) as CborMap));

/** The node credential with another header, signed by its enroller over that; `more` follows the signature. */
function credential(change: Change, more = new Uint8Array()): Uint8Array {
  const { value } = decodeTagged(built.node.bytes, [COSE_SIGN1]);
  const [header, , payload] = value as [Uint8Array, CborMap, Uint8Array];
  const body = changed(header, change);
  const signature = world.signers.enroller[1].sign(sigStructure(body, null, payload));
  return encodeTagged(COSE_SIGN1, [body, new Map(), payload, concat(signature, more)]);
}

/** The snapshot with another header, its own or its signers', signed by the same keys over that. */
function snapshot(own: Change, each: Change): Uint8Array {
  const { value } = decodeTagged(built.snapshot.bytes, [COSE_SIGN]);
  type Row = readonly [Uint8Array, CborMap, Uint8Array];
  const [header, , payload, rows] = value as [Uint8Array, CborMap, Uint8Array, readonly Row[]];
  const body = changed(header, own);
  const signatures = rows.map(([signer]) => {
    const changedSigner = changed(signer, each);
    const key = keyOf((decode(signer) as CborMap).get(4) as Uint8Array);
    return [changedSigner, new Map(), key.sign(sigStructure(body, changedSigner, payload))];
  });
  return encodeTagged(COSE_SIGN, [body, new Map(), payload, signatures]);
}

function keyOf(kid: Uint8Array): TestSigner {
  const key = world.signers.governance.find((one) => Buffer.from(kid).equals(thumbprint(one.key)));
  if (key === undefined) throw new Error("no such key");
  return key;
}

const codeOf = async (evidence: { node?: Uint8Array; snapshot?: Uint8Array }) =>
  core.decide(await world.caseBytes({ evidence })).code;

test("what is signed anew in its own form is allowed", async () => {
  expect(await codeOf({ node: credential(same), snapshot: snapshot(same, same) })).toBeNull();
});

describe("a COSE_Sign1", () => {
  const cases: readonly (readonly [string, Code, Change])[] = [
    ["alg under another label", "identity.malformed", renamed(1, 2)],
    ["kid under another label", "identity.malformed", renamed(4, 5)],
    ["typ under another label", "identity.malformed", renamed(16, 17)],
    ["a typ of another family", "identity.malformed", set(16, "portcuIlis-node+cwt")],
    ["a typ of another kind", "identity.malformed", set(16, "portcullis-gate+cwt")],
    ["a typ of another claims set", "identity.malformed", set(16, "portcullis-node+cwx")],
    ["an alg that is the key's in its lower 32 bits", "identity.algorithm", set(1, -9 - 2 ** 32)],
  ];
  test.each(cases)("with %s", async (_, code, change) => {
    expect(await codeOf({ node: credential(change) })).toBe(code);
  });

  test("with a signature beyond its bound, or beyond its algorithm's", async () => {
    const long = credential(same, new Uint8Array(LIMITS.signatureBytes - 63));
    expect(await codeOf({ node: long })).toBe("identity.malformed");
    const wide = credential(same, new Uint8Array(1));
    expect(await codeOf({ node: wide })).toBe("identity.signature");
  });
});

describe("a COSE_Sign", () => {
  const cases: readonly (readonly [string, Change, Change])[] = [
    ["typ under another label", renamed(16, 17), same],
    ["a typ of another family", set(16, "portcuIlis-snapshot+cwt"), same],
    ["a signer's alg under another label", same, renamed(1, 2)],
    ["a signer's kid under another label", same, renamed(4, 5)],
  ];
  test.each(cases)("with %s", async (_, own, each) => {
    expect(await codeOf({ snapshot: snapshot(own, each) })).toBe("governance.malformed");
  });

  test("with nine signers, who are none of the charter's", async () => {
    const { typ, payload } = parseCose(built.snapshot.bytes);
    const signers = Array.from({ length: LIMITS.signers + 1 }, (_, i) => testSigner(`signer ${i}`));
    const signed = await sign(typ, payload, signers);
    expect(await codeOf({ snapshot: signed })).toBe("governance.malformed");
    const eight = await sign(typ, payload, signers.slice(1));
    expect(await codeOf({ snapshot: eight })).toBe("governance.unknown-key");
  });
});

describe("a COSE_Key in a charter", () => {
  const KEYSETS = -70102;
  const PLANE = 6;
  const CRV = { ed25519: 6, p256: 1, p384: 2 } as const;
  /** The case under a charter in which the plane's key of this curve, which nobody uses, is another. */
  const caseOf = (crv: number, change: Change): Promise<Uint8Array> => {
    const edited = (map: Map<CborKey, CborValue>): void => {
      const keysets = map.get(KEYSETS) as CborMap;
      const [threshold, keys] = keysets.get(PLANE) as readonly [number, readonly CborMap[]];
      const others = keys.map((key) => (key.get(-1) === crv ? change(key) : key));
      map.set(KEYSETS, new Map([...keysets, [PLANE, [threshold, others]]]));
    };
    return world.caseBytes({ edit: { claims: { charter: edited } } });
  };
  const coordinate = (change: (bytes: Uint8Array) => Uint8Array): Change => {
    return (map) => new Map([...map, [-2, change(map.get(-2) as Uint8Array)]]);
  };
  const other = coordinate((bytes) => bytes.map((byte, i) => (i === 5 ? byte ^ 1 : byte)));

  test("is judged where it is used", async () => {
    expect(core.decide(await caseOf(CRV.ed25519, other)).code).toBeNull();
  });

  const cases: readonly (readonly [string, number, Change])[] = [
    ["kty under another label", CRV.p256, renamed(1, 2)],
    ["crv under another label", CRV.p256, renamed(-1, 3)],
    ["x under another label", CRV.ed25519, renamed(-2, -4)],
    ["y under another label", CRV.p256, renamed(-3, -4)],
    ["an OKP's type and an EC2's curve", CRV.p256, set(1, 1)],
    ["an EC2's type and an OKP's curve", CRV.ed25519, set(1, 2)],
    ["an OKP's type and P-384", CRV.p384, set(1, 1)],
    ["P-521 and a point of P-256", CRV.p256, set(-1, 3)],
    ["X25519, which signs nothing", CRV.ed25519, set(-1, 4)],
    ["a point of P-256 that is its x alone", CRV.p256, without(-3)],
    ["a point of P-384 that is its x alone", CRV.p384, without(-3)],
    ["an Ed25519 key and a y", CRV.ed25519, set(-3, new Uint8Array(32))],
    ["a coordinate too long", CRV.p256, coordinate((bytes) => Uint8Array.of(...bytes, 0))],
    ["a coordinate too short", CRV.p256, coordinate((bytes) => bytes.subarray(1))],
  ];
  test.each(cases)("with %s", async (_, crv, change) => {
    expect(core.decide(await caseOf(crv, change)).code).toBe("governance.malformed");
  });
});
