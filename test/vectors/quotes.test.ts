/**
 * Quotes of real machines and of other verifiers' tests, against the expectation files beside them.
 */
import { createPublicKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { decode } from "cborg";
import { beforeAll, expect, test } from "vitest";
import { type Code, type Core, loadCore, type Quote } from "../../src/core/index.ts";
import { softwareAk } from "../support/ak.ts";
import {
  base64,
  bytesIn,
  type ExpectedQuote,
  foldersWith,
  jsonIn,
  type PcrFile,
  pcrsFrom,
  policyOver,
  publicAreaOf,
  readPcrFile,
  rsaSignature,
  textIn,
} from "../support/quote-files.ts";
import { hex } from "../support/signatures.ts";
import { acceptedQuote } from "../support/tpm-structures.ts";
import { describeVectors } from "../support/vectors.ts";

let core: Core;
let others: Core[];
beforeAll(async () => {
  core = await loadCore();
  others = await Promise.all((["scalar", "checked"] as const).map((build) => loadCore({ build })));
});

const base = (expected: ExpectedQuote, pcrs: Quote["pcrs"]) => ({
  qualifyingData: hex(expected.extraData),
  pcrs,
  policy: policyOver(expected.selection, pcrs),
});

/** What a correct verifier finds, by the expectation file. */
function codesOf(expected: ExpectedQuote): Code[] {
  const codes: Code[] = expected.signature_valid === true ? [] : ["environment.quote-signature"];
  if (expected.pcr_digest_matches === false) codes.push("environment.quote-digest");
  return codes;
}

function judge(quote: Quote, codes: readonly Code[]): void {
  const appraisal = core.appraiseQuote(quote);
  expect(appraisal.codes).toEqual(codes);
  expect(appraisal.ok).toBe(codes.length === 0);
  for (const other of others) expect(other.appraiseQuote(quote)).toEqual(appraisal);
  // One bit of the statement, wherever it is, and the signature no longer verifies.
  for (let i = 0; i < quote.attest.length; i++) {
    const attest = quote.attest.slice();
    attest[i] = (attest[i] ?? 0) ^ (1 << (i & 7));
    expect(core.appraiseQuote({ ...quote, attest }).codes).toContain("environment.quote-signature");
  }
}

interface Attestation {
  ak_tpmt_public_b64: string;
  quotes: {
    attest_b64: string;
    tpmt_signature_b64: string;
    bank: string;
    pcrs: Record<string, string>;
    expect: ExpectedQuote;
  }[];
}

describeVectors("go-tpm-tools", (dir) => {
  const folder = join(dir, "go-tpm-tools/attestations");
  const { ak_tpmt_public_b64, quotes } = jsonIn<Attestation>(folder, "gce-cos-85-no-nonce.json");
  test.each(quotes)("$bank bank of a GCE machine; made without a nonce, so denied", (row) => {
    const quote = {
      publicArea: base64(ak_tpmt_public_b64),
      attest: base64(row.attest_b64),
      signature: base64(row.tpmt_signature_b64),
      ...base(row.expect, pcrsFrom({ [row.bank]: row.pcrs })),
    };
    expect(codesOf(row.expect)).toEqual([]);
    judge(quote, ["environment.quote-nonce"]);
  });
});

describeVectors("trustee", (dir) => {
  test("tpm: the key as an SPKI, 24 PCRs", () => {
    const { ak_public, tpm_quote: q } = jsonIn<{
      ak_public: string;
      tpm_quote: { message: string; signature: string; pcrs: string[] };
    }>(dir, "trustee/tpm/tpm_evidence.json");
    const expected = jsonIn<ExpectedQuote>(dir, "trustee/tpm/expected.json");
    const key = createPublicKey({
      key: Buffer.from(ak_public, "base64"),
      format: "der",
      type: "spki",
    });
    const pcrs = pcrsFrom({ sha256: Object.fromEntries(q.pcrs.entries()) });
    const publicArea = publicAreaOf(key, expected);
    const parts = { publicArea, attest: base64(q.message), signature: base64(q.signature) };
    judge({ ...parts, ...base(expected, pcrs) }, codesOf(expected));
  });

  const azure = ["az-snp-vtpm/evidence-v1", "az-tdx-vtpm/evidence-v0"];
  test.each(azure)("%s: a bare RSA signature, the key inside the HCL report", (name) => {
    type Bytes = string | number[];
    const file = jsonIn<{
      hcl_report: Bytes;
      tpm_quote: { message: Bytes; signature: Bytes; pcrs: Bytes[] };
    }>(dir, "trustee", `${name}.json`);
    const expected = jsonIn<ExpectedQuote>(dir, "trustee", `${name}.expected.json`);
    const bytes = (value: Bytes): Uint8Array =>
      typeof value === "string" ? hex(value) : Uint8Array.from(value);
    const report = file.hcl_report;
    const text = Buffer.from(typeof report === "string" ? base64(report) : report).toString(
      "latin1",
    );
    const found = /"kid":"HCLAkPub"[^}]*?"e":"([^"]+)","n":"([^"]+)"/.exec(text);
    if (!found) throw new Error("the report names no HCLAkPub");
    const [, e = "", n = ""] = found;
    const key = createPublicKey({ key: { kty: "RSA", e, n }, format: "jwk" });
    const { message, signature, pcrs } = file.tpm_quote;
    const values = Object.fromEntries(pcrs.map((value, i) => [i, bytes(value)]));
    const quote = {
      publicArea: publicAreaOf(key, expected),
      attest: bytes(message),
      signature: rsaSignature(bytes(signature), expected),
      ...base(expected, { sha256: values }),
    };
    judge(quote, codesOf(expected));
  });
});

describeVectors("keylime", (dir) => {
  test("quote-files: the AK's TPM2B_PUBLIC, the PCR file of tpm2-tools", () => {
    const folder = join(dir, "keylime/quote-files");
    const expected = jsonIn<ExpectedQuote>(folder, "expected.json");
    const pcrs = readPcrFile(bytesIn(folder, "quotepcr.out"), expected.selection);
    const publicArea = bytesIn(folder, "ak.pub").subarray(2);
    const attest = bytesIn(folder, "quote.out");
    const signature = bytesIn(folder, "quotesig.out");
    judge({ publicArea, attest, signature, ...base(expected, pcrs) }, codesOf(expected));
  });

  test("quote-unit: holds, but over PCR 16 alone, which no policy may read", () => {
    const file = jsonIn<Record<"ak_pem" | "quote_b64" | "signature_b64" | "pcr_file_b64", string>>(
      ...[dir, "keylime/quote-unit.json"],
    );
    const { expect: expected } = jsonIn<{ expect: ExpectedQuote }>(dir, "keylime/quote-unit.json");
    const pcrs = readPcrFile(base64(file.pcr_file_b64), expected.selection);
    const publicArea = publicAreaOf(file.ak_pem, expected);
    const [attest, signature] = [base64(file.quote_b64), base64(file.signature_b64)];
    const quote = { publicArea, attest, signature, ...base(expected, pcrs) };
    expect(codesOf(expected)).toEqual([]);
    judge(quote, ["environment.pcr-empty"]);
    const reading = { pcrs: { sha256: { 16: [pcrs.sha256?.[16] ?? hex("")] } } };
    const { codes } = core.appraiseQuote({ ...quote, policy: reading });
    expect(codes).toEqual(["environment.pcr-untrusted"]);
    // Upstream refuses it with another nonce or PCR value.
    const stale = core.appraiseQuote({ ...quote, qualifyingData: hex("00") });
    expect(stale.code).toBe("environment.quote-nonce");
    const other = core.appraiseQuote({ ...quote, pcrs: { sha256: { 16: new Uint8Array(32) } } });
    expect(other.code).toBe("environment.quote-digest");
  });
});

describeVectors("rust-keylime", (dir) => {
  test("a quote over SHA-1, without its key: it parses", () => {
    const [attest = "", signature = ""] = textIn(dir, "rust-keylime/test-quote.txt")
      .slice(1)
      .split(":");
    const { codes } = core.appraiseQuote({
      publicArea: softwareAk("rsassa-2048").publicArea,
      attest: base64(attest),
      signature: base64(signature),
      qualifyingData: new TextEncoder().encode("TEST"),
      pcrs: {},
      policy: { pcrs: { sha1: { 10: [new Uint8Array(20)] } } },
    });
    // The software key asks for SHA-256, and no value was supplied; nothing else is wrong.
    expect(codes).toEqual(["environment.quote-scheme", "environment.quote-digest"]);
  });
});

describeVectors("immune-guard", (dir) => {
  const evidence = join(dir, "immune-guard/evidence");
  test.each(foldersWith(evidence, "quote.attest"))("%s: a real TPM", (name) => {
    const folder = join(evidence, name);
    const info = jsonIn<{
      quote: ExpectedQuote;
      expect: {
        quote_pcr_digest_matches_pcrs: boolean;
        signature_verifies_with_ak_recovered: boolean;
      };
    }>(folder, "info.json");
    const expected: ExpectedQuote = {
      ...info.quote,
      signature_valid: info.expect.signature_verifies_with_ak_recovered,
      pcr_digest_matches: info.expect.quote_pcr_digest_matches_pcrs,
    };
    const publicArea = publicAreaOf(textIn(folder, "ak-recovered.pem"), expected);
    const [attest, signature] = [bytesIn(folder, "quote.attest"), bytesIn(folder, "quote.sig")];
    const pcrs = pcrsFrom(jsonIn<PcrFile>(folder, "pcrs.json"));
    judge({ publicArea, attest, signature, ...base(expected, pcrs) }, codesOf(expected));
  });
});

describeVectors("openeuler-gta", (dir) => {
  test("binds its PCRs, but is signed by another key than the certificate's", () => {
    const { evidence } = jsonIn<{
      evidence: {
        quote: { quote_data: string; signature: string };
        pcrs: { pcr_values: { pcr_index: number; pcr_value: string }[] };
        ak_certs: { cert_data: string }[];
      };
    }>(dir, "openeuler-gta/tpm-evidence.json");
    const expected = jsonIn<ExpectedQuote>(dir, "openeuler-gta/tpm-evidence.expected.json");
    const certificate = Buffer.from(evidence.ak_certs[0]?.cert_data ?? "", "base64");
    const values = evidence.pcrs.pcr_values.map((row) => [row.pcr_index, row.pcr_value]);
    const quote = {
      publicArea: publicAreaOf(new X509Certificate(certificate).publicKey, expected),
      attest: base64(evidence.quote.quote_data),
      signature: base64(evidence.quote.signature),
      ...base(expected, pcrsFrom({ sha256: Object.fromEntries(values) })),
    };
    judge(quote, codesOf(expected));
  });
});

describeVectors("WebAuthn statements", (dir) => {
  const fido = (file: string): string =>
    jsonIn<{ response: { attestationObject: string } }>(dir, "fido2-net-lib", file).response
      .attestationObject;
  const files = ["attestationTPMSHA1Response.json", "attestationTPMSHA256Response.json"];
  test.each(files)("fido2-net-lib, %s: TPM2_Certify is no quote", (file) => {
    const { attStmt } = decode(new Uint8Array(Buffer.from(fido(file), "base64url")), {
      useMaps: false,
    }) as { attStmt: { certInfo: Uint8Array; pubArea: Uint8Array } };
    const { publicArea, ...rest } = acceptedQuote();
    expect(core.appraiseQuote({ ...rest, publicArea, attest: attStmt.certInfo }).codes).toEqual([
      "environment.quote-type",
      "environment.quote-signature",
    ]);
    // Nor is the certified key one that signs quotes.
    const { codes } = core.appraiseQuote({ ...rest, publicArea: attStmt.pubArea });
    expect(codes[0]).toBe("environment.quote-key");
  });
});
