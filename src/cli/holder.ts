/** The holder of an authorization, as people name it: the executing node, or the key in a file. */
import { createPublicKey } from "node:crypto";
import { readKeyFile } from "../wire/key-files.ts";
import { coseKeyOf } from "../wire/keys.ts";
import type { CoseKey } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import { readInput } from "./input-file.ts";

/**
 * The public key of a PEM file, public or private. Throws UsageError, WireError or PrivateError.
 */
export async function readHolderKey(path: string): Promise<CoseKey> {
  const pem = Buffer.from(await readInput(path, 16_384)).toString("latin1");
  // A private key is read with its checks: a holder's key that others can read holds nothing.
  if (pem.startsWith("-----BEGIN PRIVATE KEY-----")) return coseKeyOf(await readKeyFile(path));
  try {
    return coseKeyOf(createPublicKey(pem));
  } catch (cause) {
    throw new UsageError(`${path} is no PEM key of Ed25519, P-256 or P-384.`, { cause });
  }
}
