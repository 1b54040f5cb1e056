/** Certificates made here, each wrong in one way that no third-party vector has. */
import "../../../src/enroll/reflect.ts";
import * as x509 from "@peculiar/x509";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseBundle, parseCertificate, parseOnDie } from "../../../src/enroll/certificate.ts";
import { verifyEkCertificate, verifyPath } from "../../../src/enroll/chain.ts";
import { EnrollError } from "../../../src/enroll/errors.ts";
import {
  CA,
  ca,
  END,
  type Made,
  make,
  NOW,
  newKeys,
  refusal,
  START,
  usage,
  type Wish,
} from "../../support/certificates.ts";

/** root -> middle -> leaf, with wishes for each. */
async function chain(
  wishes: { root?: Wish; middle?: Wish; leaf?: Wish },
  date = NOW,
): Promise<string> {
  const root = await ca("root", wishes.root);
  const middle = await ca("middle", { by: root, ...wishes.middle });
  const leaf = await make("leaf", { by: middle, ...wishes.leaf });
  const verify = verifyEkCertificate(
    leaf.certificate,
    { roots: [root.certificate], intermediates: [middle.certificate] },
    date,
  );
  return refusal(verify);
}

const unknownCritical = new x509.Extension("1.2.3.4", true, Uint8Array.of(5, 0));
const unknown = new x509.Extension("1.2.3.4", false, Uint8Array.of(5, 0));
const use = (oid: string): x509.Extension => new x509.ExtendedKeyUsageExtension([oid], true);

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
/** DER, of contents up to 127 bytes. */
const tlv = (tag: number, ...parts: Uint8Array[]) => {
  const content = parts.flatMap((part) => [...part]);
  return Uint8Array.of(tag, content.length, ...content);
};
const subtree =
  (tag: number) =>
  (name: string, ...more: Uint8Array[]) => {
    const base = tlv(0xa4, new Uint8Array(new x509.Name(name).toArrayBuffer()));
    return tlv(tag, tlv(0x30, base, ...more));
  };
const within = subtree(0xa0);
const outside = subtree(0xa1);
const constraints = (...parts: Uint8Array[]): x509.Extension =>
  new x509.Extension("2.5.29.30", true, tlv(0x30, ...parts).slice());
const also = (name: x509.JsonGeneralName): x509.Extension =>
  new x509.SubjectAlternativeNameExtension([name], true);

describe("a path", () => {
  test.each([
    ["as it should be", {}],
    ["with an extension that is not critical", { leaf: { extensions: [unknown] } }],
    ["for an EK", { leaf: { extensions: [use("2.23.133.8.1")] } }],
    [
      "with a CA that may sign certificates",
      { middle: { extensions: [CA, usage(x509.KeyUsageFlags.keyCertSign)] } },
    ],
    [
      "within the names that its issuers allow",
      {
        root: { extensions: [CA, constraints(outside("CN=other"))] },
        middle: { extensions: [CA, constraints(within("CN=leaf"), outside("CN=more"))] },
      },
    ],
    [
      "with constraints of a form that no name has",
      { middle: { extensions: [CA, constraints(tlv(0xa1, tlv(0x30, tlv(0x82, ascii("a")))))] } },
    ],
  ])("%s is accepted", async (_, wishes) => {
    expect(await chain(wishes)).toBe("accepted");
  });

  test.each([
    [
      "whose issuer may not sign certificates",
      { middle: { extensions: [CA, usage(x509.KeyUsageFlags.cRLSign)] } },
      /may not sign certificates/,
    ],
    ["whose issuer is no CA", { middle: { extensions: [] } }, /is no CA's/],
    ["whose root is no CA", { root: { extensions: [] } }, /is no CA's/],
    ["whose leaf is a CA", { leaf: { extensions: [CA] } }, /is a CA's/],
    [
      "whose leaf is for a web server",
      { leaf: { extensions: [use("1.3.6.1.5.5.7.3.1")] } },
      /for another use/,
    ],
    [
      "with an unknown critical extension in the leaf",
      { leaf: { extensions: [unknownCritical] } },
      /critical extension 1\.2\.3\.4/,
    ],
    [
      "with one in an issuer",
      { middle: { extensions: [CA, unknownCritical] } },
      /critical extension 1\.2\.3\.4/,
    ],
    [
      "with one in the root",
      { root: { extensions: [CA, unknownCritical] } },
      /critical extension 1\.2\.3\.4/,
    ],
    [
      "with name constraints that say nothing",
      { middle: { extensions: [CA, constraints()] } },
      /does not allow the names/,
    ],
    [
      "with constraints of another name",
      { middle: { extensions: [CA, constraints(within("CN=other"))] } },
      /does not allow the names/,
    ],
    [
      "whose name an issuer two above excludes",
      { root: { extensions: [CA, constraints(outside("CN=leaf"))] } },
      /does not allow the names/,
    ],
    [
      "with a second name that is constrained",
      {
        middle: { extensions: [CA, constraints(within("CN=leaf"))] },
        leaf: { extensions: [also({ type: "dn", value: "CN=second" })] },
      },
      /does not allow the names/,
    ],
    [
      "with a name of a constrained form that is not judged",
      {
        middle: {
          extensions: [CA, constraints(tlv(0xa0, tlv(0x30, tlv(0x82, ascii("a.example")))))],
        },
        leaf: { extensions: [also({ type: "dns", value: "a.example" })] },
      },
      /does not allow the names/,
    ],
    [
      "with constraints that bound a depth",
      { middle: { extensions: [CA, constraints(within("CN=leaf", tlv(0x80, Uint8Array.of(1))))] } },
      /does not allow the names/,
    ],
    [
      "whose root allows no CA below",
      { root: { extensions: [new x509.BasicConstraintsExtension(true, 0, true)] } },
      /allows only 0 CAs/,
    ],
    ["whose issuer expired", { middle: { notAfter: START } }, /has expired/],
    ["whose root expired", { root: { notAfter: START } }, /has expired/],
    ["whose issuer begins later", { middle: { notBefore: END } }, /is not valid yet/],
  ])("%s is refused", async (_, wishes: Parameters<typeof chain>[0], why) => {
    const answer = await chain(wishes);
    expect(answer).toMatch(/^enroll\.certificate-untrusted: /);
    expect(answer).toMatch(why);
  });

  test("is good at the first and last moment of its certificates, and not a moment beyond", async () => {
    const moment = 1000;
    expect(await chain({}, START)).toBe("accepted");
    expect(await chain({}, END)).toBe("accepted");
    for (const date of [START.getTime() - moment, END.getTime() + moment]) {
      expect(await chain({}, new Date(date))).toMatch(/^enroll\.certificate-expired/);
    }
  });

  test("bytes that are no certificate have their own code", async () => {
    const noise = ["", "30", "3000", "30820100", "1001000000000030", "ff".repeat(40)];
    for (const text of noise) {
      const parse = async () => parseCertificate(new Uint8Array(Buffer.from(text, "hex")));
      expect(await refusal(parse()), text).toMatch(/^enroll\.certificate-malformed/);
    }
    expect(() => parseBundle("no PEM at all", "A root")).toThrow(/A root is no X\.509 certificate/);
  });

  test("a certificate with any bytes changed is refused, and with no other error", async () => {
    const root = await ca("root");
    const { certificate } = await make("leaf", { by: root });
    const { length } = certificate.bytes;
    const trust = { roots: [root.certificate], intermediates: [] };
    const changes = fc.array(fc.tuple(fc.nat(length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const bytes = certificate.bytes.slice();
        for (const [at, mask] of list) bytes[at] = (bytes[at] ?? 0) ^ mask;
        fc.pre(!bytes.every((byte, i) => byte === certificate.bytes[i]));
        const verify = async () => verifyEkCertificate(parseCertificate(bytes), trust, NOW);
        expect(await refusal(verify())).toMatch(/^enroll\.certificate-/);
      }),
      { numRuns: 300 },
    );
  });

  test("a self-signed certificate of a root's name is not that root", async () => {
    const [root, impostor] = [await ca("root"), await ca("root")];
    const leaf = await make("leaf", { by: impostor });
    const trust = { roots: [root.certificate], intermediates: [impostor.certificate] };
    expect(await refusal(verifyPath(leaf.certificate, trust, NOW))).toMatch(/untrusted/);
  });

  test("certificates that all sign each other end the search, in time", async () => {
    const root = await ca("root");
    const keys = await newKeys();
    const ring: Made[] = [];
    for (let i = 0; i < 30; i++) ring.push(await ca("ring", { keys }));
    const [by] = ring;
    if (!by) throw new Error("thirty were made");
    const leaf = await make("leaf", { by });
    const sent = ring.map(({ certificate }) => certificate);
    const trust = { roots: [root.certificate], intermediates: sent };
    const verify = verifyPath(leaf.certificate, trust, NOW);
    expect(await refusal(verify)).toMatch(/too far astray/);
  });
});

describe("weak signatures", () => {
  test("SHA-1 is refused unless it is allowed; an RSA key of 1024 bits always", async () => {
    const rsa = (hash: string, modulusLength: number) => ({
      ...{ name: "RSASSA-PKCS1-v1_5", hash, modulusLength },
      publicExponent: Uint8Array.of(1, 0, 1),
    });
    const under = async (hash: string, bits: number, allowSha1: boolean): Promise<string> => {
      const signingAlgorithm = rsa(hash, bits);
      const keys = await crypto.subtle.generateKey(signingAlgorithm, true, ["sign", "verify"]);
      const create = async (subject: string, extensions: x509.Extension[]) => {
        const made = await x509.X509CertificateGenerator.create({
          ...{ serialNumber: "01", subject, issuer: "CN=root", notBefore: START, notAfter: END },
          ...{
            signingAlgorithm,
            publicKey: keys.publicKey,
            signingKey: keys.privateKey,
            extensions,
          },
        });
        return parseCertificate(new Uint8Array(made.rawData));
      };
      const trust = { roots: [await create("CN=root", [CA])], intermediates: [], allowSha1 };
      return refusal(verifyEkCertificate(await create("CN=leaf", []), trust, NOW));
    };
    expect(await under("SHA-256", 2048, false)).toBe("accepted");
    expect(await under("SHA-1", 2048, false)).toMatch(/SHA-1/);
    expect(await under("SHA-1", 2048, true)).toBe("accepted");
    expect(await under("SHA-256", 1024, false)).toMatch(/RSA key of 1024 bits/);
  });
});

test("on-die certificates: whole in each index, or one row cut over several", async () => {
  const [one, two] = [(await ca("one")).certificate, (await ca("two")).certificate];
  const row = Uint8Array.of(...one.bytes, ...two.bytes);
  const names = (indexes: Uint8Array[]) => parseOnDie(indexes).map(({ subject }) => subject);
  const expected = [one.subject, two.subject];
  expect(names([one.bytes, two.bytes])).toEqual(expected);
  expect(names([row])).toEqual(expected);
  for (const at of [1, 100, one.bytes.length, row.length - 1]) {
    expect(names([row.slice(0, at), row.slice(at)]), `cut at ${at}`).toEqual(expected);
  }
  expect(() => parseOnDie([row.slice(0, -1)])).toThrow(EnrollError);
});
