import { describe, expect, test } from "vitest";
import { encode } from "../../../src/wire/cbor.ts";
import { sign1 } from "../../../src/wire/cose.ts";
import { jobDigest, sha256 } from "../../../src/wire/digests.ts";
import { inspect, type Recognizer } from "../../../src/wire/inspect.ts";
import { encodePlain, parseSigned, signObject } from "../../../src/wire/objects.ts";
import { PLAIN, type PlainKind, SIGNED, type SignedKind } from "../../../src/wire/registry.ts";
import { PLAIN_SAMPLES, SIGNED_SAMPLES, world } from "../../support/samples.ts";
import { refusal, unhex } from "../../support/wire.ts";

const { agent } = world.signers;

test.each(Object.keys(SIGNED) as SignedKind[])("recognizes a %s", async (kind) => {
  const bytes = await signObject(kind, SIGNED_SAMPLES[kind], [agent]);
  const seen = inspect(bytes);
  const { digest, message } = parseSigned(kind, bytes);
  expect(seen.kind).toBe(kind);
  expect(seen.digest).toBe(digest && unhex(digest));
  expect(seen.signatures).toEqual([
    { kid: unhex(message.signatures[0]?.kid ?? encode(0)), algorithm: "ESP256" },
  ]);
  expect(seen.unverified[0]).toMatch(/the signatures/);
  expect(JSON.parse(JSON.stringify(seen))).toEqual(seen);
});

test.each(Object.keys(PLAIN) as PlainKind[])("recognizes a %s", (kind) => {
  const seen = inspect(encodePlain(kind, PLAIN_SAMPLES[kind]));
  expect(seen.kind).toBe(kind);
  expect(seen.unverified[0]).toMatch(/it carries no signature/);
  expect(JSON.parse(JSON.stringify(seen))).toEqual(seen);
});

test("times, digests, keys and text as people read them", async () => {
  const grant = world.grant({
    iat: 0,
    exp: 2 ** 53 - 1,
    scope: world.scope({ cwd: Uint8Array.of(0x2f, 0x1b) }),
  });
  const { content } = inspect(await signObject("grant", grant, [agent]));
  expect(content).toMatchObject({
    iat: "1970-01-01T00:00:00Z",
    exp: 2 ** 53 - 1,
    cnf: { key: { crv: "P-256", kid: expect.stringMatching(/^[0-9a-f]{64}$/) } },
    scope: { cwd: { hex: "2f1b" }, argv: { values: ["report", "--month", "2030-03"] } },
  });
});

test("text that would act on a terminal, or look like another, is shown in hex", () => {
  for (const text of ["a\u001b[2J", "a\nb", "a\u202eb", "a\u2028b", "\ufeffa", "\ud7ff\u{e000}"]) {
    const job = world.job({ cwd: new TextEncoder().encode(text) });
    expect(inspect(encodePlain("job", job)).content).toMatchObject({
      cwd: { hex: expect.any(String) },
    });
  }
  const invalid = world.job({ cwd: Uint8Array.of(0xff) });
  expect(inspect(encodePlain("job", invalid)).content).toMatchObject({ cwd: { hex: "ff" } });
});

describe("a case", () => {
  test("its parts are opened, each with its digest", async () => {
    const built = await world.build();
    expect(inspect(built.bytes)).toMatchObject({
      kind: "case",
      digest: unhex(sha256(built.bytes)),
      content: {
        context: { role: "gate", now: "2030-03-17T17:46:40Z" },
        evidence: {
          charters: [{ kind: "charter", digest: unhex(built.charter.digest) }],
          elements: [
            {
              kind: "grant",
              digest: unhex(built.grant.digest),
              content: { sub: "alice@example.test" },
            },
          ],
          job: { kind: "job", digest: unhex(jobDigest(built.job)) },
          proof: { kind: "proof", content: { request: unhex(built.request) } },
        },
        result: null,
      },
    });
  });

  test("absent and damaged parts do not hide the others", async () => {
    const edit = {
      object: { grant: (bytes: Uint8Array) => bytes.with(0, 0), node: () => new Uint8Array() },
    };
    expect(inspect(await world.caseBytes({ edit }))).toMatchObject({
      content: {
        evidence: {
          elements: [{ malformed: expect.any(String), hex: expect.stringMatching(/^00/) }],
          node: { absent: true },
          snapshot: { kind: "snapshot" },
        },
      },
    });
  });
});

describe("what is none of ours", () => {
  test("another typ", async () => {
    const bytes = await sign1("application/cwt", encode(new Map()), agent);
    expect(refusal(() => inspect(bytes)).message).toMatch(/typ "application\/cwt", none of ours/);
  });

  test("other CBOR, or no CBOR", () => {
    expect(refusal(() => inspect(encode([1, 2]))).message).toMatch(/none of our objects/);
    for (const text of ["{}", "domain: example.test\n", "-----BEGIN PRIVATE KEY-----\n"]) {
      const bytes = new TextEncoder().encode(text);
      expect(refusal(() => inspect(bytes)).message).toMatch(/this is text/);
    }
    expect(refusal(() => inspect(Uint8Array.of(0xff))).message).toMatch(/at byte 0/);
    expect(refusal(() => inspect(new Uint8Array())).message).toMatch(/end inside/);
  });

  test("a damaged object is named for what it is", () => {
    const bytes = encode(Array(11).fill(null));
    expect(refusal(() => inspect(bytes)).message).toMatch(/^job\.executable: /);
  });

  test("what the caller knows", () => {
    const recognizer: Recognizer = {
      kind: "leaf",
      what: "A leaf.",
      unverified: ["that the log holds it"],
      read: (bytes) => (bytes[0] === 0x01 ? { one: 1 } : null),
    };
    expect(inspect(encode(1), [recognizer])).toMatchObject({ kind: "leaf", content: { one: 1 } });
    expect(refusal(() => inspect(encode(2), [recognizer])).code).toBe("wire.shape");
  });
});
