import { describe, expect, test } from "vitest";
import {
  type EnrollmentRequest,
  encodeEnrollment,
  enrollmentDigest,
  parseEnrollment,
} from "../../../src/wire/enrollment.ts";
import { WireError } from "../../../src/wire/error.ts";
import { testSigner } from "../../support/keys.ts";

const request: EnrollmentRequest = {
  ekPublic: new Uint8Array(314).fill(1),
  akPublic: new Uint8Array(88).fill(2),
  ekCertificate: new Uint8Array(1016).fill(3),
  intermediates: [new Uint8Array(700).fill(4)],
  logKey: testSigner("log").key,
  nvIndexName: null,
};
const challenge = { credentialBlob: new Uint8Array(68), secret: new Uint8Array(256) };
const answer = {
  secret: new Uint8Array(32),
  attest: new Uint8Array(129),
  signature: new Uint8Array(72),
};

describe("enrollment messages", () => {
  test.each([
    ["request", request],
    ["request", { ...request, ekCertificate: null, nvIndexName: new Uint8Array(34) }],
    ["challenge", challenge],
    ["answer", answer],
  ] as const)("%s is read as it was written, and cut at no length", (kind, message) => {
    const bytes = encodeEnrollment(kind, message as never);
    expect(parseEnrollment(kind, bytes)).toEqual(message);
    for (let length = 0; length < bytes.length; length += 7) {
      expect(() => parseEnrollment(kind, bytes.slice(0, length))).toThrow(WireError);
    }
    const others = (["request", "challenge", "answer"] as const).filter((other) => other !== kind);
    for (const other of others) expect(() => parseEnrollment(other, bytes)).toThrow(WireError);
  });

  test("what is out of bounds is refused on both sides", () => {
    const tooMany = { ...request, intermediates: new Array(9).fill(new Uint8Array(1)) };
    expect(() => encodeEnrollment("request", tooMany)).toThrow(WireError);
    const empty = { ...request, akPublic: new Uint8Array() };
    expect(() => encodeEnrollment("request", empty)).toThrow(WireError);
    expect(() => encodeEnrollment("answer", { ...answer, secret: new Uint8Array(15) })).toThrow(
      WireError,
    );
  });

  test("the digest that the AK signs depends on every field and on the secret", () => {
    const secret = new Uint8Array(32).fill(7);
    const variants: EnrollmentRequest[] = [
      request,
      { ...request, ekPublic: new Uint8Array(314).fill(9) },
      { ...request, akPublic: new Uint8Array(88).fill(9) },
      { ...request, ekCertificate: null },
      { ...request, intermediates: [] },
      { ...request, logKey: testSigner("other").key },
      { ...request, nvIndexName: new Uint8Array(34) },
    ];
    const digests = variants.map((one) => enrollmentDigest(one, secret));
    digests.push(enrollmentDigest(request, new Uint8Array(32).fill(8)));
    expect(new Set(digests.map((digest) => Buffer.from(digest).toString("hex"))).size).toBe(8);
  });
});
