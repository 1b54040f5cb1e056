/** This machine as a node, as `portcullis enroll` leaves it in node/. */
import { join } from "node:path";
import { readBounded } from "../domain/files.ts";
import { LIMITS } from "../limits.ts";
import { type NoteVerifier, noteVerifier } from "../log/note.ts";
import { requirePrivate } from "../private.ts";
import { readKeyFile } from "../wire/key-files.ts";
import { coseKeyOf } from "../wire/keys.ts";
import { type CoseKey, parseSigned, type UnverifiedNode } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";

export interface NodeFiles {
  /** The node credential. */
  readonly credential: string;
  /** The attestation key as the TPM wraps it. */
  readonly ak: string;
  /** The log's private key, PKCS#8. */
  readonly log: string;
  /** Where an agent listens, if one runs. */
  readonly socket: string;
}

export function nodeFiles(home: Home): NodeFiles {
  return {
    credential: join(home.node, "credential"),
    ak: join(home.node, "ak"),
    log: join(home.node, "log.pem"),
    socket: join(home.node, "agent.sock"),
  };
}

/** Null where this machine is not enrolled. Throws WireError where the file is no credential. */
export async function loadNode(home: Home): Promise<UnverifiedNode | null> {
  const bytes = await readBounded(nodeFiles(home).credential, LIMITS.payloadBytes * 2);
  return bytes === null ? null : parseSigned("node", bytes);
}

/**
 * The key that signs this machine's audit log: as its credential states it, or before it is
 * enrolled as node/log.pem holds it. Null where there is neither.
 */
export async function logVerifier(home: Home, origin: string): Promise<NoteVerifier | null> {
  const key = await logKeyOf(home);
  if (key === null) return null;
  if (key.kty === "OKP") return noteVerifier(origin, key.x);
  throw new UsageError("This machine's log key is no Ed25519 key: enroll again.");
}

async function logKeyOf(home: Home): Promise<CoseKey | null> {
  const node = await loadNode(home);
  if (node !== null) return node.claims.logKey;
  const file = nodeFiles(home).log;
  return requirePrivate(file, "file") === null ? null : coseKeyOf(await readKeyFile(file));
}
