/**
 * Heads of the log: checkpoints (https://c2sp.org/tlog-checkpoint), which are signed notes of a
 * size and a root.
 */
import { LogError } from "./error.ts";
import { HASH_BYTES } from "./merkle.ts";
import { decodeBase64, type NoteSigner, type NoteVerifier, signNote, verifyNote } from "./note.ts";

export interface Checkpoint {
  /** Names the log, one line. */
  readonly origin: string;
  readonly size: number;
  /** RFC 6962 root of the first `size` leaves. */
  readonly root: Uint8Array;
}

/** What a text says, signed by nobody as far as this type knows. */
export type UnverifiedCheckpoint = Checkpoint;

declare const verified: unique symbol;
/** Signed by a listed key for the origin that was asked for. */
export type VerifiedCheckpoint = Checkpoint & { readonly [verified]: true };

export function signCheckpoint(checkpoint: Checkpoint, signer: NoteSigner): string {
  const root = Buffer.from(checkpoint.root).toString("base64");
  const text = `${checkpoint.origin}\n${checkpoint.size}\n${root}\n`;
  requireSame(parseCheckpoint(text), checkpoint);
  return signNote(text, signer);
}

/**
 * Reads a note's text: origin, size, root, then extension lines, which are ignored. Throws LogError
 * `log.malformed`.
 */
export function parseCheckpoint(text: string): UnverifiedCheckpoint {
  const [origin = "", decimal = "", base64 = "", ...rest] = text.split("\n");
  const size = Number(decimal);
  const root = decodeBase64(base64);
  const whole = rest.pop() === "" && rest.every((line) => line !== "");
  if (origin === "" || !/^(0|[1-9]\d*)$/.test(decimal) || !Number.isSafeInteger(size) || !whole) {
    throw new LogError("log.malformed", "That is no checkpoint: origin, size, root, a line each.");
  }
  if (root?.length !== HASH_BYTES) {
    throw new LogError("log.malformed", "The checkpoint's root is no base64 of 32 bytes.");
  }
  return { origin, size, root: Uint8Array.from(root) };
}

/**
 * Throws LogError `log.signature` or `log.malformed` unless one of `verifiers` signed it for
 * `origin`.
 */
export function verifyCheckpoint(
  note: Uint8Array,
  origin: string,
  verifiers: readonly NoteVerifier[],
): VerifiedCheckpoint {
  const checkpoint = parseCheckpoint(verifyNote(note, verifiers).text);
  if (checkpoint.origin !== origin) {
    throw new LogError(
      "log.malformed",
      `The checkpoint is of the log "${checkpoint.origin}", not of "${origin}".`,
    );
  }
  return checkpoint as VerifiedCheckpoint;
}

/** A head that does not read back as what it states would be evidence against ourselves. */
function requireSame(read: Checkpoint, written: Checkpoint): void {
  if (read.origin === written.origin && read.size === written.size) return;
  throw new LogError("log.malformed", "The log's origin must be one line of text.");
}
