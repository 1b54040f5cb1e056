import { describe, expect, test } from "vitest";
import { decode, encode, encodeTagged } from "../../../src/wire/cbor.ts";
import type { CborValue } from "../../../src/wire/cbor-value.ts";
import {
  addSignature,
  COSE_SIGN,
  parseCose,
  sign,
  sign1,
  signedBytes,
  splitCose,
  type UnverifiedMessage,
} from "../../../src/wire/cose.ts";
import { thumbprint, verifySignature } from "../../../src/wire/keys.ts";
import { type TestSigner, testSigner } from "../../support/keys.ts";
import { refusal, unhex } from "../../support/wire.ts";

const ALICE = testSigner("alice", "Ed25519");
const BOB = testSigner("bob", "P-256");
const CAROL = testSigner("carol", "P-384");
const EVERYONE = [ALICE, BOB, CAROL] as const;
const PAYLOAD = encode(new Map([[3, "test.example"]]));

const kidOf = (signer: TestSigner): string => unhex(thumbprint(signer.key));
function verified(message: UnverifiedMessage): number {
  return message.signatures.filter((entry) => {
    const signer = EVERYONE.find((each) => kidOf(each) === unhex(entry.kid));
    return signer && verifySignature(signer.key, signedBytes(message, entry), entry.signature);
  }).length;
}

describe("COSE_Sign", () => {
  test("all three algorithms sign, sorted by kid", async () => {
    const message = parseCose(await sign("portcullis-grant+cwt", PAYLOAD, EVERYONE));
    expect(message.typ).toBe("portcullis-grant+cwt");
    expect(unhex(message.payload)).toBe(unhex(PAYLOAD));
    expect(message.signatures.map((entry) => unhex(entry.kid))).toEqual(EVERYONE.map(kidOf).sort());
    expect(message.signatures.map((entry) => entry.alg).sort()).toEqual([-19, -51, -9]);
    expect(verified(message)).toBe(3);
  });

  test("k of n sign one after another, in any order, to the same bytes", async () => {
    const together = await sign("t", PAYLOAD, EVERYONE);
    let one = await sign("t", PAYLOAD, [CAROL]);
    for (const signer of [ALICE, BOB]) one = await addSignature(one, signer);
    expect(unhex(one)).toBe(unhex(together));
  });

  test("one key does not sign twice (GHSA-pwqf-9h7j-7mv8, GHSA-3633-5h82-39pq)", async () => {
    await expect(sign("t", PAYLOAD, [ALICE, ALICE])).rejects.toThrow(/signs twice/);
    await expect(addSignature(await sign("t", PAYLOAD, [BOB]), BOB)).rejects.toThrow(/twice/);
  });

  test("no signer at all", async () => {
    await expect(sign("t", PAYLOAD, [])).rejects.toThrow(/at least one/);
  });

  test("a signer that lives elsewhere, and answers later", async () => {
    const remote = { key: BOB.key, sign: async (bytes: Uint8Array) => BOB.sign(bytes) };
    expect(verified(parseCose(await sign("t", PAYLOAD, [remote])))).toBe(1);
  });

  test("a signer that answers in DER", async () => {
    const der = { key: BOB.key, sign: () => new Uint8Array(70) };
    await expect(sign("t", PAYLOAD, [der])).rejects.toThrow(/not DER/);
  });
});

describe("COSE_Sign1", () => {
  test.each(EVERYONE)("signs and reads back, $key.crv", async (signer) => {
    const message = parseCose(await sign1("portcullis-proof+cwt", PAYLOAD, signer));
    expect(message.typ).toBe("portcullis-proof+cwt");
    expect(verified(message)).toBe(1);
  });

  test("takes no second signature", async () => {
    await expect(addSignature(await sign1("t", PAYLOAD, ALICE), BOB)).rejects.toThrow(
      /exactly one/,
    );
  });

  test("a signature of one kind is none of the other: tag swapped", async () => {
    const one = parseCose(await sign1("t", PAYLOAD, ALICE));
    const [entry] = one.signatures;
    if (entry === undefined) throw new Error("no signature");
    const asSign = { ...one, tag: COSE_SIGN } as const;
    expect(verifySignature(ALICE.key, signedBytes(one, entry), entry.signature)).toBe(true);
    expect(verifySignature(ALICE.key, signedBytes(asSign, entry), entry.signature)).toBe(false);
  });
});

describe("refused forms", () => {
  const kid = thumbprint(ALICE.key);
  const header = (...entries: [number, CborValue][]) => encode(new Map(entries));
  const empty = new Map<number, CborValue>();
  const sig = new Uint8Array(64);
  const body = header([16, "t"]);
  const own = header([1, -19], [4, kid]);
  const good1 = header([1, -19], [4, kid], [16, "t"]);
  const row = [own, empty, sig];
  const other = [header([1, -19], [4, new Uint8Array(32)]), empty, sig];
  const rows: [string, number, CborValue, RegExp][] = [
    [
      "alg in the unprotected header (pycose #140, go-cose #80)",
      98,
      [body, empty, PAYLOAD, [[own, new Map([[1, -19]]), sig]]],
      /unprotected/,
    ],
    [
      "crit in the unprotected header (pycose #94, go-cose #217)",
      18,
      [good1, new Map([[2, [1]]]), PAYLOAD, sig],
      /unprotected/,
    ],
    [
      "crit in the protected header",
      18,
      [header([1, -19], [2, [16]], [4, kid], [16, "t"]), empty, PAYLOAD, sig],
      /exactly/,
    ],
    ["no typ (CVE-2022-35929)", 18, [header([1, -19], [4, kid]), empty, PAYLOAD, sig], /exactly/],
    [
      "no typ on a COSE_Sign (CVE-2022-35930)",
      98,
      [new Uint8Array(), empty, PAYLOAD, [row]],
      /not CBOR/,
    ],
    ["typ as a number", 18, [header([1, -19], [4, kid], [16, 61]), empty, PAYLOAD, sig], /typ/],
    [
      "alg as text, with a leading space (CVE-2026-34950)",
      18,
      [header([1, " EdDSA"], [4, kid], [16, "t"]), empty, PAYLOAD, sig],
      /alg/,
    ],
    ["no alg", 98, [body, empty, PAYLOAD, [[header([4, kid]), empty, sig]]], /exactly/],
    [
      "a short kid",
      18,
      [header([1, -19], [4, kid.subarray(1)], [16, "t"]), empty, PAYLOAD, sig],
      /kid/,
    ],
    [
      "another parameter",
      98,
      [body, empty, PAYLOAD, [[header([1, -19], [4, kid], [5, kid]), empty, sig]]],
      /exactly/,
    ],
    [
      "alg in the body of a COSE_Sign",
      98,
      [header([1, -19], [16, "t"]), empty, PAYLOAD, [row]],
      /exactly/,
    ],
    ["detached payload", 18, [good1, empty, null, sig], /payload/],
    ["detached payload of a COSE_Sign", 98, [body, empty, null, [row]], /payload/],
    ["no signature at all (gh CLI #10418)", 98, [body, empty, PAYLOAD, []], /without/],
    ["an empty signature", 18, [good1, empty, PAYLOAD, new Uint8Array()], /0 bytes/],
    ["a signature beyond its bound", 18, [good1, empty, PAYLOAD, new Uint8Array(4097)], /4097/],
    ["one key twice (GHSA-9vcr-p3rj-q5q6)", 98, [body, empty, PAYLOAD, [row, row]], /order|twice/],
    ["signers out of order", 98, [body, empty, PAYLOAD, [row, other]], /order/],
    ["17 signers", 98, [body, empty, PAYLOAD, Array(17).fill(row)], /more signatures/],
    ["three members", 18, [good1, empty, PAYLOAD], /four members/],
    ["five members", 18, [good1, empty, PAYLOAD, sig, sig], /four members/],
    ["a COSE_Sign1 under tag 98", 98, [good1, empty, PAYLOAD, sig], /exactly|array/],
    ["a COSE_Sign under tag 18", 18, [body, empty, PAYLOAD, [row]], /exactly/],
    [
      "trailing bytes in a header",
      18,
      [Uint8Array.of(...good1, 0), empty, PAYLOAD, sig],
      /not CBOR/,
    ],
    [
      "trailing bytes in a signer's header",
      98,
      [body, empty, PAYLOAD, [[Uint8Array.of(...own, 0), empty, sig]]],
      /not CBOR/,
    ],
    ["headers that are not CBOR", 18, [Uint8Array.of(0xff), empty, PAYLOAD, sig], /not CBOR/],
    ["headers that are no map", 18, [Uint8Array.of(0x80), empty, PAYLOAD, sig], /not a map/],
    [
      "headers not in order",
      18,
      [Uint8Array.from([0xa2, 4, 0x40, 1, 0x32]), empty, PAYLOAD, sig],
      /not CBOR/,
    ],
    ["a map instead", 18, empty, /four members/],
  ];
  test.each(rows)("%s", (_why, tag, value, message) => {
    const error = refusal(() => parseCose(encodeTagged(tag, value)));
    expect(error.code).toBe("wire.cose");
    expect(error.message).toMatch(message);
  });

  test("no tag, another tag, something after", async () => {
    const bytes = await sign1("t", PAYLOAD, ALICE);
    expect(refusal(() => parseCose(bytes.subarray(1))).message).toMatch(/expected tag 98 or 18/);
    expect(refusal(() => parseCose(Uint8Array.of(0xd1, ...bytes.subarray(1)))).message).toMatch(
      /tag/,
    );
    expect(refusal(() => parseCose(Uint8Array.of(...bytes, 0))).message).toMatch(/follow/);
  });

  test("every truncation", async () => {
    for (const bytes of [await sign1("t", PAYLOAD, ALICE), await sign("t", PAYLOAD, EVERYONE)]) {
      for (let n = 0; n < bytes.length; n++) refusal(() => parseCose(bytes.subarray(0, n)));
    }
  });

  test("every bit of a signed object, flipped, breaks its form or its signature", async () => {
    const bytes = await sign1("t", PAYLOAD, ALICE);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const copy = bytes.slice();
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      let count = 0;
      try {
        count = verified(parseCose(copy));
      } catch (error) {
        expect(error).toHaveProperty("code");
      }
      expect(count, `bit ${bit}`).toBe(0);
    }
  });
});

test("protected headers are exactly the documented ones", async () => {
  const message = parseCose(await sign("t", PAYLOAD, [ALICE]));
  expect(decode(message.body)).toEqual(new Map([[16, "t"]]));
  const [entry] = message.signatures;
  expect(entry && decode(entry.header)).toEqual(
    new Map<number, CborValue>([
      [1, -19],
      [4, thumbprint(ALICE.key)],
    ]),
  );
});

test("messages one after another are split, and only where each is whole", async () => {
  const messages = [await sign("t", PAYLOAD, [ALICE]), await sign1("u", PAYLOAD, BOB)];
  const file = new Uint8Array(Buffer.concat(messages));
  expect(splitCose(file)).toEqual(messages);
  expect(splitCose(messages[0] ?? file)).toEqual(messages.slice(0, 1));
  expect(refusal(() => splitCose(new Uint8Array(0))).code).toBe("wire.cbor");
  expect(refusal(() => splitCose(file.subarray(0, -1))).code).toBe("wire.cbor");
  expect(refusal(() => splitCose(Uint8Array.of(...file, 0))).code).toBe("wire.cbor");
  expect(refusal(() => splitCose(Uint8Array.of(0xc0, 0))).code).toBe("wire.cbor");
});
