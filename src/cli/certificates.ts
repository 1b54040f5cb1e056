/** The TPM vendors whom an enroller believes, as options name them. */
import type { Command } from "commander";
import { collect } from "./values.ts";
import { readCertificates, readRevocationLists, readRootsFolder } from "./vendor-roots.ts";

export interface CertificateOptions {
  readonly root?: readonly string[];
  readonly roots?: readonly string[];
  readonly intermediate?: readonly string[];
  readonly crl?: readonly string[];
  readonly allowSha1?: true;
  readonly allowEk?: readonly string[];
}

export function addCertificateOptions(command: Command): Command {
  return command
    .option("--root <file>", "a trusted vendor root (PEM or DER); again for others", collect)
    .option("--intermediate <file>", "a certificate between; again for others", collect)
    .option("--roots <folder>", "a bundle with reviewed fingerprints; again for others", collect)
    .option("--crl <file>", "a revocation list (PEM or DER); again for others", collect)
    .option("--allow-sha1", "accept certificates that are signed over SHA-1")
    .option("--allow-ek <sha256>", "an EK public area accepted without certificate", collect);
}

/** What an Enroller takes of them. */
export async function certificatesOf(options: CertificateOptions) {
  const folders = await Promise.all((options.roots ?? []).map(readRootsFolder));
  return {
    roots: [
      ...(await readCertificates(options.root)),
      ...folders.flatMap((folder) => folder.roots),
    ],
    intermediates: [
      ...(await readCertificates(options.intermediate)),
      ...folders.flatMap((folder) => folder.intermediates),
    ],
    revocationLists: await readRevocationLists(options.crl),
    allowSha1: options.allowSha1 === true,
    allowedEks: new Set((options.allowEk ?? []).map((digest) => digest.toLowerCase())),
  };
}
