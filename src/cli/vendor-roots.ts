/** Certificates and lists that `portcullis enroll` is given: files, and folders of them. */
import { join } from "node:path";
import { namesIn } from "../domain/files.ts";
import { FINGERPRINTS_FILE, parseBundle, parseVendorBundle } from "../enroll/index.ts";
import { UsageError } from "./error.ts";
import { aboutFile, readInput } from "./input-file.ts";

const FILE_BYTES_MAX = 1_048_576;
const FILES_MAX = 1_024;
const CERTIFICATE_FILE = /\.(pem|crt|cer|der)$/i;

/** PEM or DER, in the form in which src/enroll takes it. */
export type CertificateFile = string | Uint8Array;

/** DER begins with a SEQUENCE (0x30); anything else must be PEM. */
async function read(path: string): Promise<CertificateFile> {
  const bytes = await readInput(path, FILE_BYTES_MAX);
  return bytes[0] === 0x30 ? bytes : Buffer.from(bytes).toString("latin1");
}

/** Files of certificates, as they stand. Throws UsageError for one that holds anything else. */
export function readCertificates(paths: readonly string[] = []): Promise<CertificateFile[]> {
  return Promise.all(
    paths.map(async (path) => {
      const file = await read(path);
      aboutFile(path, () => parseBundle(file, "It"));
      return file;
    }),
  );
}

/** Revocation lists; whether they are any is judged with the chains that they speak of. */
export function readRevocationLists(paths: readonly string[] = []): Promise<CertificateFile[]> {
  return Promise.all(paths.map(read));
}

export interface FolderOfRoots {
  readonly roots: CertificateFile[];
  readonly intermediates: CertificateFile[];
}

/** A folder with a list of reviewed fingerprints (docs/enrollment.md). */
export async function readRootsFolder(folder: string): Promise<FolderOfRoots> {
  const names = (await namesIn(folder)).filter((name) => CERTIFICATE_FILE.test(name));
  if (names.length > FILES_MAX) {
    throw new UsageError(
      `${folder} holds ${names.length} certificate files, more than ${FILES_MAX}.`,
    );
  }
  const list = await readInput(join(folder, FINGERPRINTS_FILE), FILE_BYTES_MAX);
  const files: [string, CertificateFile][] = [];
  for (const name of names) files.push([name, await read(join(folder, name))]);
  const bundle = parseVendorBundle(Buffer.from(list).toString("utf8"), files);
  const der = (certificates: typeof bundle.roots) => certificates.map(({ bytes }) => bytes);
  return { roots: der(bundle.roots), intermediates: der(bundle.intermediates) };
}
