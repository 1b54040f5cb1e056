/**
 * Signed notes (https://c2sp.org/signed-note) with Ed25519, key type 0x01. Other key types and
 * cosignatures are skipped as signatures of unknown keys; a note needs at least one signature by a
 * listed key, and none of a listed key's may fail.
 */
import {
  createPublicKey,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from "node:crypto";
import { sha256 } from "../wire/digests.ts";
import { LogError } from "./error.ts";

const ED25519 = 1;
const KEY_BYTES = 32;
const KEY_HASH_BYTES = 4;
const NOTE_BYTES_MAX = 1_000_000;
const SIGNATURES_MAX = 100;
const SIGNATURE_LINE = /^— (\S+) (\S+)$/u;

/** A key that may sign notes under a name. */
export interface NoteVerifier {
  readonly name: string;
  /** The first four bytes of SHA-256(name, newline, 0x01, key), in hex. */
  readonly keyHash: string;
  readonly key: KeyObject;
  /** The raw Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array;
}

export interface NoteSigner {
  readonly verifier: NoteVerifier;
  sign(text: string): Uint8Array;
}

export interface VerifiedNote {
  /** With its final newline, without signatures. */
  readonly text: string;
  /** The listed keys that signed, by name, in the order of the note. */
  readonly signers: readonly string[];
}

/** Throws LogError `log.malformed` for a name or key that cannot stand in a note. */
export function noteVerifier(name: string, publicKey: Uint8Array): NoteVerifier {
  requireName(name);
  if (publicKey.length !== KEY_BYTES) {
    throw new LogError("log.malformed", `A note key of ${publicKey.length} bytes, not 32.`);
  }
  const x = Buffer.from(publicKey).toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return { name, keyHash: keyHashOf(name, publicKey), key, publicKey: publicKey.slice() };
}

/** Reads `name+hash+base64(0x01, key)`. Throws LogError `log.malformed`. */
export function parseNoteVerifier(text: string): NoteVerifier {
  const [name = "", hash, ...rest] = text.trim().split("+");
  // Base64 may itself hold "+", names and hashes never.
  const typed = decodeBase64(rest.join("+"));
  if (typed?.[0] !== ED25519) throw new LogError("log.malformed", "That is no Ed25519 note key.");
  const verifier = noteVerifier(name, typed.subarray(1));
  if (hash === verifier.keyHash) return verifier;
  throw new LogError("log.malformed", "The note key's hash is not that of its name and key.");
}

export function formatNoteVerifier({ name, keyHash, publicKey }: NoteVerifier): string {
  const typed = Buffer.from([ED25519, ...publicKey]).toString("base64");
  return `${name}+${keyHash}+${typed}`;
}

/**
 * A signer from an Ed25519 private key. Throws LogError `log.malformed` for another kind of key.
 */
export function noteSigner(name: string, privateKey: KeyObject): NoteSigner {
  if (privateKey.type !== "private" || privateKey.asymmetricKeyType !== "ed25519") {
    throw new LogError("log.malformed", "The log's key must be an Ed25519 private key.");
  }
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  const verifier = noteVerifier(name, Buffer.from(x ?? "", "base64url"));
  return { verifier, sign: (text) => signBytes(null, Buffer.from(text), privateKey) };
}

/** `text` must end with a newline. */
export function signNote(text: string, signer: NoteSigner): string {
  requireText(text);
  const { name, keyHash } = signer.verifier;
  const signature = Buffer.concat([Buffer.from(keyHash, "hex"), signer.sign(text)]);
  return `${text}\n— ${name} ${signature.toString("base64")}\n`;
}

/**
 * Checks, in this order: size, UTF-8 and characters; form; every signature that names a listed key;
 * that there is one. Throws LogError `log.malformed` or `log.signature`.
 */
export function verifyNote(note: Uint8Array, verifiers: readonly NoteVerifier[]): VerifiedNote {
  const { text, signatures } = parseNote(note);
  const signers: string[] = [];
  for (const { name, keyHash, signature } of signatures) {
    const known = verifiers.find((key) => key.name === name && key.keyHash === keyHash);
    if (known === undefined) continue;
    if (!verifyBytes(null, Buffer.from(text), known.key, signature)) {
      throw new LogError("log.signature", `The signature by ${name} does not verify.`);
    }
    if (!signers.includes(name)) signers.push(name);
  }
  if (signers.length > 0) return { text, signers };
  throw new LogError("log.signature", "No listed key signed this note.");
}

interface NoteSignature {
  readonly name: string;
  readonly keyHash: string;
  readonly signature: Uint8Array;
}

/** Nothing of this is verified. */
function parseNote(note: Uint8Array): { text: string; signatures: NoteSignature[] } {
  if (note.length > NOTE_BYTES_MAX) throw new LogError("log.malformed", "The note is too long.");
  const whole = decodeUtf8(note);
  const split = whole.lastIndexOf("\n\n");
  if (split < 0) throw new LogError("log.malformed", "The note has no signatures.");
  const text = whole.slice(0, split + 1);
  requireText(whole);
  const lines = whole.slice(split + 2).split("\n");
  if (lines.pop() !== "" || lines.length === 0 || lines.length > SIGNATURES_MAX) {
    throw new LogError("log.malformed", "The note does not end with 1 to 100 signature lines.");
  }
  return { text, signatures: lines.map(parseSignature) };
}

function parseSignature(line: string): NoteSignature {
  const [, name = "", base64 = ""] = SIGNATURE_LINE.exec(line) ?? [];
  const bytes = decodeBase64(base64);
  if (bytes === null || bytes.length <= KEY_HASH_BYTES || name.includes("+")) {
    throw new LogError("log.malformed", "The note has a malformed signature line.");
  }
  const keyHash = bytes.subarray(0, KEY_HASH_BYTES).toString("hex");
  return { name, keyHash, signature: bytes.subarray(KEY_HASH_BYTES) };
}

/** Only what encodes back to the same text: else one signature could be written in several ways. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return text.length > 0 && bytes.toString("base64") === text ? bytes : null;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new LogError("log.malformed", "The note is no UTF-8.", { cause });
  }
}

function keyHashOf(name: string, publicKey: Uint8Array): string {
  const hash = sha256(Buffer.concat([Buffer.from(`${name}\n`), Uint8Array.of(ED25519), publicKey]));
  return Buffer.from(hash.subarray(0, KEY_HASH_BYTES)).toString("hex");
}

function requireName(name: string): void {
  if (/^[^\s+\p{Cc}]+$/u.test(name)) return;
  throw new LogError("log.malformed", `"${name}" cannot name a note key (no spaces, no +).`);
}

function requireText(text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the specification forbids exactly these.
  if (text.endsWith("\n") && !/[\x00-\x09\x0b-\x1f\p{Cs}]/u.test(text)) return;
  throw new LogError("log.malformed", "A note's text ends with a newline, without other controls.");
}
