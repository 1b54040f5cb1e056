/**
 * Certificate revocation lists that the operator gives (RFC 5280 §5 and §6.3): complete lists,
 * signed by the issuer itself. Delta, indirect and partial lists are marked by critical extensions,
 * and refused.
 */
import "./reflect.ts";
import * as x509 from "@peculiar/x509";
import { comparable, type UnverifiedCertificate } from "./certificate.ts";
import { readSequence } from "./der.ts";
import { EnrollError } from "./errors.ts";

/** A list that parses; nothing about it is verified. */
export interface UnverifiedRevocationList {
  readonly x509: x509.X509Crl;
  readonly issuer: string;
}

function parseOne(bytes: Uint8Array, what: string): UnverifiedRevocationList {
  const read = readSequence(bytes);
  try {
    if (!read || read[1].length > 0) throw new TypeError("not one SEQUENCE");
    const parsed = new x509.X509Crl(read[0].whole.slice());
    return { x509: parsed, issuer: comparable(parsed.issuerName) };
  } catch (cause) {
    const text = `${what} is no certificate revocation list (X.509, PEM or DER).`;
    throw new EnrollError("enroll.revocation-list", text, { cause });
  }
}

/** Parses PEM (one or more lists) or DER. @throws EnrollError `enroll.revocation-list` */
export function parseRevocationLists(
  input: string | Uint8Array,
  what: string,
): UnverifiedRevocationList[] {
  if (typeof input !== "string") return [parseOne(input, what)];
  const blocks = [
    ...input.matchAll(/-----BEGIN X509 CRL-----([\sA-Za-z0-9+/=]+)-----END X509 CRL-----/g),
  ];
  if (blocks.length === 0) return [parseOne(new Uint8Array(), what)];
  return blocks.map(([, text = ""]) => parseOne(new Uint8Array(Buffer.from(text, "base64")), what));
}

/** Why a list cannot be believed; null if it can. `signers` are verified CAs of its issuer's name. */
async function listProblem(
  { x509: list }: UnverifiedRevocationList,
  signers: readonly UnverifiedCertificate[],
  date: Date,
): Promise<string | null> {
  const signed = await Promise.all(
    signers.map(({ x509: { publicKey } }) => list.verify({ publicKey }).catch(() => false)),
  );
  const signer = signers.find((_, i) => signed[i]);
  if (!signer) return "was not signed by its issuer, or by an unsupported algorithm";
  const usages = signer.x509.getExtension(x509.KeyUsagesExtension)?.usages;
  if (usages !== undefined && (usages & x509.KeyUsageFlags.cRLSign) === 0) {
    return "is of an issuer that may not sign lists";
  }
  if (date < list.thisUpdate) return "is not valid yet";
  if (list.nextUpdate === undefined || date > list.nextUpdate) return "is out of date";
  const strange = list.extensions.find(({ critical }) => critical);
  const entry = list.entries.find(({ extensions }) => extensions.some((one) => one.critical));
  const part = "has a critical extension: it is a delta, an indirect or a partial one";
  return strange || entry ? part : null;
}

/**
 * Judges every certificate of a path (from the leaf up, the root left out) by the lists given: each
 * must be covered by a genuine, current list of its issuer, and be in none. Lists that cover only a
 * part would read as a check that was not made.
 * @throws EnrollError `enroll.certificate-revoked`, or `enroll.revocation-list` where a list is
 *   missing, stale or not its issuer's.
 */
export async function requireUnrevoked(
  path: readonly UnverifiedCertificate[],
  lists: readonly UnverifiedRevocationList[],
  date: Date,
): Promise<void> {
  for (const [at, certificate] of path.entries()) {
    const issuer = path[at + 1];
    if (!issuer) return;
    const own = lists.filter((list) => list.issuer === issuer.subject);
    // A CA that changes keys certifies itself, and may sign its list by either (§6.3.3 (f)).
    const signers = path.slice(1).filter((one) => one.subject === issuer.subject);
    const problems = await Promise.all(own.map((list) => listProblem(list, signers, date)));
    const sound = own.filter((_, i) => problems[i] === null);
    if (sound.some(({ x509: list }) => list.findRevoked(certificate.x509) !== null)) {
      throw new EnrollError(
        "enroll.certificate-revoked",
        `The certificate with serial ${certificate.x509.serialNumber} was revoked by its issuer.`,
      );
    }
    if (sound.length === 0) {
      const why = problems.length === 0 ? "is not among the lists given" : problems.join("; it ");
      const name = issuer.x509.subject;
      throw new EnrollError("enroll.revocation-list", `The revocation list of "${name}" ${why}.`);
    }
  }
}
