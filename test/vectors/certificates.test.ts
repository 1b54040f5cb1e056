/** Certificates of vendors, and NIST's path validation cases: third-party vectors. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  parseBundle,
  parseCertificate,
  parseCertificates,
  sameCertificate,
  type UnverifiedCertificate,
} from "../../src/enroll/certificate.ts";
import { verifyEkCertificate, verifyPath } from "../../src/enroll/chain.ts";
import { splitSpki } from "../../src/enroll/der.ts";
import { requireCertificateOf } from "../../src/enroll/endorsement-key.ts";
import { EnrollError } from "../../src/enroll/errors.ts";
import { parseRevocationLists, requireUnrevoked } from "../../src/enroll/revocation.ts";
import { TPM_ALG } from "../../src/tpm/structures/constants.ts";
import { parsePublic } from "../../src/tpm/structures/public.ts";
import { EK_TEMPLATES } from "../../src/tpm/structures/templates.ts";
import { describeVectors } from "../support/vectors.ts";

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
  // Chains of STMicroelectronics and others of before 2016 are signed over SHA-1.
  const trust = { roots, intermediates: others, allowSha1: true };

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
    const verified = await verifyEkCertificate(certificate, trust, date);
    expect(verified.issuers).toHaveLength(issuers);
    const own = (root: UnverifiedCertificate): boolean =>
      verified.issuers.some((issuer) => sameCertificate(issuer, root));
    const unrelated = roots.filter((root) => !own(root));
    const elsewhere = verifyEkCertificate(certificate, { ...trust, roots: unrelated }, date);
    expect(await refusal(elsewhere)).toBe("enroll.certificate-untrusted");
  });

  test.each(["ecc", "rsa"])(
    "a Google %s EK whose issuer is not at hand is refused",
    async (kind) => {
      const file = `go-tpm-tools/certificates/uca_tpm_${kind}_enc_cert.pem`;
      const certificate = only(join(vectors, file));
      const verify = verifyEkCertificate(certificate, trust, soonAfter(certificate));
      expect(await refusal(verify)).toBe("enroll.certificate-untrusted");
    },
  );

  test("every intermediate of the vendors' bundles validates under a root of them", async () => {
    expect(others.length).toBeGreaterThan(90);
    // The root of the Alibaba Cloud bundle is not among the vectors.
    for (const one of others.filter(({ x509 }) => !x509.issuer.includes("Aliyun"))) {
      const path = await verifyPath(one, trust, soonAfter(one));
      expect(path.length, one.x509.subject).toBeGreaterThan(0);
    }
  });

  test("no CA's certificate is taken for an EK's", async () => {
    for (const one of [...others, ...roots].filter(({ x509 }) => x509.subject.includes("CA"))) {
      const verify = verifyEkCertificate(one, trust, soonAfter(one));
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

describeVectors("certificates as they are found", (vectors) => {
  const bytes = (file: string): Uint8Array => new Uint8Array(readFileSync(join(vectors, file)));
  const at = (file: string): UnverifiedCertificate[] => read(join(vectors, file));
  const first = (file: string): UnverifiedCertificate => only(join(vectors, file));
  const bundled = (files: readonly string[], allowSha1 = false) => {
    const all = files.flatMap(at);
    const intermediates = all.filter((one) => !selfIssued(one));
    return { roots: all.filter(selfIssued), intermediates, allowSha1 };
  };

  test("Nuvoton's root, whose SETs are out of order, verifies over its original bytes", async () => {
    const file = "keylime/ek/nuvoton_root_ca_2110.der";
    const root = first(file);
    expect(root.bytes).toEqual(bytes(file));
    const trust = { roots: [root], intermediates: [] };
    expect(await verifyPath(root, trust, soonAfter(root))).toEqual([root]);
  });

  test("an EK certificate in SHA-1 is refused, unless the operator allows it", async () => {
    const leaf = first("hirs/ek/nuc-1/ek_cert_untouched.cer");
    const files = ["gstpmroot", "stmtpmekroot", "stmtpmekint02"];
    const names = files.map((name) => `hirs/ek/stMicroCaCerts/${name}.crt`);
    const verify = (allow: boolean) =>
      verifyEkCertificate(leaf, bundled(names, allow), soonAfter(leaf));
    await expect(verify(false)).rejects.toThrow(/SHA-1.*--allow-sha1/);
    expect((await verify(true)).issuers).toHaveLength(3);
  });

  test.each([
    ["keylime/idevid/iak.der", ["keylime/idevid/iak_idevid_chain.pem"], 2],
    ["keylime/idevid/idevid.der", ["keylime/idevid/iak_idevid_chain.pem"], 2],
    ["gcp-vtpm-ek-ak/certs/akcert.pem", ["gcp-vtpm-ek-ak/certs/ak_chain.pem"], 2],
    ["gcp-vtpm-ek-ak/certs/ekcert.pem", ["gcp-vtpm-ek-ak/certs/ek_chain.pem"], 2],
  ])("%s leads to the root of its own bundle only", async (file, chain, issuers) => {
    const leaf = first(file);
    const path = await verifyPath(leaf, bundled(chain), soonAfter(leaf));
    expect(path).toHaveLength(issuers);
    const other = bundled(["keylime/tpm_cert_store/NUVO_2110.pem"]);
    expect(await refusal(verifyPath(leaf, other, soonAfter(leaf)))).toBe(
      "enroll.certificate-untrusted",
    );
  });

  test("an identity of another kind is no EK's, though its chain holds", async () => {
    const leaf = first("keylime/idevid/idevid.der");
    const trust = bundled(["keylime/idevid/iak_idevid_chain.pem"]);
    await expect(verifyEkCertificate(leaf, trust, soonAfter(leaf))).rejects.toThrow(
      /another use than an EK's/,
    );
  });

  test("Google's list of the root covers its intermediate, not the EK's own certificate", async () => {
    const leaf = first("gcp-vtpm-ek-ak/certs/ekcert.pem");
    const path = await verifyPath(
      leaf,
      bundled(["gcp-vtpm-ek-ak/certs/ek_chain.pem"]),
      soonAfter(leaf),
    );
    const lists = parseRevocationLists(bytes("gcp-vtpm-ek-ak/certs/intermediate.crl"), "A list");
    const during = new Date("2024-05-10");
    await requireUnrevoked(path, lists, during);
    expect(await refusal(requireUnrevoked([leaf, ...path], lists, during))).toBe(
      "enroll.revocation-list",
    );
    for (const date of ["2024-05-01", "2024-06-01"]) {
      expect(await refusal(requireUnrevoked(path, lists, new Date(date)))).toBe(
        "enroll.revocation-list",
      );
    }
  });

  test("docs/vendor-roots.md lists certificates that are here and self-signed", () => {
    const folders = [
      ...["ibmtss/certificates", "keylime/tpm_cert_store", "tpm-key-attestation/certificates"],
      ...["gcp-vtpm-ek-ak/certs", "hirs/ek/stMicroCaCerts", "keylime/ek"],
    ];
    const pool = folders.flatMap((folder) => below(join(vectors, folder))).filter(selfIssued);
    const known = new Set(pool.map((one) => createHash("sha256").update(one.bytes).digest("hex")));
    const page = readFileSync("docs/vendor-roots.md", "utf8");
    const listed = [...page.matchAll(/`([0-9a-f]{64})`/g)].map(([, digest = ""]) => digest);
    expect(listed.length).toBeGreaterThan(20);
    expect(listed.filter((digest) => !known.has(digest))).toEqual([]);
  });

  test("a negative serial number parses", () => {
    expect(first("x509-limbo/negative_serial.pem").bytes.length).toBeGreaterThan(0);
  });

  test("a certificate without end, and one without subject", () => {
    const endless = first("measured-boot-ek/s1-boot1-q1/ek-rsa2048.crt.der");
    expect(endless.x509.notAfter.getUTCFullYear()).toBe(9999);
    const nameless = first("keylime/ek/nuvoton_npct75x_rsa.der");
    expect(nameless.x509.subject).toBe("");
    expect(nameless.x509.getExtension("2.5.29.17")?.critical).toBe(true);
  });

  test("a key named id-RSAES-OAEP is compared like any other", () => {
    const { x509 } = first("hirs/ek/nuc-1/ek_cert_7_byte_header_removed.cer");
    const key = splitSpki(new Uint8Array(x509.publicKey.rawData))?.key;
    // RSAPublicKey: SEQUENCE { modulus, exponent }; the modulus has a leading zero.
    const n = (key ?? new Uint8Array()).slice(9, 9 + 256);
    const [template] = EK_TEMPLATES;
    if (template?.template.type !== TPM_ALG.RSA) throw new Error("L-1 is RSA");
    const ek = { ...template.template, n };
    const certificate = first("hirs/ek/nuc-1/ek_cert_untouched.cer");
    expect(() => requireCertificateOf(certificate, ek)).not.toThrow();
    n[255] = (n[255] ?? 0) ^ 2;
    expect(() => requireCertificateOf(certificate, ek)).toThrow(/another key/);
  });
});

interface PkitsCase {
  readonly name: string;
  readonly leaf: string;
  readonly intermediates: readonly string[];
  readonly crls: readonly string[];
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
    const names = ["TrustAnchorRootCRL.crl", ...one.crls];
    const revocationLists = names.flatMap((crl) =>
      parseRevocationLists(new Uint8Array(readFileSync(join(folder, "crls", crl))), crl),
    );
    const verify = async (lists: typeof revocationLists) => {
      const intermediates = one.intermediates.map(certificate);
      const trust = { roots: [root], intermediates, revocationLists: lists };
      return verifyPath(certificate(one.leaf), trust, new Date("2012-01-01"));
    };
    for (const lists of [[], revocationLists]) {
      if (one.error === null && !refused.test(name))
        expect((await verify(lists)).at(-1)).toBe(root);
      else {
        const code = /^enroll\.certificate-(untrusted|expired|malformed)$/;
        expect(await refusal(verify(lists))).toMatch(code);
      }
    }
  });
});
