/**
 * Our objects as code works with them: made from values, signed, and read back. Reading checks form
 * and bounds and nothing else, so what it gives is named Unverified. Only the core verifies.
 */
import { decode, encode } from "./cbor.ts";
import type { CborValue } from "./cbor-value.ts";
import { COSE_SIGN, parseCose, sign, sign1, type UnverifiedMessage } from "./cose.ts";
import { isDigested, objectDigest } from "./digests.ts";
import { WireError } from "./error.ts";
import type { Signer } from "./keys.ts";
import { type Claims, PLAIN, type PlainKind, SIGNED, type SignedKind } from "./registry.ts";
import type { Json, Shape } from "./schema.ts";

export type { CoseKey } from "./shapes.ts";
export type Charter = Claims<"charter">;
export type Snapshot = Claims<"snapshot">;
export type ReferencePolicy = Claims<"policy">;
export type { ImaRules } from "./ima-shapes.ts";
export type Grant = Claims<"grant">;
export type Link = Claims<"link">;
export type Scope = Grant["scope"];
export type Image = Scope["image"];
export type Proof = Claims<"proof">;
export type NodeCredential = Claims<"node">;
export type Counters = NodeCredential["counters"];
export type Result = Claims<"result">;
export type Receipt = Claims<"receipt">;
export type StatusList = Claims<"statusList">;
export type Job = Claims<"job">;
export type Context = Claims<"context">;
export type Evidence = Claims<"evidence">;
export type Slot = Evidence["tpm"]["slot"];
export type Case = Claims<"case">;

/** A signed object, read and in bounds; nobody has looked at its signatures. */
export interface UnverifiedSigned<K extends SignedKind> {
  readonly kind: K;
  readonly claims: Claims<K>;
  readonly message: UnverifiedMessage;
  /** What others name it by; null for the kinds that nobody names. */
  readonly digest: Uint8Array | null;
}
export type UnverifiedCharter = UnverifiedSigned<"charter">;
export type UnverifiedSnapshot = UnverifiedSigned<"snapshot">;
export type UnverifiedPolicy = UnverifiedSigned<"policy">;
export type UnverifiedGrant = UnverifiedSigned<"grant">;
export type UnverifiedLink = UnverifiedSigned<"link">;
export type UnverifiedProof = UnverifiedSigned<"proof">;
export type UnverifiedNode = UnverifiedSigned<"node">;
export type UnverifiedResult = UnverifiedSigned<"result">;
export type UnverifiedReceipt = UnverifiedSigned<"receipt">;

/** An object that carries no signature: whoever handed it over could have written anything. */
export interface UnverifiedPlain<K extends PlainKind> {
  readonly kind: K;
  readonly value: Claims<K>;
}

// The tables hold one Shape for each kind; TypeScript cannot follow a kind through them, so these
// two lines say it.
const shapeOf = <K extends SignedKind>(kind: K) =>
  SIGNED[kind].shape as Shape<unknown> as Shape<Claims<K>>;
const plainOf = <K extends PlainKind>(kind: K) =>
  PLAIN[kind].shape as Shape<unknown> as Shape<Claims<K>>;

/** Of the largest job there are fewer; and anyone may send a plane what he calls evidence. */
const EVIDENCE_ITEMS_MAX = 4_096;

function bounded(what: string, bytes: Uint8Array, max: number): Uint8Array {
  if (bytes.length <= max) return bytes;
  throw new WireError("wire.shape", `${what}: ${bytes.length} bytes, more than ${max}`);
}

/** The payload of a signed object, before anyone signs it. */
export function encodePayload<K extends SignedKind>(kind: K, claims: Claims<K>): Uint8Array {
  return bounded(kind, encode(shapeOf(kind).encode(claims, kind)), SIGNED[kind].bytes);
}

/**
 * Makes and signs an object. A COSE_Sign takes one or more signers, the others exactly one. Throws
 * WireError `wire.shape` where the claims are out of bounds.
 */
export function signObject<K extends SignedKind>(
  kind: K,
  claims: Claims<K>,
  signers: readonly [Signer, ...Signer[]],
): Promise<Uint8Array> {
  return signPayload(kind, encodePayload(kind, claims), signers);
}

/** Signs bytes as the payload of an object of this kind, whatever they are. */
export async function signPayload(
  kind: SignedKind,
  payload: Uint8Array,
  signers: readonly [Signer, ...Signer[]],
): Promise<Uint8Array> {
  const { typ, tag, signers: most } = SIGNED[kind];
  if (signers.length > most) {
    throw new WireError("wire.cose", `a ${kind} takes at most ${most} signers`);
  }
  return tag === COSE_SIGN ? sign(typ, payload, signers) : sign1(typ, payload, signers[0]);
}

/**
 * The kind that a typ names, null if none (a wrong or absent type must not pass: CVE-2022-35929,
 * CVE-2022-35930).
 */
export function kindOf(message: UnverifiedMessage): SignedKind | null {
  const kinds = Object.keys(SIGNED) as SignedKind[];
  return kinds.find((kind) => SIGNED[kind].typ === message.typ) ?? null;
}

/** Reads an object of the kind that is expected, and no other. Throws WireError. */
export function parseSigned<K extends SignedKind>(kind: K, bytes: Uint8Array): UnverifiedSigned<K> {
  return readMessage(kind, parseCose(bytes));
}

/** The same for a message that is read already. */
export function readMessage<K extends SignedKind>(
  kind: K,
  message: UnverifiedMessage,
): UnverifiedSigned<K> {
  const { typ, tag, signers, bytes: max } = SIGNED[kind];
  if (message.typ !== typ) {
    throw new WireError("wire.cose", `expected ${typ}, found ${JSON.stringify(message.typ)}`);
  }
  if (message.tag !== tag) throw new WireError("wire.cose", `a ${kind} stands under tag ${tag}`);
  if (message.signatures.length > signers) {
    throw new WireError("wire.cose", `a ${kind} takes at most ${signers} signers`);
  }
  const payload = decode(bounded(kind, message.payload, max));
  return {
    kind,
    claims: shapeOf(kind).decode(payload, kind),
    message,
    digest: isDigested(kind) ? objectDigest(kind, message) : null,
  };
}

/** Encodes an unsigned object. Throws WireError `wire.shape` where it is out of bounds. */
export function encodePlain<K extends PlainKind>(kind: K, value: Claims<K>): Uint8Array {
  return bounded(kind, encode(plainOf(kind).encode(value, kind)), PLAIN[kind].bytes);
}

/** Reads an unsigned object. Throws WireError. */
export function parsePlain<K extends PlainKind>(kind: K, bytes: Uint8Array): UnverifiedPlain<K> {
  const itemsMax = kind === "evidence" ? EVIDENCE_ITEMS_MAX : undefined;
  return plainFromCbor(kind, decode(bounded(kind, bytes, PLAIN[kind].bytes), itemsMax));
}

/** The same for a value that is decoded already. */
export function plainFromCbor<K extends PlainKind>(kind: K, cbor: CborValue): UnverifiedPlain<K> {
  return { kind, value: plainOf(kind).decode(cbor, kind) };
}

/** For people: digests in hex, times in ISO 8601, printable bytes as text. */
export function showClaims<K extends SignedKind>(kind: K, claims: Claims<K>): Json {
  return shapeOf(kind).show(claims);
}
export function showPlain<K extends PlainKind>(kind: K, value: Claims<K>): Json {
  return plainOf(kind).show(value);
}
