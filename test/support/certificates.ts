/** Certificates made in tests. */
import "../../src/enroll/reflect.ts";
import * as x509 from "@peculiar/x509";
import { parseCertificate, type UnverifiedCertificate } from "../../src/enroll/certificate.ts";
import { EnrollError } from "../../src/enroll/errors.ts";

export const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
export const [START, NOW, END] = [
  new Date("2026-01-01"),
  new Date("2026-06-01"),
  new Date("2027-01-01"),
];

export interface Made {
  readonly certificate: UnverifiedCertificate;
  readonly keys: CryptoKeyPair;
  readonly name: string;
}

export interface Wish {
  readonly by?: Made;
  readonly keys?: CryptoKeyPair;
  readonly extensions?: readonly x509.Extension[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export const newKeys = (): Promise<CryptoKeyPair> =>
  crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
let serial = 0;

export async function make(name: string, wish: Wish = {}): Promise<Made> {
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

export const CA = new x509.BasicConstraintsExtension(true, undefined, true);
export const ca = (name: string, wish: Wish = {}): Promise<Made> =>
  make(name, { ...wish, extensions: wish.extensions ?? [CA] });

export async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => "accepted",
    (cause: unknown) => cause,
  );
  return error instanceof EnrollError ? `${error.code}: ${error.message}` : String(error);
}

export const usage = (flags: x509.KeyUsageFlags): x509.Extension =>
  new x509.KeyUsagesExtension(flags, true);
