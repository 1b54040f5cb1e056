/**
 * The AK between runs: its public area, and its private part as only this TPM's EK can decrypt it.
 * Who reads the file gains nothing without the TPM; it is private all the same, because who
 * replaces it stops the node.
 */
import { randomBytes } from "node:crypto";
import { open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { PortcullisError } from "../errors.ts";
import { requirePrivate } from "../private.ts";
import type { KeyBlob } from "../tpm/object.ts";
import { decode, encode } from "../wire/cbor.ts";

const FORMAT = 1;

/** The key file is absent or damaged. */
export class KeyFileError extends PortcullisError {}

/** Writes the blob durably with mode 0600, in place of what was there. */
export async function writeAkFile(path: string, blob: KeyBlob): Promise<void> {
  const fresh = `${path}.${randomBytes(8).toString("hex")}`;
  const file = await open(fresh, "wx", 0o600);
  try {
    await file.writeFile(encode([FORMAT, blob.publicArea, blob.privateArea]));
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await rename(fresh, path);
  } catch (cause) {
    await rm(fresh, { force: true });
    throw cause;
  }
  const folder = await open(dirname(path), "r");
  await folder.sync().finally(() => folder.close());
}

/**
 * Reads what writeAkFile wrote.
 * @throws KeyFileError `agent.key-missing` or `agent.key-malformed`, PrivateError where others may
 *   touch the file.
 */
export async function readAkFile(path: string): Promise<KeyBlob> {
  if (requirePrivate(path, "file") === null) {
    throw new KeyFileError(
      "agent.key-missing",
      `${path} does not exist: enroll this machine first.`,
    );
  }
  const malformed = (cause?: unknown): KeyFileError =>
    new KeyFileError("agent.key-malformed", `${path} is damaged: enroll this machine again.`, {
      cause,
    });
  const bytes = new Uint8Array(await readFile(path));
  let value: ReturnType<typeof decode>;
  try {
    value = decode(bytes);
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Array.isArray(value) || value.length !== 3 || value[0] !== FORMAT) throw malformed();
  const [, publicArea, privateArea] = value;
  if (!(publicArea instanceof Uint8Array) || !(privateArea instanceof Uint8Array))
    throw malformed();
  return { publicArea, privateArea };
}
