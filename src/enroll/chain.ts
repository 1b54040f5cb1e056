/**
 * Path validation for EK certificates: RFC 5280 §6.1 without policies. Revocation lists are judged
 * where the operator gives them (few vendors publish any; a lost TPM is revoked by its node
 * credential). Whatever this code does not judge and the certificate calls critical is refused.
 */
import "./reflect.ts";
import * as x509 from "@peculiar/x509";
import { sameCertificate, type UnverifiedCertificate } from "./certificate.ts";
import { namesAllowed } from "./constraints.ts";
import { EnrollError } from "./errors.ts";
import { requireUnrevoked, type UnverifiedRevocationList } from "./revocation.ts";

/** What the operator trusts, and what may help to get there. */
export interface TrustStore {
  readonly roots: readonly UnverifiedCertificate[];
  /** Untrusted, from the TPM or the operator. */
  readonly intermediates: readonly UnverifiedCertificate[];
  /** Given any, they must cover every certificate below the root. */
  readonly revocationLists?: readonly UnverifiedRevocationList[];
  /** Accepts signatures over SHA-1, which old vendors' chains have. False where absent. */
  readonly allowSha1?: boolean;
}

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
  nameConstraints: "2.5.29.30",
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
  OID.nameConstraints,
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

const RSA_BITS_MIN = 2048;

/** Why a signature by `issuer` proves nothing, however it verifies; null if it may. */
function weakness(search: Search, child: UnverifiedCertificate, issuer: UnverifiedCertificate) {
  const { hash } = child.x509.signatureAlgorithm;
  if (hash?.name === "SHA-1" && !search.trust.allowSha1) {
    return "signed by SHA-1, which is refused unless you allow it (--allow-sha1)";
  }
  const { modulusLength } = issuer.x509.publicKey.algorithm as { modulusLength?: number };
  const short = modulusLength !== undefined && modulusLength < RSA_BITS_MIN;
  return short ? `has an RSA key of ${modulusLength} bits` : null;
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
  readonly leaf: UnverifiedCertificate;
  readonly trust: TrustStore;
  readonly date: Date;
  /** Why each candidate failed, for the error. */
  readonly reasons: string[];
}

/** Why `issuer` cannot stand above `child` in this path; null if it can. */
async function linkProblem(
  search: Search,
  child: UnverifiedCertificate,
  issuer: UnverifiedCertificate,
  path: readonly UnverifiedCertificate[],
): Promise<string | null> {
  if (!(await signed(child, issuer))) {
    return "did not sign the certificate below it, or by an unsupported algorithm";
  }
  const problem = weakness(search, child, issuer) ?? issuerProblem(issuer, path, search.date);
  if (problem) return problem;
  const named = [search.leaf, ...path.filter((one) => !issued(one, one))];
  return namesAllowed(issuer, named) ? null : "does not allow the names below it";
}

/** The issuers from `child` up to a root, by depth-first search; null if no path holds. */
async function climb(
  search: Search,
  child: UnverifiedCertificate,
  path: readonly UnverifiedCertificate[],
): Promise<readonly UnverifiedCertificate[] | null> {
  if (path.length === ISSUERS_MAX) return null;
  const { roots, intermediates } = search.trust;
  const candidates = [...roots, ...intermediates].filter(
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
    const problem = await linkProblem(search, child, issuer, path);
    if (problem) {
      search.reasons.push(`the certificate of ${named(issuer)} ${problem}`);
      continue;
    }
    const longer = [...path, issuer];
    if (roots.some((root) => sameCertificate(root, issuer))) return longer;
    const found = await climb(search, issuer, longer);
    if (found) return found;
  }
  return null;
}

/**
 * Verifies that a path leads from `certificate` to a trusted root:
 *  1. the certificate is valid at `date`;
 *  2. each issuer's name is the name asked for, and its key verifies the signature over the
 *     original bytes, by no weak hash or key;
 *  3. each issuer is a CA that may sign certificates, within its path length and its name
 *     constraints, valid at `date`;
 *  4. no certificate has a critical extension that was not judged;
 *  5. the last issuer is, byte for byte, a configured root;
 *  6. where revocation lists are given, none of them holds a certificate of the path, and each
 *     certificate below the root is covered.
 * @returns The issuers, from the certificate's own to the root.
 * @throws EnrollError `enroll.certificate-untrusted`, `enroll.certificate-expired`,
 *   `enroll.certificate-revoked`, `enroll.revocation-list`, or `enroll.roots` without roots.
 */
export async function verifyPath(
  certificate: UnverifiedCertificate,
  trust: TrustStore,
  date: Date,
): Promise<readonly UnverifiedCertificate[]> {
  if (trust.roots.length === 0) {
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
  const search: Search = { leaf: certificate, trust, date, reasons: [], checks: CHECKS_MAX };
  const issuers = await climb(search, certificate, []);
  if (!issuers) {
    const why = [...new Set(search.reasons)].join("; ");
    throw new EnrollError(
      "enroll.certificate-untrusted",
      `The certificate leads to no configured root: ${why}.`,
    );
  }
  const lists = trust.revocationLists ?? [];
  if (lists.length > 0) await requireUnrevoked([certificate, ...issuers], lists, date);
  return issuers;
}

/**
 * verifyPath for a certificate that is no CA's and, where it says what it is for, is for an EK.
 * @throws EnrollError
 */
export async function verifyEkCertificate(
  certificate: UnverifiedCertificate,
  trust: TrustStore,
  date: Date,
): Promise<VerifiedEkCertificate> {
  const problem = leafProblem(certificate);
  if (problem)
    throw new EnrollError("enroll.certificate-untrusted", `The EK certificate ${problem}.`);
  return { certificate, issuers: await verifyPath(certificate, trust, date) };
}
