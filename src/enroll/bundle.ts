/**
 * A bundle of vendors' certificates as an operator keeps it: files as downloaded, and a list of the
 * fingerprints that were reviewed. Nothing is a root because it lies in the folder.
 */
import { createHash } from "node:crypto";
import { parseBundle, type UnverifiedCertificate } from "./certificate.ts";
import { EnrollError } from "./errors.ts";

export interface VendorBundle {
  /** The day on which the fingerprints were last reviewed, as the list says. */
  readonly reviewed: string;
  readonly roots: readonly UnverifiedCertificate[];
  /** Every other certificate: it may stand in between, and proves nothing by itself. */
  readonly intermediates: readonly UnverifiedCertificate[];
}

/** Name of the list in the folder. */
export const FINGERPRINTS_FILE = "fingerprints";

const DATE_LINE = /^reviewed (\d{4}-\d{2}-\d{2})$/;
const FINGERPRINT_LINE = /^([0-9a-f]{64})(?:\s.*)?$/;

function refuse(what: string): EnrollError {
  return new EnrollError("enroll.roots", `The bundle's ${FINGERPRINTS_FILE}: ${what}.`);
}

/** Lines: `# comment`, `reviewed YYYY-MM-DD`, or the SHA-256 of a certificate and any name. */
function parseFingerprints(text: string): { reviewed: string; digests: Set<string> } {
  const lines = text.split("\n").map((line) => line.trim());
  const meant = lines.filter((line) => line !== "" && !line.startsWith("#"));
  const dates = meant.flatMap((line) => DATE_LINE.exec(line)?.[1] ?? []);
  const [reviewed] = dates;
  if (reviewed === undefined || dates.length > 1)
    throw refuse('needs one line "reviewed YYYY-MM-DD"');
  const digests = new Set<string>();
  for (const line of meant.filter((one) => !DATE_LINE.test(one))) {
    const digest = FINGERPRINT_LINE.exec(line.toLowerCase())?.[1];
    if (digest === undefined) throw refuse(`"${line}" is no SHA-256 in hexadecimal and a name`);
    digests.add(digest);
  }
  if (digests.size === 0) throw refuse("names no root");
  return { reviewed, digests };
}

/**
 * Sorts a bundle. A certificate is a root if and only if the SHA-256 of its DER is listed.
 * @param fingerprints The text of the list.
 * @param files PEM or DER, with a name for the error.
 * @throws EnrollError `enroll.roots` where the list is wrong or names a certificate that is not
 *   there, `enroll.certificate-malformed` for a file that holds none.
 */
export function parseVendorBundle(
  fingerprints: string,
  files: readonly (readonly [name: string, content: string | Uint8Array])[],
): VendorBundle {
  const { reviewed, digests } = parseFingerprints(fingerprints);
  const found = new Map<string, UnverifiedCertificate>();
  for (const [name, content] of files) {
    for (const one of parseBundle(content, name)) {
      found.set(createHash("sha256").update(one.bytes).digest("hex"), one);
    }
  }
  const absent = [...digests].find((digest) => !found.has(digest));
  if (absent !== undefined) throw refuse(`no file holds the certificate ${absent}`);
  const entries = [...found];
  return {
    reviewed,
    roots: entries.filter(([digest]) => digests.has(digest)).map(([, one]) => one),
    intermediates: entries.filter(([digest]) => !digests.has(digest)).map(([, one]) => one),
  };
}
