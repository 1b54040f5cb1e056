/**
 * COSE_Sign (tag 98) and COSE_Sign1 (tag 18) of RFC 9052, in the one form of docs/wire-format.md:
 * alg, kid and typ in protected headers and nowhere else, unprotected headers empty, no external
 * data, no detached payload, no `crit`.
 *
 * Reading checks form only. Nothing that parseCose() gives is verified.
 */

import { compareBytes } from "../bytes.ts";
import { LIMITS } from "../limits.ts";
import { decode, decodeTagged, encode, encodeTagged, splitTagged } from "./cbor.ts";
import { type CborMap, type CborValue, isMap } from "./cbor-value.ts";
import { WireError } from "./error.ts";
import { algorithmOf, type Signer, thumbprint } from "./keys.ts";
import type { CoseKey } from "./shapes.ts";

export const COSE_SIGN1 = 18;
export const COSE_SIGN = 98;

// Header parameters: RFC 9052 §3.1, RFC 9596 §2.
const ALG = 1;
const KID = 4;
const TYP = 16;
const KID_BYTES = 32;
const EMPTY = new Uint8Array();

export interface UnverifiedSignature {
  /** The signer's protected header as it stands; of a COSE_Sign1, the message's own. */
  readonly header: Uint8Array;
  readonly alg: number;
  readonly kid: Uint8Array;
  readonly signature: Uint8Array;
}

export interface UnverifiedMessage {
  readonly tag: typeof COSE_SIGN | typeof COSE_SIGN1;
  readonly typ: string;
  /** The body's protected header as it stands. */
  readonly body: Uint8Array;
  readonly payload: Uint8Array;
  /** One for a COSE_Sign1; sorted by kid. */
  readonly signatures: readonly UnverifiedSignature[];
}

function refuse(why: string, cause?: unknown): never {
  throw new WireError("wire.cose", why, cause === undefined ? {} : { cause });
}

/**
 * Sig_structure, RFC 9052 §4.4: the bytes that are signed. `header` is the signer's protected
 * header, null in a COSE_Sign1. external_aad is empty.
 */
export function sigStructure(
  body: Uint8Array,
  header: Uint8Array | null,
  payload: Uint8Array,
): Uint8Array {
  return header === null
    ? encode(["Signature1", body, EMPTY, payload])
    : encode(["Signature", body, header, EMPTY, payload]);
}

/** What the holder of one signature's key signed. */
export function signedBytes(
  message: UnverifiedMessage,
  signature: UnverifiedSignature,
): Uint8Array {
  const header = message.tag === COSE_SIGN ? signature.header : null;
  return sigStructure(message.body, header, message.payload);
}

/** Signs as COSE_Sign1. */
export async function sign1(typ: string, payload: Uint8Array, signer: Signer): Promise<Uint8Array> {
  const body = headerOf(signer.key, typ);
  const signature = await signed(signer, sigStructure(body, null, payload));
  return encodeTagged(COSE_SIGN1, [body, new Map(), payload, signature]);
}

/** A plane signs all day by one key, whose header stays the same: by key, then typ. */
const headers = new WeakMap<CoseKey, Map<string, Uint8Array>>();

/** The protected header of a COSE_Sign1. */
function headerOf(key: CoseKey, typ: string): Uint8Array {
  const known = headers.get(key) ?? new Map<string, Uint8Array>();
  headers.set(key, known);
  const header =
    known.get(typ) ??
    encode(
      new Map<number, CborValue>([
        [ALG, algorithmOf(key).alg],
        [KID, thumbprint(key)],
        [TYP, typ],
      ]),
    );
  known.set(typ, header);
  return header;
}

/** Signs as COSE_Sign by one or more keys, none of them twice. */
export async function sign(
  typ: string,
  payload: Uint8Array,
  signers: readonly Signer[],
): Promise<Uint8Array> {
  if (signers.length === 0) refuse("a COSE_Sign needs at least one signer");
  const body = encode(new Map([[TYP, typ]]));
  const signatures = await Promise.all(signers.map((signer) => signOne(body, payload, signer)));
  return assemble({ body, payload, signatures });
}

/** A COSE_Sign that nobody has signed yet. Only `parseUnfinished` reads it: it authorizes nothing. */
export function unsigned(typ: string, payload: Uint8Array): Uint8Array {
  return assemble({ body: encode(new Map([[TYP, typ]])), payload, signatures: [] });
}

/**
 * Adds one key's signature to a COSE_Sign, so that k of n can sign one after another, each at home.
 */
export async function addSignature(bytes: Uint8Array, signer: Signer): Promise<Uint8Array> {
  const message = parseUnfinished(bytes);
  if (message.tag !== COSE_SIGN) refuse("a COSE_Sign1 has exactly one signature");
  const added = await signOne(message.body, message.payload, signer);
  return assemble({ ...message, signatures: [...message.signatures, added] });
}

async function signOne(
  body: Uint8Array,
  payload: Uint8Array,
  signer: Signer,
): Promise<UnverifiedSignature> {
  const { alg } = algorithmOf(signer.key);
  const kid = thumbprint(signer.key);
  const header = encode(
    new Map<number, CborValue>([
      [ALG, alg],
      [KID, kid],
    ]),
  );
  return { header, alg, kid, signature: await signed(signer, sigStructure(body, header, payload)) };
}

async function signed(signer: Signer, message: Uint8Array): Promise<Uint8Array> {
  const signature = await signer.sign(message);
  const wanted = algorithmOf(signer.key).signatureBytes;
  if (signature.length === wanted) return signature;
  return refuse(`a signer gave ${signature.length} bytes instead of ${wanted} (r then s, not DER)`);
}

type Parts = Pick<UnverifiedMessage, "body" | "payload" | "signatures">;

/** A COSE_Sign of these parts, signatures sorted. Throws WireError where one key signs twice. */
export function assemble({ body, payload, signatures }: Parts): Uint8Array {
  const sorted = signatures.toSorted((a, b) => compareBytes(a.kid, b.kid));
  const twice = sorted.some((entry, i) => {
    const next = sorted[i + 1];
    return next !== undefined && compareBytes(entry.kid, next.kid) === 0;
  });
  if (twice) refuse("one key signs twice");
  const rows = sorted.map((entry) => [entry.header, new Map(), entry.signature]);
  return encodeTagged(COSE_SIGN, [body, new Map(), payload, rows]);
}

/** Reads either message. Throws WireError `wire.cbor` or `wire.cose`. */
export function parseCose(bytes: Uint8Array): UnverifiedMessage {
  const message = parseUnfinished(bytes);
  if (message.signatures.length === 0) refuse("a COSE_Sign without a signature");
  return message;
}

/**
 * The same for a COSE_Sign whose signatures are being collected, that may have none. For those who
 * collect them, and nobody else: success where nothing was verified is an old mistake.
 */
export function parseUnfinished(bytes: Uint8Array): UnverifiedMessage {
  const { tag, value } = decodeTagged(bytes, [COSE_SIGN, COSE_SIGN1]);
  const [bodyBytes, payloadBytes, last] = members(
    value,
    tag === COSE_SIGN ? "COSE_Sign" : "COSE_Sign1",
  );
  const body = bstr(bodyBytes, "the body's protected header");
  const payload = bstr(payloadBytes, "the payload");
  if (tag === COSE_SIGN1) {
    const header = protectedHeader(body, [ALG, KID, TYP]);
    const signature = signatureBytes(last);
    const one = { header: body, ...signerOf(header), signature };
    return { tag, typ: typOf(header), body, payload, signatures: [one] };
  }
  const typ = typOf(protectedHeader(body, [TYP]));
  if (!Array.isArray(last)) return refuse("the signatures are not an array");
  const signatures = (last as readonly CborValue[]).map(parseSignature);
  if (signatures.length > LIMITS.charterSigners)
    refuse("more signatures than any object may carry");
  for (const [i, { kid }] of signatures.entries()) {
    const before = signatures[i - 1];
    if (before !== undefined && compareBytes(before.kid, kid) >= 0) {
      refuse("the signatures are not in order of kid, or one key signs twice");
    }
  }
  return { tag: COSE_SIGN, typ, body, payload, signatures };
}

/**
 * The messages of a file that holds one after another (RFC 8742), as a chain's does. Throws
 * WireError `wire.cbor`.
 */
export function splitCose(bytes: Uint8Array): Uint8Array[] {
  return splitTagged(bytes, [COSE_SIGN, COSE_SIGN1]);
}

/** The three members that matter of [protected, {}, payload or signature, ...]. */
function members(value: CborValue, what: string): readonly [CborValue, CborValue, CborValue] {
  if (!Array.isArray(value) || value.length !== 4) return refuse(`a ${what} has four members`);
  const [header, unprotected, payload, last] = value as readonly CborValue[];
  emptyHeader(unprotected ?? null);
  return [header ?? null, payload ?? null, last ?? null];
}

/**
 * Parameters that no signature covers are for anyone to change (pycose #140, #94; go-cose #80,
 * #217).
 */
function emptyHeader(value: CborValue): void {
  if (!isMap(value) || value.size > 0) refuse("an unprotected header is not the empty map");
}

function parseSignature(row: CborValue): UnverifiedSignature {
  if (!Array.isArray(row) || row.length !== 3) return refuse("a COSE_Signature has three members");
  const [first, unprotected, last] = row as readonly CborValue[];
  emptyHeader(unprotected ?? null);
  const header = bstr(first ?? null, "a signer's protected header");
  const parsed = protectedHeader(header, [ALG, KID]);
  return { header, ...signerOf(parsed), signature: signatureBytes(last ?? null) };
}

function bstr(value: CborValue, what: string): Uint8Array {
  return value instanceof Uint8Array ? value : refuse(`${what} is not a byte string`);
}

function signatureBytes(value: CborValue): Uint8Array {
  const signature = bstr(value, "a signature");
  const fits = signature.length > 0 && signature.length <= LIMITS.signatureBytes;
  return fits ? signature : refuse(`a signature of ${signature.length} bytes`);
}

/**
 * A header with exactly these labels: so `crit`, and whatever else would change the meaning, is
 * refused.
 */
function protectedHeader(bytes: Uint8Array, labels: readonly number[]): CborMap {
  let header: CborValue;
  try {
    header = decode(bytes);
  } catch (cause) {
    return refuse("a protected header is not CBOR of our profile", cause);
  }
  if (!isMap(header)) return refuse("a protected header is not a map");
  const exact = header.size === labels.length && labels.every((label) => header.has(label));
  return exact ? header : refuse(`a protected header must hold exactly ${labels.join(", ")}`);
}

function signerOf(header: CborMap): { readonly alg: number; readonly kid: Uint8Array } {
  const alg = header.get(ALG);
  const kid = header.get(KID);
  // Not matched against our algorithms: what an attacker writes here chooses nothing
  // (CVE-2023-48223 and its kin).
  if (typeof alg !== "number") return refuse("alg is not a number");
  if (!(kid instanceof Uint8Array) || kid.length !== KID_BYTES) {
    return refuse("kid is not a thumbprint of 32 bytes");
  }
  return { alg, kid };
}

function typOf(header: CborMap): string {
  const typ = header.get(TYP);
  return typeof typ === "string" ? typ : refuse("typ is not text");
}
