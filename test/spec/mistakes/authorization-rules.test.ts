/**
 * Published mistakes about what a valid authorization allows: rules that match nothing, revocation,
 * required claims.
 */
import { describe, expect, test } from "vitest";
import type { Code } from "../../../src/core/index.ts";
import { decode } from "../../../src/wire/cbor.ts";
import type { CborValue } from "../../../src/wire/cbor-value.ts";
import { thumbprint } from "../../../src/wire/keys.ts";
import { text } from "../../support/domain.ts";
import { seeded, testSigner } from "../../support/keys.ts";
import { concat, hex, numberBytes } from "../../support/signatures.ts";
import type { CaseOverrides } from "../../support/world.ts";
import { allows, core, decided, denies, world } from "./denial.ts";
import { type Message, messageOf, ROOT_KINDS, SIGNED_PARTS, withMessage } from "./objects.ts";

type Claims = Map<number | string, CborValue>;
const grantClaims = (edit: (map: Claims) => void): CaseOverrides => ({
  edit: { claims: { grant: edit } },
});

describe("policy-controller #223, Kyverno: no rule matched, so admitted; all of an empty set", () => {
  const empties: readonly (readonly [string, CaseOverrides, Code])[] = [
    ["a grant of no policy", grantClaims((map) => map.set(-70001, [])), "artifact.malformed"],
    ["a grant for nobody", grantClaims((map) => map.set(-70009, [])), "artifact.malformed"],
    ["a scope of nothing", grantClaims((map) => map.set(-70000, new Map())), "artifact.malformed"],
    [
      "no arguments",
      { scope: { argv: { form: "exact", values: [text("report")] } } },
      "policy.arguments",
    ],
    ["no caller", grantClaims(scopeWith(8, [])), "artifact.malformed"],
    ["no choice", grantClaims(scopeWith(2, [1, [[], [], []]])), "artifact.malformed"],
    ["an empty environment", { scope: { environment: [] } }, "policy.environment"],
    ["an environment left out", grantClaims(scopeWithout(3)), "policy.environment"],
    ["inputs left out", grantClaims(scopeWithout(10)), "policy.inputs"],
    ["a use that is none", grantClaims(scopeWith(12, 0)), "artifact.malformed"],
  ];
  test.each(empties)("%s", (_, overrides, code) => denies(overrides, code));

  const narrow = (members: object): CaseOverrides => {
    const charter = world.charter();
    const standard = charter.keysets.authority.classes.get("standard");
    if (standard === undefined) throw new Error("no class");
    const classes = new Map([["standard", { ...standard, ...members }]]);
    const authority = { ...charter.keysets.authority, classes };
    return { charter: { keysets: { ...charter.keysets, authority } } };
  };
  test("a class that covers no node, or no label", async () => {
    await denies(narrow({ nodes: [] }), "signature.class");
    await denies({ ...narrow({ labels: [] }), grant: { audience: "web" } }, "signature.class");
    await allows({ ...narrow({ labels: ["web"] }), grant: { audience: "web" } });
  });

  test("a class whose members are none of the keyset", async () => {
    const stranger = thumbprint(testSigner("no member").key);
    await denies(narrow({ members: [stranger] }), "signature.threshold");
  });

  test("an enroller that may give no label, a snapshot that lists no policy", async () => {
    const { enroller } = world.signers;
    await denies({ signers: { node: [enroller[2]] } }, "identity.labels");
    await denies({ snapshot: { policies: new Map() } }, "policy.inactive");
  });
});

function scopeWith(key: number, value: CborValue): (map: Claims) => void {
  return (map) => {
    map.set(-70000, new Map([...(map.get(-70000) as Claims)]).set(key, value));
  };
}

function scopeWithout(key: number): (map: Claims) => void {
  return (map) => {
    const scope = new Map(map.get(-70000) as Claims);
    scope.delete(key);
    map.set(-70000, scope);
  };
}

describe("Notary, several: revocation not reachable, so valid; unsigned list; index as float", () => {
  test("no list", () =>
    denies({ evidence: { statusList: new Uint8Array() } }, "revocation.missing"));

  test("a list of the presenter's own, in which nothing is revoked", async () => {
    const { statusList: own } = await world.build({ statusList: { grants: new Uint8Array(9) } });
    await denies({ evidence: { statusList: own } }, "revocation.list");
  });

  test("an older genuine list, from before the revocation", async () => {
    const { statusList: before } = await world.build();
    const revoked = { grants: new Uint8Array(8).fill(0x20, 0, 1) };
    await denies({ statusList: revoked }, "revocation.artifact");
    await denies({ statusList: revoked, evidence: { statusList: before } }, "revocation.list");
  });

  test("a list cut short: an index at its end and beyond is revoked", async () => {
    await allows({ statusList: { grants: new Uint8Array(1) } });
    await denies({ statusList: { grants: new Uint8Array(0) } }, "revocation.artifact");
    await allows({ grant: { statusIndex: 63 } });
    await denies({ grant: { statusIndex: 64 } }, "revocation.artifact");
    await denies({ grant: { statusIndex: 2 ** 35 + 5 } }, "revocation.artifact");
    await denies({ grant: { statusIndex: 2 ** 53 - 1 } }, "revocation.artifact");
    await denies({ node: { statusIndex: 64 } }, "revocation.node");
  });

  test("every bit of an index counts, and no other", async () => {
    for (const index of [0, 7, 8, 63]) {
      const grants = new Uint8Array(8);
      grants[index >> 3] = 1 << (index & 7);
      await denies(
        { statusList: { grants }, grant: { statusIndex: index } },
        "revocation.artifact",
      );
      await allows({
        statusList: { grants: grants.map((byte) => ~byte) },
        grant: { statusIndex: index },
      });
    }
  });

  test("an index as a float, text or negative", async () => {
    const float = hex("fb4014000000000000");
    const edit = {
      payload: {
        grant: (bytes: Uint8Array) =>
          replaced(bytes, "3a0001117705", concat(hex("3a00011177"), float)),
      },
    };
    await denies({ edit }, "artifact.malformed");
    await denies(
      grantClaims((map) => map.set(-70008, "5")),
      "artifact.malformed",
    );
    await denies(
      grantClaims((map) => map.set(-70008, -5)),
      "artifact.malformed",
    );
  });

  test("an element revoked by its digest, an epoch left behind", async () => {
    const { grant } = await world.build();
    const neighbours = [seeded("a"), grant.digest, seeded("b")].sort(Buffer.compare);
    await denies({ statusList: { elements: neighbours } }, "revocation.artifact");
    await denies({ snapshot: { epoch: 4 } }, "revocation.epoch");
    await allows({ snapshot: { epoch: 2 } });
  });
});

function replaced(bytes: Uint8Array, from: string, to: Uint8Array): Uint8Array {
  const at = Buffer.from(bytes).indexOf(hex(from));
  expect(at).toBeGreaterThan(0);
  return concat(bytes.subarray(0, at), to, bytes.subarray(at + from.length / 2));
}

describe("SPIRE 1.11.3: missing exp accepted", () => {
  test.each(ROOT_KINDS)("%s without any one of its claims", async (kind) => {
    const part = SIGNED_PARTS[kind];
    const claims = decode(messageOf(part.bytes).message[2]) as ReadonlyMap<number, CborValue>;
    for (const claim of claims.keys()) {
      const without = { claims: { [kind]: (map: Claims) => map.delete(claim) } };
      const { code } = decided(await world.caseBytes({ plane: true, edit: without }));
      expect(part.malformed, `claim ${claim}`).toContain(code);
    }
  });

  test("a grant whose exp is null, zero, text or a float", async () => {
    for (const exp of [null, "1900003600", [], true]) {
      await denies(
        grantClaims((map) => map.set(4, exp)),
        "artifact.malformed",
      );
    }
    await denies(
      grantClaims((map) => map.set(4, 0)),
      "signature.class",
    );
  });
});

/** Order of edwards25519 (RFC 8032 §5.1), of P-256 and of P-384 (FIPS 186-5). */
const ORDERS = {
  Ed25519: 2n ** 252n + 27742317777372353535851937790883648493n,
  "P-256": 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  "P-384": BigInt(`0x${"f".repeat(48)}c7634d81f4372ddf581a0db248b0a77aecec196accc52973`),
} as const;

describe("CVE-2024-48949, python-jose #403: S >= L, signature length, malleable twin evades a denylist", () => {
  const { authority } = world.signers;
  const [ed25519, p256, p384] = authority;
  /** The grant with the signature of one signer changed. */
  const withSignature = (
    signer: typeof ed25519,
    change: (signature: Uint8Array) => Uint8Array,
  ): CaseOverrides => {
    const kid = Buffer.from(thumbprint(signer.key));
    const object = (bytes: Uint8Array): Uint8Array => {
      const changed = (message: Message): readonly CborValue[] => {
        const rows = message[3] as readonly (readonly [Uint8Array, CborValue, Uint8Array])[];
        const signed = rows.map((row) =>
          Buffer.from(row[0]).includes(kid) ? [row[0], row[1], change(row[2])] : row,
        );
        return [message[0], message[1], message[2], signed];
      };
      let grant = bytes;
      withMessage(
        {
          bytes,
          malformed: [],
          put: (made) => {
            grant = made;
            return made;
          },
        },
        changed,
      );
      return grant;
    };
    return { signers: { grant: [...authority] }, edit: { object: { grant: object } } };
  };
  const half = (signature: Uint8Array): number => signature.length / 2;
  const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  const raisedS = (signature: Uint8Array): Uint8Array => {
    const s = toNumber(signature.subarray(32).toReversed()) + ORDERS.Ed25519;
    return concat(signature.subarray(0, 32), numberBytes(s, 32).toReversed());
  };
  const twin =
    (curve: "P-256" | "P-384") =>
    (signature: Uint8Array): Uint8Array => {
      const s = ORDERS[curve] - toNumber(signature.subarray(half(signature)));
      return concat(signature.subarray(0, half(signature)), numberBytes(s, half(signature)));
    };

  test("S >= L", () => denies(withSignature(ed25519, raisedS), "signature.invalid"));

  test("s = 0, s = n, r = 0", async () => {
    const zero = (signature: Uint8Array) => signature.slice().fill(0, half(signature));
    const order = (signature: Uint8Array) =>
      concat(signature.subarray(0, 32), numberBytes(ORDERS["P-256"], 32));
    await denies(withSignature(p256, zero), "signature.invalid");
    await denies(withSignature(p256, order), "signature.invalid");
    await denies(
      withSignature(p256, (bytes) => bytes.slice().fill(0, 0, 32)),
      "signature.invalid",
    );
    await denies(
      withSignature(p256, (bytes) => bytes.slice().fill(0)),
      "signature.invalid",
    );
    await denies(
      withSignature(ed25519, (bytes) => bytes.slice().fill(0)),
      "signature.invalid",
    );
  });

  test("every other length", async () => {
    for (const signer of authority) {
      const longer = (bytes: Uint8Array) => concat(bytes, Uint8Array.of(0));
      await denies(withSignature(signer, longer), "signature.invalid");
      await denies(
        withSignature(signer, (bytes) => bytes.subarray(0, -1)),
        "signature.invalid",
      );
      const padded = (bytes: Uint8Array) =>
        concat(
          Uint8Array.of(0),
          bytes.subarray(0, half(bytes)),
          Uint8Array.of(0),
          bytes.subarray(half(bytes)),
        );
      await denies(withSignature(signer, padded), "signature.invalid");
    }
    const over = new Uint8Array(4_097);
    await denies(
      withSignature(p256, () => over),
      "artifact.oversized",
    );
  });

  test("an ECDSA twin verifies, and is the same element: revoked, counted and answered as one", async () => {
    for (const [signer, curve] of [
      [p256, "P-256"],
      [p384, "P-384"],
    ] as const) {
      const overrides = withSignature(signer, twin(curve));
      const plain = await allows({ signers: { grant: [...authority] } });
      const other = await allows(overrides);
      expect(other.request?.chainDigest).toEqual(plain.request?.chainDigest);
      expect(other.request?.requestDigest).toEqual(plain.request?.requestDigest);
      expect(other.request?.elements).toEqual(plain.request?.elements);
      const digest = plain.request?.chainDigest ?? new Uint8Array();
      await denies({ ...overrides, statusList: { elements: [digest] } }, "revocation.artifact");
      await denies({ ...overrides, uses: 3 }, "replay.use");
    }
  });

  test("one more signature, or one less above the threshold, is the same element too", async () => {
    const three = await allows({ signers: { grant: [...authority] } });
    const two = await allows({ signers: { grant: [ed25519, p256] } });
    expect(two.request?.elements).toEqual(three.request?.elements);
  });

  test("one bad signature beside enough good ones", async () => {
    const bad = (bytes: Uint8Array) => bytes.with(5, (bytes[5] ?? 0) ^ 1);
    for (const signer of authority) await denies(withSignature(signer, bad), "signature.invalid");
  });
});

test("the accepted case is allowed", async () => {
  expect(core.decide(await world.caseBytes()).code).toBeNull();
});
