/**
 * Path validation for EK certificates: RFC 5280 §6.1 without policies, name constraints and
 * revocation (vendors publish no CRLs that could be relied on; a lost TPM is revoked by its node
 * credential). Whatever this code does not judge and the certificate calls critical is refused.
 */
import "./reflect.ts";
import * as x509 from "@peculiar/x509";
import { sameCertificate, type UnverifiedCertificate } from "./certificate.ts";
import { EnrollError } from "./errors.ts";

/** An EK certificate whose chain ends in a configured root, at the date asked for. */
export interface VerifiedEkCertificate {
  readonly certificate: UnverifiedCertificate;
  /** From the EK's issuer to the root. */
  readonly issuers: readonly UnverifiedCertificate[];
}

const OID = {
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
  subjectAlternativeName: "2.5.29.17",
  certificatePolicies: "2.5.29.32",
  anyExtendedKeyUsage: "2.5.29.37.0",
  /** tcg-kp-EKCertificate, TCG EK Credential Profile §3.2.16. */
  ekCertificate: "2.23.133.8.1",
} as const;

/** Extensions whose meaning is judged here, or which cannot widen what a certificate says. */
const UNDERSTOOD: readonly string[] = [
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectAlternativeName,
  OID.certificatePolicies,
];
/** Leaf, three intermediates and a root are the longest chain that vendors use. */
const ISSUERS_MAX = 6;

function problemOf({ x509: certificate }: UnverifiedCertificate, date: Date): string | null {
  if (date < certificate.notBefore) return "is not valid yet";
  if (date > certificate.notAfter) return "has expired";
  const strange = certificate.extensions.find(
    ({ critical, type }) => critical && !UNDERSTOOD.includes(type),
  );
  return strange ? `has a critical extension ${strange.type} that is not supported` : null;
}

/** Why `leaf` cannot be an EK certificate; null if it can. */
function leafProblem(leaf: UnverifiedCertificate): string | null {
  const constraints = leaf.x509.getExtension(x509.BasicConstraintsExtension);
  if (constraints?.ca) return "is a CA's";
  const usage = leaf.x509.getExtension(x509.ExtendedKeyUsageExtension)?.usages.map(String);
  if (usage && !usage.includes(OID.ekCertificate) && !usage.includes(OID.anyExtendedKeyUsage)) {
    return "is for another use than an EK's";
  }
  return null;
}

/**
 * Why `issuer` may not issue at this date, with the CAs `path` between it and the leaf; null if it
 * may.
 */
function issuerProblem(
  issuer: UnverifiedCertificate,
  path: readonly UnverifiedCertificate[],
  date: Date,
): string | null {
  // RFC 5280 §6.1.4 (l): a CA's certificate for itself, to change keys, does not count.
  const below = path.filter((one) => !issued(one, one)).length;
  const constraints = issuer.x509.getExtension(x509.BasicConstraintsExtension);
  if (!constraints?.ca) return "is no CA's";
  if (constraints.pathLength !== undefined && below > constraints.pathLength) {
    return `allows only ${constraints.pathLength} CAs below it`;
  }
  const usages = issuer.x509.getExtension(x509.KeyUsagesExtension)?.usages;
  if (usages !== undefined && (usages & x509.KeyUsageFlags.keyCertSign) === 0) {
    return "may not sign certificates";
  }
  return problemOf(issuer, date);
}

function named(certificate: UnverifiedCertificate): string {
  return certificate.x509.subject || `serial ${certificate.x509.serialNumber}`;
}

function issued(child: UnverifiedCertificate, issuer: UnverifiedCertificate): boolean {
  return child.issuer === issuer.subject;
}

async function signed(
  child: UnverifiedCertificate,
  issuer: UnverifiedCertificate,
): Promise<boolean> {
  try {
    return await child.x509.verify({ publicKey: issuer.x509.publicKey, signatureOnly: true });
  } catch {
    return false; // an algorithm that the library cannot verify proves nothing
  }
}

/**
 * Certificates that a node sends may all sign each other, and the paths through them grow
 * exponentially; no honest search takes as many signature checks.
 */
const CHECKS_MAX = 100;

interface Search {
  /** Signature checks that are left. */
  checks: number;
  readonly roots: readonly UnverifiedCertificate[];
  readonly intermediates: readonly UnverifiedCertificate[];
  readonly date: Date;
  /** Why each candidate failed, for the error. */
  readonly reasons: string[];
}

/** The issuers from `child` up to a root, by depth-first search; null if no path holds. */
async function climb(
  search: Search,
  child: UnverifiedCertificate,
  path: readonly UnverifiedCertificate[],
): Promise<readonly UnverifiedCertificate[] | null> {
  if (path.length === ISSUERS_MAX) return null;
  const candidates = [...search.roots, ...search.intermediates].filter(
    (one) => issued(child, one) && !path.some((used) => sameCertificate(used, one)),
  );
  if (candidates.length === 0) {
    search.reasons.push(`no certificate of its issuer "${child.x509.issuer}" is at hand`);
  }
  for (const issuer of candidates) {
    if (search.checks-- <= 0) {
      throw new EnrollError(
        "enroll.certificate-untrusted",
        "The certificates lead too far astray.",
      );
    }
    const problem = (await signed(child, issuer))
      ? issuerProblem(issuer, path, search.date)
      : "did not sign the certificate below it, or by an unsupported algorithm";
    if (problem) {
      search.reasons.push(`the certificate of ${named(issuer)} ${problem}`);
      continue;
    }
    const longer = [...path, issuer];
    if (search.roots.some((root) => sameCertificate(root, issuer))) return longer;
    const found = await climb(search, issuer, longer);
    if (found) return found;
  }
  return null;
}

/**
 * Verifies that a path leads from `certificate` to one of `roots`:
 *  1. the certificate is valid at `date`;
 *  2. each issuer's name is the name asked for, and its key verifies the signature over the
 *     original bytes;
 *  3. each issuer is a CA that may sign certificates, within its path length, valid at `date`;
 *  4. no certificate has a critical extension that was not judged;
 *  5. the last issuer is, byte for byte, a configured root.
 * @param intermediates Untrusted, from the TPM or the operator.
 * @returns The issuers, from the certificate's own to the root.
 * @throws EnrollError `enroll.certificate-untrusted`, `enroll.certificate-expired`, or
 *   `enroll.roots` without roots.
 */
export async function verifyPath(
  certificate: UnverifiedCertificate,
  roots: readonly UnverifiedCertificate[],
  intermediates: readonly UnverifiedCertificate[],
  date: Date,
): Promise<readonly UnverifiedCertificate[]> {
  if (roots.length === 0) {
    throw new EnrollError("enroll.roots", "No root for EK certificates is configured.");
  }
  const { notBefore, notAfter } = certificate.x509;
  if (date < notBefore || date > notAfter) {
    const [from, to] = [notBefore, notAfter].map((one) => one.toISOString());
    throw new EnrollError(
      "enroll.certificate-expired",
      `The certificate is valid from ${from} to ${to} only.`,
    );
  }
  const problem = problemOf(certificate, date);
  if (problem) throw new EnrollError("enroll.certificate-untrusted", `The certificate ${problem}.`);
  const search: Search = { roots, intermediates, date, reasons: [], checks: CHECKS_MAX };
  const issuers = await climb(search, certificate, []);
  if (issuers) return issuers;
  const why = [...new Set(search.reasons)].join("; ");
  throw new EnrollError(
    "enroll.certificate-untrusted",
    `The certificate leads to no configured root: ${why}.`,
  );
}

/**
 * verifyPath for a certificate that is no CA's and, where it says what it is for, is for an EK.
 * @throws EnrollError
 */
export async function verifyEkCertificate(
  certificate: UnverifiedCertificate,
  roots: readonly UnverifiedCertificate[],
  intermediates: readonly UnverifiedCertificate[],
  date: Date,
): Promise<VerifiedEkCertificate> {
  const problem = leafProblem(certificate);
  if (problem)
    throw new EnrollError("enroll.certificate-untrusted", `The EK certificate ${problem}.`);
  return { certificate, issuers: await verifyPath(certificate, roots, intermediates, date) };
}
