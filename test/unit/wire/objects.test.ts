import { describe, expect, test } from "vitest";
import { decode, encode } from "../../../src/wire/cbor.ts";
import type { CborKey, CborMap, CborValue } from "../../../src/wire/cbor-value.ts";
import * as cose from "../../../src/wire/cose.ts";
import { COSE_SIGN } from "../../../src/wire/cose.ts";
import { WireError } from "../../../src/wire/error.ts";
import {
  encodePayload,
  encodePlain,
  parsePlain,
  parseSigned,
  signObject,
  signPayload,
} from "../../../src/wire/objects.ts";
import { PLAIN, type PlainKind, SIGNED, type SignedKind } from "../../../src/wire/registry.ts";
import { testSigner } from "../../support/keys.ts";
import { mutations } from "../../support/mutations.ts";
import { PLAIN_SAMPLES, SIGNED_SAMPLES, world } from "../../support/samples.ts";
import { refusal, unhex } from "../../support/wire.ts";

const SIGNED_KINDS = Object.keys(SIGNED) as SignedKind[];
const PLAIN_KINDS = Object.keys(PLAIN) as PlainKind[];
const { stranger } = world.signers;

const sign = <K extends SignedKind>(kind: K) => signObject(kind, SIGNED_SAMPLES[kind], [stranger]);
const payloadMap = (kind: SignedKind): Map<CborKey, CborValue> =>
  new Map(decode(encodePayload(kind, SIGNED_SAMPLES[kind])) as CborMap);

describe.each(SIGNED_KINDS)("%s", (kind) => {
  test("reads back as it was made", async () => {
    const parsed = parseSigned(kind, await sign(kind));
    expect(parsed.claims).toEqual(SIGNED_SAMPLES[kind]);
    expect(unhex(parsed.message.payload)).toBe(unhex(encodePayload(kind, SIGNED_SAMPLES[kind])));
  });

  test("each claim is required, or optional as documented (missing exp accepted: SPIRE 1.11.3)", async () => {
    const documented: { readonly [kind in SignedKind]?: readonly number[] } = {
      policy: [-70502, -70503, -70504, -70505],
      grant: [-70007, -70010],
      link: [-70000, -70001, -70004, -70005, -70007, -70009, -70010],
    };
    const optional = documented[kind] ?? [];
    for (const key of payloadMap(kind).keys()) {
      const map = payloadMap(kind);
      map.delete(key);
      const bytes = await signPayload(kind, encode(map), [stranger]);
      if (optional.includes(Number(key))) expect(() => parseSigned(kind, bytes)).not.toThrow();
      else expect(refusal(() => parseSigned(kind, bytes)).message).toMatch(/is missing/);
    }
  });

  test("an unknown claim is refused", async () => {
    for (const key of [0, 40, -69_999, -70_999, "exp"]) {
      const map = payloadMap(kind).set(key, 0);
      const bytes = await signPayload(kind, encode(map), [stranger]);
      expect(refusal(() => parseSigned(kind, bytes)).message).toMatch(/unknown key/);
    }
  });

  test("the typ under the other tag is refused", async () => {
    const { tag, typ } = SIGNED[kind];
    const payload = encodePayload(kind, SIGNED_SAMPLES[kind]);
    const swapped =
      tag === COSE_SIGN
        ? await cose.sign1(typ, payload, stranger)
        : await cose.sign(typ, payload, [stranger]);
    expect(refusal(() => parseSigned(kind, swapped)).message).toMatch(`stands under tag ${tag}`);
  });

  test("an object of any other kind is refused (CVE-2022-35929, CVE-2022-35930)", async () => {
    const bytes = await sign(kind);
    for (const other of SIGNED_KINDS.filter((each) => each !== kind)) {
      expect(refusal(() => parseSigned(other, bytes)).message).toMatch(/expected portcullis-/);
    }
  });

  test("trailing bytes in the payload, or none at all, are refused", async () => {
    const payload = encodePayload(kind, SIGNED_SAMPLES[kind]);
    for (const wrong of [Uint8Array.of(...payload, 0), new Uint8Array()]) {
      const bytes = await signPayload(kind, wrong, [stranger]);
      expect(refusal(() => parseSigned(kind, bytes)).code).toBe("wire.cbor");
    }
  });

  test("a payload beyond its bound is refused", async () => {
    const big = new Uint8Array(SIGNED[kind].bytes + 1);
    const bytes = await signPayload(kind, big, [stranger]);
    expect(refusal(() => parseSigned(kind, bytes)).message).toMatch(/more than/);
  });

  test("no value is read as another: what is accepted encodes to the same bytes", () => {
    const seen = everyMutation(payloadMap(kind), (mutated) => {
      const claims = SIGNED[kind].shape.decode(mutated, kind);
      return encodePayload(kind, claims as never);
    });
    expect(seen.refused).toBeGreaterThan(0);
  });
});

describe.each(PLAIN_KINDS)("%s", (kind) => {
  const bytes = encodePlain(kind, PLAIN_SAMPLES[kind]);

  test("reads back as it was made", () => {
    expect(parsePlain(kind, bytes)).toEqual({ kind, value: PLAIN_SAMPLES[kind] });
  });

  test("every truncation is refused", () => {
    const step = Math.max(1, Math.floor(bytes.length / 500));
    for (let n = 0; n < bytes.length; n += step)
      refusal(() => parsePlain(kind, bytes.subarray(0, n)));
  });

  test("no value is read as another: what is accepted encodes to the same bytes", () => {
    const seen = everyMutation(decode(bytes), (mutated) =>
      encodePlain(kind, PLAIN[kind].shape.decode(mutated, kind) as never),
    );
    expect(seen.refused).toBeGreaterThan(0);
  });
});

/** Asks the reader for every mutation; what it accepts, it must have read as what it is. */
function everyMutation(value: CborValue, reencode: (mutated: CborValue) => Uint8Array) {
  const seen = { refused: 0, accepted: 0 };
  for (const mutated of mutations(value)) {
    try {
      expect(unhex(reencode(mutated))).toBe(unhex(encode(mutated)));
      seen.accepted++;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      seen.refused++;
    }
  }
  return seen;
}

describe("bounds of single claims", () => {
  const grant = (change: object) => () =>
    encodePayload("grant", { ...SIGNED_SAMPLES.grant, ...change });
  const charter = (change: object) => () =>
    encodePayload("charter", world.charter({ keysets: { ...world.charter().keysets, ...change } }));
  const key = stranger.key;
  const rows: [string, () => unknown, RegExp][] = [
    [
      "threshold 0 (CVE-2026-23992)",
      charter({ root: { threshold: 0, keys: [key] } }),
      /root\.threshold.*from 1/,
    ],
    [
      "a threshold that no one can meet",
      charter({ root: { threshold: 2, keys: [key] } }),
      /more signatures than/,
    ],
    ["an empty keyset", charter({ policy: { threshold: 1, keys: [] } }), /policy\.keys/],
    [
      "one key twice in a keyset (GHSA-pwqf-9h7j-7mv8)",
      charter({ root: { threshold: 1, keys: [key, key] } }),
      /twice/,
    ],
    [
      "one enroller twice",
      charter({
        enroller: [
          { key, labels: null },
          { key, labels: [] },
        ],
      }),
      /twice/,
    ],
    [
      "a first charter with a predecessor",
      () => encodePayload("charter", world.charter({ predecessor: new Uint8Array(32) })),
      /predecessor/,
    ],
    ["a time as a fraction", grant({ exp: 1.5 }), /grant\.exp/],
    ["an index as a float", grant({ statusIndex: 0.1 }), /grant\.statusIndex/],
    ["a negative index", grant({ statusIndex: -1 }), /grant\.statusIndex/],
    ["2^53", grant({ exp: 2 ** 53 }), /2\^53-1/],
    ["an identifier with a line break", grant({ sub: "alice\n" }), /grant\.sub/],
    ["an empty identifier", grant({ sub: "" }), /grant\.sub/],
    ["129 bytes of identifier", grant({ sub: "a".repeat(129) }), /grant\.sub/],
    ["an empty audience", grant({ audience: [] }), /grant\.audience/],
    [
      "nine nodes",
      grant({ audience: Array.from({ length: 9 }, (_, i) => new Uint8Array(7).fill(i)) }),
      /audience/,
    ],
    ["one node twice", grant({ audience: [world.ueid, world.ueid] }), /twice/],
    ["no policy", grant({ policies: [] }), /policies/],
    ["one policy twice", grant({ policies: ["base", "base"] }), /twice/],
    [
      "an empty argv",
      grant({ scope: world.scope({ argv: { form: "exact", values: [] } }) }),
      /argv\.values/,
    ],
    [
      "an empty set of choices",
      grant({ scope: world.scope({ argv: { form: "choices", values: [[]] } }) }),
      /values\[0\]/,
    ],
    ["no use", grant({ scope: world.scope({ uses: 0 }) }), /scope\.uses/],
    [
      "a digest of another size than its algorithm's",
      grant({
        scope: world.scope({
          image: { kind: "file", algorithm: "sha384", digest: new Uint8Array(32) },
        }),
      }),
      /size/,
    ],
    ["an unknown member", grant({ scoped: 1 }), /no member scoped/],
    ["an unknown word", grant({ decision: "toString" }), /one of local, plane/],
    [
      "a policy that compares nothing",
      () => encodePayload("policy", world.policy({ pcrs: undefined })),
      /compares nothing/,
    ],
    [
      "event-log rules that only allow, and nothing else",
      () =>
        encodePayload(
          "policy",
          world.policy({
            pcrs: undefined,
            eventLog: {
              sha256: new Map([[1, { separator: "none", events: [], variables: [], types: [1] }]]),
            },
          }),
        ),
      /compares nothing/,
    ],
    [
      "a policy that names no PCR",
      () => encodePayload("policy", world.policy({ pcrs: {} })),
      /no PCR/,
    ],
    [
      "PCR 24",
      () =>
        encodePayload(
          "policy",
          world.policy({ pcrs: { sha256: new Map([[24, [new Uint8Array(32)]]]) } }),
        ),
      /from 0 to 23/,
    ],
    [
      "a PCR value of another bank",
      () =>
        encodePayload(
          "policy",
          world.policy({ pcrs: { sha1: new Map([[0, [new Uint8Array(32)]]]) } }),
        ),
      /20 bytes/,
    ],
    [
      "a counter of 65 bits",
      () => encodePayload("policy", world.policy({ firmwareVersionMin: 1n << 64n })),
      /64 bits/,
    ],
    [
      "two values of one variable",
      () =>
        encodePlain(
          "job",
          world.job({
            environment: [0, 1].map(() => ({ name: Uint8Array.of(65), value: Uint8Array.of() })),
          }),
        ),
      /twice/,
    ],
    ["no run time", () => encodePlain("job", world.job({ runtimeSeconds: 0 })), /runtimeSeconds/],
    [
      "an argument of 4097 bytes",
      () => encodePlain("job", world.job({ argv: [new Uint8Array(4097)] })),
      /argv\[0\]/,
    ],
    [
      "a job beyond 64 KiB",
      () => encodePlain("job", world.job({ argv: Array(17).fill(new Uint8Array(4096)) })),
      /more than 65536/,
    ],
    ["nine signers", () => signObjectNow(9), /at most 8 signers/],
  ];
  test.each(rows)("%s", async (_why, work, message) => {
    await expect((async () => work())()).rejects.toThrow(message);
  });

  const signObjectNow = (count: number) =>
    signObject("grant", SIGNED_SAMPLES.grant, [stranger, ...Array(count - 1).fill(stranger)]);

  test("nine signers, when read; a charter may have sixteen", async () => {
    const many = Array.from({ length: 16 }, (_, i) => testSigner(`signer ${i}`));
    const payload = (kind: "snapshot" | "charter") => encodePayload(kind, SIGNED_SAMPLES[kind]);
    const snapshot = await cose.sign(SIGNED.snapshot.typ, payload("snapshot"), many.slice(0, 9));
    expect(refusal(() => parseSigned("snapshot", snapshot)).message).toMatch(/at most 8/);
    const charter = await cose.sign(SIGNED.charter.typ, payload("charter"), many);
    expect(parseSigned("charter", charter).message.signatures).toHaveLength(16);
  });

  test("lists that must be sorted are sorted when made, and refused unsorted", async () => {
    const [a, b] = [new Uint8Array(7), new Uint8Array(8)];
    const bytes = encodePayload("grant", { ...SIGNED_SAMPLES.grant, audience: [b, a] });
    expect((decode(bytes) as CborMap).get(-70009)).toEqual([a, b]);
    const swapped = encode(new Map([...(decode(bytes) as CborMap), [-70009, [b, a]]]));
    const signed = await signPayload("grant", swapped, [stranger]);
    expect(refusal(() => parseSigned("grant", signed)).message).toMatch(
      /audience\[1\]: not in order/,
    );
  });

  test("duplicates inside cnf, and a cnf of both forms", async () => {
    for (const cnf of [
      new Map<number, CborValue>([
        [1, decode(encodePlain("key", stranger.key))],
        [-70000, 1],
      ]),
      new Map(),
    ]) {
      const bytes = await signPayload("grant", encode(payloadMap("grant").set(8, cnf)), [stranger]);
      expect(refusal(() => parseSigned("grant", bytes)).message).toMatch(/cnf/);
    }
    const twice = unhex(encodePayload("grant", SIGNED_SAMPLES.grant)).replace(
      "08a101",
      "08a201f601",
    );
    const bytes = await signPayload("grant", new Uint8Array(Buffer.from(twice, "hex")), [stranger]);
    expect(refusal(() => parseSigned("grant", bytes)).message).toMatch(/occurs twice/);
  });
});
