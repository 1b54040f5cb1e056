/** Certificates of vendors, and NIST's path validation cases: third-party vectors. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  parseBundle,
  parseCertificate,
  parseCertificates,
  sameCertificate,
  type UnverifiedCertificate,
} from "../../../src/enroll/certificate.ts";
import { verifyEkCertificate, verifyPath } from "../../../src/enroll/chain.ts";
import { requireCertificateOf } from "../../../src/enroll/endorsement-key.ts";
import { EnrollError } from "../../../src/enroll/errors.ts";
import { parsePublic } from "../../../src/tpm/structures/public.ts";
import { describeVectors } from "../../support/vectors.ts";

const DAY_MS = 86_400_000;

function read(file: string): UnverifiedCertificate[] {
  const bytes = new Uint8Array(readFileSync(file));
  const binary = bytes[0] === 0x30 || bytes[0] === 0x10;
  return parseBundle(binary ? bytes : new TextDecoder().decode(bytes), file);
}

function only(file: string): UnverifiedCertificate {
  const [certificate] = read(file);
  if (!certificate) throw new Error(`${file} holds no certificate`);
  return certificate;
}

function below(folder: string): UnverifiedCertificate[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return below(path);
    return /\.(pem|crt|cer|der)$/.test(name) ? read(path) : [];
  });
}

const selfIssued = (one: UnverifiedCertificate): boolean => one.subject === one.issuer;
/** A month after it was made, so that every issuer was there already. */
const soonAfter = ({ x509 }: UnverifiedCertificate): Date =>
  new Date(x509.notBefore.getTime() + 30 * DAY_MS);

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => "accepted",
    (cause: unknown) => cause,
  );
  if (!(error instanceof EnrollError)) throw new Error(`no EnrollError: ${String(error)}`);
  return error.code;
}

describeVectors("EK certificates of vendors", (vectors) => {
  const folders = [
    "ibmtss/certificates",
    "keylime/tpm_cert_store",
    "tpm-key-attestation/certificates",
    "hirs/ek/stMicroCaCerts",
    "gcp-vtpm-ek-ak/certs",
    "measured-boot-ek/ca",
  ];
  const pool = folders.flatMap((folder) => below(join(vectors, folder)));
  const roots = pool.filter(selfIssued);
  const others = pool.filter((one) => !selfIssued(one));

  test.each([
    ["keylime/ek/nuvoton_npct75x_rsa.der", 1],
    ["keylime/ek/st_ecc.der", 3],
    ["keylime/ek/st_rsa_with_trailing_bytes.der", 3],
    ["hirs/ek/nuc-1/ek_cert_untouched.cer", 3],
    ["hirs/ek/nuc-1/ek_cert_7_byte_header_removed.cer", 3],
    ["gcp-vtpm-ek-ak/certs/ekcert.pem", 2],
    ["measured-boot-ek/s1-boot1-q1/ek-rsa2048.crt.der", 2],
    ["measured-boot-ek/s1-boot1-q1/ek-eccp384.crt.der", 2],
  ])("%s validates over %i issuers", async (file, issuers) => {
    const certificate = only(join(vectors, file));
    const date = soonAfter(certificate);
    const verified = await verifyEkCertificate(certificate, roots, others, date);
    expect(verified.issuers).toHaveLength(issuers);
    const own = (root: UnverifiedCertificate): boolean =>
      verified.issuers.some((issuer) => sameCertificate(issuer, root));
    const unrelated = roots.filter((root) => !own(root));
    const elsewhere = verifyEkCertificate(certificate, unrelated, others, date);
    expect(await refusal(elsewhere)).toBe("enroll.certificate-untrusted");
  });

  test.each(["ecc", "rsa"])(
    "a Google %s EK whose issuer is not at hand is refused",
    async (kind) => {
      const file = `go-tpm-tools/certificates/uca_tpm_${kind}_enc_cert.pem`;
      const certificate = only(join(vectors, file));
      const verify = verifyEkCertificate(certificate, roots, others, soonAfter(certificate));
      expect(await refusal(verify)).toBe("enroll.certificate-untrusted");
    },
  );

  test("every intermediate of the vendors' bundles validates under a root of them", async () => {
    expect(others.length).toBeGreaterThan(90);
    // The root of the Alibaba Cloud bundle is not among the vectors.
    for (const one of others.filter(({ x509 }) => !x509.issuer.includes("Aliyun"))) {
      const path = await verifyPath(one, roots, others, soonAfter(one));
      expect(path.length, one.x509.subject).toBeGreaterThan(0);
    }
  });

  test("no CA's certificate is taken for an EK's", async () => {
    for (const one of [...others, ...roots].filter(({ x509 }) => x509.subject.includes("CA"))) {
      const verify = verifyEkCertificate(one, roots, others, soonAfter(one));
      expect(await refusal(verify), one.x509.subject).toBe("enroll.certificate-untrusted");
    }
  });

  test("padding and a TCG header are cut, and the original bytes are kept", () => {
    const bytes = (file: string): Uint8Array => new Uint8Array(readFileSync(join(vectors, file)));
    const headed = bytes("hirs/ek/nuc-1/ek_cert_untouched.cer");
    const bare = bytes("hirs/ek/nuc-1/ek_cert_7_byte_header_removed.cer");
    expect(parseCertificate(headed).bytes).toEqual(parseCertificate(bare).bytes);
    const padded = bytes("keylime/ek/st_rsa_with_trailing_bytes.der");
    const { bytes: cut } = parseCertificate(padded);
    expect(cut.length).toBeLessThan(padded.length);
    expect(padded.subarray(0, cut.length)).toEqual(cut);
    const two = Uint8Array.of(...bare, ...bare, 0xff, 0xff);
    expect(parseCertificates(two, "two")).toHaveLength(2);
  });

  test("a certificate cut at any length is refused, never an exception of another kind", () => {
    const bytes = new Uint8Array(readFileSync(join(vectors, "keylime/ek/st_ecc.der")));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parseCertificate(bytes.slice(0, length)), `${length} bytes`).toThrow(
        EnrollError,
      );
    }
  });

  test.each(["A-direct-nosb", "B-shim-grub-sb-on"])(
    "measured-boot/%s: the certificate is the EK's, and no other key's",
    (boot) => {
      const at = (name: string): string => join(vectors, "measured-boot", boot, name);
      const certificate = only(at("ek-rsa2048.crt.der"));
      const key = (name: string) => parsePublic(new Uint8Array(readFileSync(at(name))));
      expect(() =>
        requireCertificateOf(certificate, key("ek-rsa2048.TPMT_PUBLIC.bin")),
      ).not.toThrow();
      for (const other of ["ak-rsa.TPMT_PUBLIC.bin", "ak-ecc.TPMT_PUBLIC.bin"]) {
        expect(() => requireCertificateOf(certificate, key(other))).toThrow(/another key/);
      }
    },
  );
});

interface PkitsCase {
  readonly name: string;
  readonly leaf: string;
  readonly intermediates: readonly string[];
  readonly error: string | null;
}

describeVectors("NIST PKITS", (vectors) => {
  const folder = join(vectors, "nist-pkits");
  const cases: readonly PkitsCase[] = JSON.parse(readFileSync(join(folder, "cases.json"), "utf8"));
  const certificate = (name: string): UnverifiedCertificate => only(join(folder, "certs", name));
  const root = certificate("TrustAnchorRootCertificate.crt");
  /** Valid by RFC 5280 and refused here: no TPM vendor signs with DSA. */
  const refused = /_dsa_/;

  test.each(cases.map((one) => [one.name, one] as const))("%s", async (name, one) => {
    const intermediates = one.intermediates.map(certificate);
    const verify = verifyPath(certificate(one.leaf), [root], intermediates, new Date("2012-01-01"));
    if (one.error === null && !refused.test(name)) expect((await verify).at(-1)).toBe(root);
    else expect(await refusal(verify)).toMatch(/^enroll\.certificate-(untrusted|expired)$/);
  });
});
