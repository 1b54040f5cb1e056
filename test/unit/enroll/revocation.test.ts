/** Revocation lists made here, each wrong in one way. */
import "../../../src/enroll/reflect.ts";
import * as x509 from "@peculiar/x509";
import { describe, expect, test } from "vitest";
import { verifyEkCertificate } from "../../../src/enroll/chain.ts";
import { EnrollError } from "../../../src/enroll/errors.ts";
import { parseRevocationLists } from "../../../src/enroll/revocation.ts";
import {
  ALGORITHM,
  CA,
  ca,
  END,
  type Made,
  make,
  NOW,
  refusal,
  START,
  usage,
} from "../../support/certificates.ts";

describe("revocation lists", () => {
  interface List {
    readonly by: Made;
    readonly revoked?: readonly Made[];
    readonly keys?: CryptoKeyPair;
    readonly thisUpdate?: Date;
    readonly nextUpdate?: Date | null;
    readonly extensions?: x509.Extension[];
  }

  async function list({ by, revoked = [], ...wish }: List): Promise<Uint8Array> {
    const nextUpdate = wish.nextUpdate === undefined ? END : wish.nextUpdate;
    const made = await x509.X509CrlGenerator.create({
      issuer: by.name,
      thisUpdate: wish.thisUpdate ?? START,
      ...(nextUpdate && { nextUpdate }),
      entries: revoked.map(({ certificate }) => ({
        serialNumber: certificate.x509.serialNumber,
        revocationDate: START,
      })),
      extensions: wish.extensions ?? [],
      signingAlgorithm: ALGORITHM,
      signingKey: (wish.keys ?? by.keys).privateKey,
    });
    return new Uint8Array(made.rawData);
  }

  async function judged(
    wish: (made: { root: Made; middle: Made; leaf: Made }) => List[],
    rights: x509.KeyUsageFlags = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
  ): Promise<string> {
    const root = await ca("root");
    const middle = await ca("middle", { by: root, extensions: [CA, usage(rights)] });
    const leaf = await make("leaf", { by: middle });
    const lists = await Promise.all(wish({ root, middle, leaf }).map(list));
    const trust = {
      roots: [root.certificate],
      intermediates: [middle.certificate],
      revocationLists: lists.flatMap((bytes) => parseRevocationLists(bytes, "A list")),
    };
    return refusal(verifyEkCertificate(leaf.certificate, trust, NOW));
  }

  test("that hold none of the path are no hindrance", async () => {
    const other = await make("other");
    expect(
      await judged(({ root, middle }) => [{ by: root }, { by: middle, revoked: [other] }]),
    ).toBe("accepted");
  });

  test.each([
    ["the EK's", ({ root, middle, leaf }) => [{ by: root }, { by: middle, revoked: [leaf] }]],
    ["its issuer's", ({ root, middle }) => [{ by: root, revoked: [middle] }, { by: middle }]],
  ] satisfies [string, Parameters<typeof judged>[0]][])(
    "revoke %s certificate",
    async (_, wish) => {
      expect(await judged(wish)).toMatch(/^enroll\.certificate-revoked/);
    },
  );

  const delta = new x509.Extension("2.5.29.27", true, Uint8Array.of(2, 1, 1));
  test.each([
    ["of one issuer only", ({ root }) => [{ by: root }]],
    ["out of date", ({ root, middle }) => [{ by: root }, { by: middle, nextUpdate: START }]],
    ["without an end", ({ root, middle }) => [{ by: root }, { by: middle, nextUpdate: null }]],
    ["of tomorrow", ({ root, middle }) => [{ by: root }, { by: middle, thisUpdate: END }]],
    ["that others signed", ({ root, middle }) => [{ by: root }, { by: middle, keys: root.keys }]],
    ["in parts", ({ root, middle }) => [{ by: root }, { by: middle, extensions: [delta] }]],
  ] satisfies [string, Parameters<typeof judged>[0]][])("%s prove nothing", async (_, wish) => {
    expect(await judged(wish)).toMatch(/^enroll\.revocation-list/);
  });

  test("of a CA that may not sign lists prove nothing", async () => {
    const both = ({ root, middle }: { root: Made; middle: Made }) => [{ by: root }, { by: middle }];
    expect(await judged(both, x509.KeyUsageFlags.keyCertSign)).toMatch(/may not sign lists/);
  });

  test("that do not parse are refused, cut at any length too", async () => {
    const bytes = await list({ by: await ca("root") });
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parseRevocationLists(bytes.slice(0, length), "A list")).toThrow(EnrollError);
    }
    for (const input of ["", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----"]) {
      expect(() => parseRevocationLists(input, "A list")).toThrow(/is no certificate revocation/);
    }
    const text = `-----BEGIN X509 CRL-----\n${Buffer.from(bytes).toString("base64")}\n-----END X509 CRL-----`;
    expect(parseRevocationLists(`${text}\n${text}`, "A list")).toHaveLength(2);
  });
});
