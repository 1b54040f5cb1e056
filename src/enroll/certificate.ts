/**
 * Certificates as TPM vendors make them: not always DER, not always alone. Their original bytes are
 * what is verified.
 */
import "./reflect.ts";
import * as x509 from "@peculiar/x509";
import { concat, equalBytes } from "../tpm/structures/bytes.ts";
import { isSoundEnvelope, readSequence } from "./der.ts";
import { EnrollError } from "./errors.ts";

/** A certificate that parses; nothing about it is verified. */
export interface UnverifiedCertificate {
  /** Exactly the certificate, without what stood around it. */
  readonly bytes: Uint8Array;
  readonly x509: x509.X509Certificate;
  /** Names in the form in which they are compared. */
  readonly subject: string;
  readonly issuer: string;
}

/**
 * TCG header of certificates in TPM 1.2-era NV: TCPA_TAG 1001, type 00, then the size of what
 * follows, and in some 1002 for a full certificate (TPM 1.2 PC Client Specification §7.3).
 */
const TCG_TAG = [0x10, 0x01, 0x00];
const TCG_HEADER_BYTES = 7;

function withoutHeader(bytes: Uint8Array): Uint8Array {
  return TCG_TAG.every((byte, i) => bytes[i] === byte) ? bytes.subarray(TCG_HEADER_BYTES) : bytes;
}

function malformed(what: string, cause?: unknown): EnrollError {
  return new EnrollError("enroll.certificate-malformed", `${what} is no X.509 certificate.`, {
    cause,
  });
}

/**
 * RFC 5280 §7.1: string types, case and runs of spaces do not distinguish names (AMD's
 * intermediates name their root in another string type), nor does the order inside a multi-valued
 * RDN (Nuvoton). A name finds candidates; only a signature proves an issuer.
 */
export function comparableRdns(name: x509.Name): string[] {
  const fold = (text: string): string =>
    text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim();
  return name.toJSON().map((rdn) => {
    const pairs = Object.entries(rdn).flatMap(([type, values]) =>
      values.map((value) => [type, fold(value)].join("=")),
    );
    return JSON.stringify(pairs.sort());
  });
}

export function comparable(name: x509.Name): string {
  return JSON.stringify(comparableRdns(name));
}

/** Reads the first certificate in `bytes` and returns what follows it. */
function readCertificate(
  bytes: Uint8Array,
  what: string,
): [UnverifiedCertificate, rest: Uint8Array] {
  const read = readSequence(withoutHeader(bytes));
  if (!read || !isSoundEnvelope(read[0].whole)) throw malformed(what);
  const whole = read[0].whole.slice();
  try {
    const parsed = new x509.X509Certificate(whole);
    const [subject, issuer] = [comparable(parsed.subjectName), comparable(parsed.issuerName)];
    return [{ bytes: whole, x509: parsed, subject, issuer }, read[1]];
  } catch (cause) {
    throw malformed(what, cause);
  }
}

/**
 * Parses a certificate as it lies in NV: a TCG header before it and padding after it are cut off.
 * @throws EnrollError `enroll.certificate-malformed`
 */
export function parseCertificate(
  bytes: Uint8Array,
  what = "The EK certificate",
): UnverifiedCertificate {
  return readCertificate(bytes, what)[0];
}

/**
 * Parses an NV area that may hold several certificates in a row, up to padding.
 * @throws EnrollError
 */
export function parseCertificates(bytes: Uint8Array, what: string): UnverifiedCertificate[] {
  const found: UnverifiedCertificate[] = [];
  for (let rest = bytes; rest[0] === 0x30 || rest[0] === TCG_TAG[0]; ) {
    const [certificate, after] = readCertificate(rest, what);
    found.push(certificate);
    rest = after;
  }
  return found;
}

/**
 * Certificates that the vendor left in the TPM's NV indexes for on-die CAs. Each index holds whole
 * certificates, or all of them together hold one row of certificates that was cut to fit (TCG EK
 * Credential Profile §2.2.1.5.2).
 * @throws EnrollError where neither reading holds.
 */
export function parseOnDie(indexes: readonly Uint8Array[]): UnverifiedCertificate[] {
  const what = "An on-die certificate";
  try {
    return indexes.flatMap((one) => parseCertificates(one, what));
  } catch (cause) {
    if (indexes.length < 2) throw cause;
    return parseCertificates(concat(...indexes), what);
  }
}

/** Parses PEM (one or more certificates) or DER. @throws EnrollError where there is none. */
export function parseBundle(input: string | Uint8Array, what: string): UnverifiedCertificate[] {
  if (typeof input !== "string") return parseCertificates(input, what);
  const blocks = input.matchAll(
    /-----BEGIN CERTIFICATE-----([\sA-Za-z0-9+/=]+)-----END CERTIFICATE-----/g,
  );
  const found = [...blocks].map(([, text = ""]) =>
    parseCertificate(new Uint8Array(Buffer.from(text, "base64")), what),
  );
  if (found.length === 0) throw malformed(what);
  return found;
}

export function sameCertificate(a: UnverifiedCertificate, b: UnverifiedCertificate): boolean {
  return equalBytes(a.bytes, b.bytes);
}
