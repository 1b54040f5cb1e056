/** Certificates made here, each wrong in one way that no third-party vector has. */
import "../../../src/enroll/reflect.ts";
import * as x509 from "@peculiar/x509";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  parseBundle,
  parseCertificate,
  type UnverifiedCertificate,
} from "../../../src/enroll/certificate.ts";
import { verifyEkCertificate, verifyPath } from "../../../src/enroll/chain.ts";
import { EnrollError } from "../../../src/enroll/errors.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const [START, NOW, END] = [new Date("2026-01-01"), new Date("2026-06-01"), new Date("2027-01-01")];

interface Made {
  readonly certificate: UnverifiedCertificate;
  readonly keys: CryptoKeyPair;
  readonly name: string;
}

interface Wish {
  readonly by?: Made;
  readonly keys?: CryptoKeyPair;
  readonly extensions?: readonly x509.Extension[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const newKeys = (): Promise<CryptoKeyPair> =>
  crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
let serial = 0;

async function make(name: string, wish: Wish = {}): Promise<Made> {
  const keys = wish.keys ?? (await newKeys());
  const issuer = wish.by ?? { keys, name: `CN=${name}` };
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: (++serial).toString(16).padStart(4, "0"),
    subject: `CN=${name}`,
    issuer: issuer.name,
    notBefore: wish.notBefore ?? START,
    notAfter: wish.notAfter ?? END,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: issuer.keys.privateKey,
    extensions: [...(wish.extensions ?? [])],
  });
  return {
    certificate: parseCertificate(new Uint8Array(certificate.rawData)),
    keys,
    name: `CN=${name}`,
  };
}

const CA = new x509.BasicConstraintsExtension(true, undefined, true);
const ca = (name: string, wish: Wish = {}): Promise<Made> =>
  make(name, { ...wish, extensions: wish.extensions ?? [CA] });

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => "accepted",
    (cause: unknown) => cause,
  );
  return error instanceof EnrollError ? `${error.code}: ${error.message}` : String(error);
}

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
    [root.certificate],
    [middle.certificate],
    date,
  );
  return refusal(verify);
}

const unknownCritical = new x509.Extension("1.2.3.4", true, Uint8Array.of(5, 0));
const unknown = new x509.Extension("1.2.3.4", false, Uint8Array.of(5, 0));
const usage = (flags: x509.KeyUsageFlags): x509.Extension =>
  new x509.KeyUsagesExtension(flags, true);
const use = (oid: string): x509.Extension => new x509.ExtendedKeyUsageExtension([oid], true);

describe("a path", () => {
  test.each([
    ["as it should be", {}],
    ["with an extension that is not critical", { leaf: { extensions: [unknown] } }],
    ["for an EK", { leaf: { extensions: [use("2.23.133.8.1")] } }],
    [
      "with a CA that may sign certificates",
      { middle: { extensions: [CA, usage(x509.KeyUsageFlags.keyCertSign)] } },
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
      "with name constraints",
      { middle: { extensions: [CA, new x509.Extension("2.5.29.30", true, Uint8Array.of(48, 0))] } },
      /critical extension 2\.5\.29\.30/,
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
    const changes = fc.array(fc.tuple(fc.nat(length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const bytes = certificate.bytes.slice();
        for (const [at, mask] of list) bytes[at] = (bytes[at] ?? 0) ^ mask;
        fc.pre(!bytes.every((byte, i) => byte === certificate.bytes[i]));
        const verify = async () =>
          verifyEkCertificate(parseCertificate(bytes), [root.certificate], [], NOW);
        expect(await refusal(verify())).toMatch(/^enroll\.certificate-/);
      }),
      { numRuns: 300 },
    );
  });

  test("a self-signed certificate of a root's name is not that root", async () => {
    const [root, impostor] = [await ca("root"), await ca("root")];
    const leaf = await make("leaf", { by: impostor });
    const sent = [impostor.certificate];
    expect(await refusal(verifyPath(leaf.certificate, [root.certificate], sent, NOW))).toMatch(
      /untrusted/,
    );
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
    const verify = verifyPath(leaf.certificate, [root.certificate], sent, NOW);
    expect(await refusal(verify)).toMatch(/too far astray/);
  });
});
