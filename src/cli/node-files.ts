/** This machine as a node, as `portcullis enroll` leaves it in node/. */
import { join } from "node:path";
import { readBounded } from "../domain/files.ts";
import { LIMITS } from "../limits.ts";
import { type NoteVerifier, noteVerifier } from "../log/note.ts";
import { parseSigned, type UnverifiedNode } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";

export interface NodeFiles {
  /** The node credential. */
  readonly credential: string;
  /** The attestation key as the TPM wraps it. */
  readonly ak: string;
  /** The log's private key, PKCS#8. */
  readonly log: string;
}

export function nodeFiles(home: Home): NodeFiles {
  return {
    credential: join(home.node, "credential"),
    ak: join(home.node, "ak"),
    log: join(home.node, "log.pem"),
  };
}

/** Null where this machine is not enrolled. Throws WireError where the file is no credential. */
export async function loadNode(home: Home): Promise<UnverifiedNode | null> {
  const bytes = await readBounded(nodeFiles(home).credential, LIMITS.payloadBytes * 2);
  return bytes === null ? null : parseSigned("node", bytes);
}

/**
 * The key that signs this machine's audit log, as its credential states it; null where it is not
 * enrolled.
 */
export async function logVerifier(home: Home, origin: string): Promise<NoteVerifier | null> {
  const node = await loadNode(home);
  if (node === null) return null;
  const { logKey } = node.claims;
  if (logKey.kty === "OKP") return noteVerifier(origin, logKey.x);
  throw new UsageError("The node credential's log key is no Ed25519 key: enroll again.");
}
