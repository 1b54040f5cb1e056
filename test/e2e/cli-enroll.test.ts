/**
 * Whom `enroll` trusts: bundles of reviewed roots, revocation lists, SHA-1; and what a refusal costs. The
 * software TPM's issuer stands below a root of our own, by a certificate that we signed.
 */
import "../../src/enroll/reflect.ts";
import { createPrivateKey, hash, X509Certificate } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as x509 from "@peculiar/x509";
import { afterAll, beforeAll, expect, test } from "vitest";
import { handles } from "../../src/tpm/capability.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { TPM_HT } from "../../src/tpm/structures/constants.ts";
import { preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";
import { Place } from "./cli-support.ts";

const ECDSA = { name: "ECDSA", namedCurve: "P-256" };
const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const [START, END] = [new Date("2020-01-01"), new Date("2040-01-01")];
const ROOT = "CN=A root of our own";
const CA = new x509.BasicConstraintsExtension(true, undefined, true);
const SIGNS = new x509.KeyUsagesExtension(
  x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
  true,
);

let place: Place;
let tpm: SoftwareTpm;
let ours: CryptoKeyPair;
let issuerKey: CryptoKey;
let issuer: X509Certificate;

const pem = (kind: string, der: ArrayBuffer): string =>
  `-----BEGIN ${kind}-----\n${Buffer.from(der).toString("base64").replace(/.{64}/g, "$&\n")}\n-----END ${kind}-----\n`;

/** The issuer of the EK certificate, or ourselves, as certified by our root. */
async function certify(subject: string, publicKey: CryptoKey, hash: string): Promise<ArrayBuffer> {
  const made = await x509.X509CertificateGenerator.create({
    ...{ serialNumber: "01", subject, issuer: ROOT, notBefore: START, notAfter: END, publicKey },
    signingAlgorithm: { ...ECDSA, hash },
    signingKey: ours.privateKey,
    extensions: [CA, SIGNS],
  });
  return made.rawData;
}

async function list(by: "root" | "issuer", revoked: readonly string[] = []): Promise<string> {
  const now = Date.now();
  const made = await x509.X509CrlGenerator.create({
    issuer: by === "root" ? ROOT : "CN=swtpm-localca",
    thisUpdate: new Date(now - 60_000),
    nextUpdate: new Date(now + 3_600_000),
    entries: revoked.map((serialNumber) => ({ serialNumber, revocationDate: START })),
    signingAlgorithm: by === "root" ? { ...ECDSA, hash: "SHA-256" } : RSA,
    signingKey: by === "root" ? ours.privateKey : issuerKey,
  });
  return place.write(`${by}-${revoked.length}.crl`, pem("X509 CRL", made.rawData));
}

beforeAll(async () => {
  place = await Place.make();
  const { states, issuer: issuerPem } = await preparedMachines();
  const [state = ""] = states;
  tpm = await SoftwareTpm.start({ template: state });
  ours = await crypto.subtle.generateKey(ECDSA, true, ["sign", "verify"]);
  const key = createPrivateKey(await readFile(join(dirname(state), "ca/signkey.pem"), "utf8"));
  const pkcs8 = key.export({ type: "pkcs8", format: "der" });
  issuerKey = await crypto.subtle.importKey("pkcs8", pkcs8, RSA, false, ["sign"]);
  issuer = new X509Certificate(issuerPem);
  const spki = issuer.publicKey.export({ type: "spki", format: "der" });
  const publicKey = await crypto.subtle.importKey("spki", spki, RSA, true, ["verify"]);
  const root = await certify(ROOT, ours.publicKey, "SHA-256");
  await place.write("root.pem", pem("CERTIFICATE", root));
  for (const [name, hash] of [
    ["sha1.pem", "SHA-1"],
    ["sha256.pem", "SHA-256"],
  ] as const) {
    const cross = await certify("CN=swtpm-localca", publicKey, hash);
    await place.write(name, pem("CERTIFICATE", cross));
  }
  await mkdir(place.file("vendors"));
  await place.write("vendors/root.pem", pem("CERTIFICATE", root));
  await place.write("vendors/issuer.pem", await readFile(place.file("sha256.pem"), "utf8"));
  await place.json(["init", "example.org", "--tpm", tpm.uri]);
});
afterAll(async () => {
  await tpm.stop();
  await place.remove();
});

const enroll = (...words: string[]) => place.run(["enroll", "--no-counter", "--json", ...words]);
const ROOTED = ["--root", "root.pem", "--intermediate"];

test("without a root, or with a chain over SHA-1, nothing is enrolled, and no status index taken", async () => {
  expect((await enroll()).err).toMatch(/--root or --roots/);
  const refused = await enroll(...ROOTED, "sha1.pem");
  expect(refused.code).not.toBe(0);
  expect(refused.err).toMatch(/SHA-1, which is refused unless you allow it \(--allow-sha1\)/);
  const allowed = await enroll(...ROOTED, "sha1.pem", "--allow-sha1");
  expect([allowed.code, allowed.err]).toEqual([0, ""]);
  expect(JSON.parse(allowed.out)).toMatchObject({ statusIndex: 0 });
});

test("a refusal leaves no counter in the TPM, which has room for few", async () => {
  const counters = async (): Promise<number[]> => {
    await using machine = await openTpm(tpm.uri);
    const indexes = await handles(machine, TPM_HT.NV_INDEX);
    return indexes.filter((index) => index >>> 8 === 0x018050);
  };
  const refused = await place.run(["enroll", ...ROOTED, "sha1.pem", "--replace"]);
  expect([refused.code, await counters()]).toEqual([77, []]);
  const words = ["enroll", ...ROOTED, "sha1.pem", "--allow-sha1", "--replace"];
  expect([(await place.run(words)).code, await counters()]).toEqual([0, [0x01805043]]);
  // One that the state knows stays.
  expect((await place.run(["enroll", ...ROOTED, "sha1.pem", "--replace"])).code).toBe(77);
  expect(await counters()).toEqual([0x01805043]);
});

test("a bundle counts by its reviewed fingerprints alone", async () => {
  const der = Buffer.from(
    (await readFile(place.file("root.pem"), "utf8")).replace(/-----.*-----|\s/g, ""),
    "base64",
  );
  const fingerprints = (digest: string) =>
    place.write("vendors/fingerprints", `reviewed 2026-01-01\n${digest}  Our root\n`);
  await fingerprints(hash("sha256", "another root"));
  expect((await enroll("--roots", "vendors")).err).toMatch(/fingerprint|listed/);
  await fingerprints(hash("sha256", der));
  // The key is another than the enrolled one: that is refused too, and takes no index.
  expect((await enroll("--roots", "vendors")).err).toMatch(/enrolled with another key/);
  const lists = ["--crl", await list("root"), "--crl", await list("issuer")];
  const replaced = await enroll("--roots", "vendors", ...lists, "--replace");
  expect([replaced.code, replaced.err]).toEqual([0, ""]);
  expect(JSON.parse(replaced.out)).toMatchObject({ statusIndex: 2 });
});

test("revocation lists must cover the whole chain, and what they revoke is refused", async () => {
  const partly = await enroll("--roots", "vendors", "--crl", await list("root"), "--replace");
  expect(partly.code).not.toBe(0);
  expect(partly.err).toMatch(/[Rr]evocation list|no list/);
  const lists = ["--crl", await list("root", ["01"]), "--crl", await list("issuer")];
  const revoked = await enroll("--roots", "vendors", ...lists, "--replace");
  expect(revoked.code).not.toBe(0);
  expect(revoked.err).toMatch(/revoked/);
});
