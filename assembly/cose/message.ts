/**
 * COSE_Sign and COSE_Sign1 (RFC 9052 §4) in the one form of docs/wire-format.md, and their
 * verification.
 *
 * `typ` keeps the kinds of objects apart, so that a signed grant is never taken for a signed
 * policy. `crit` and anything else in a header is refused by form: a protected header holds exactly
 * its members, the unprotected one is empty.
 */
import { Span, isAscii, lenOf, ptrOf, span, startsWithAscii } from "../abi";
import {
  Fault,
  READER_BYTES,
  Reader,
  writeArray,
  writeAscii,
  writeBytes,
  writeBytesHead,
} from "../codec/cbor";
import { limits } from "../generated";
import { HASH_CONTEXT_BYTES, HashId, begin, finish, update } from "../hash/hash";
import { Key, Keyset } from "./key";
import { Kind, ask, hasVerified, keepDigest, keepVerified, readDigest } from "./kept";

const TAG_SIGN: u64 = 98;
const TAG_SIGN1: u64 = 18;
const HEADER_ALG: i64 = 1;
const HEADER_KID: i64 = 4;
const HEADER_TYP: i64 = 16;
/** Longest protected header: {alg, kid, typ}. */
const HEADER_BYTES: u32 = 96;

/** Why a signed object is not accepted; the caller names its own family's code. */
export const enum Flaw {
  NONE,
  ALGORITHM,
  UNKNOWN_KEY,
  SIGNATURE,
}

@unmanaged
class Signer {
  header: Span;
  kid: Span;
  signature: Span;
  alg: i64;
}
const SIGNER_BYTES: u32 = 32;
const SIGNERS = memory.data(32 * 16, 8);

function signer(i: u32): Signer {
  return changetype<Signer>(SIGNERS + i * SIGNER_BYTES);
}

/**
 * The object that was opened last: its parts stay valid until the next `openSign` or `openSign1`.
 */
export let body: Span = 0;
export let payload: Span = 0;
let whole: Span = 0;
let signers: u32 = 0;
let single: bool = false;

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));
const HEADER = changetype<Reader>(memory.data(READER_BYTES, 8));

/** "portcullis-<kind>+cwt", RFC 9596. */
function isTyp(text: Span, kind: string): bool {
  const prefix: u32 = 11;
  const suffix: u32 = 4;
  if (lenOf(text) != prefix + <u32>kind.length + suffix) return false;
  if (!startsWithAscii(text, "portcullis-")) return false;
  if (!isAscii(span(ptrOf(text) + prefix, <u32>kind.length), kind)) return false;
  return isAscii(span(ptrOf(text) + lenOf(text) - suffix, suffix), "+cwt");
}

/** Reads alg and kid of a protected header into a signer. */
function readSigner(header: Span, kind: string, to: Signer): void {
  const r = HEADER.open(header);
  r.map(kind.length > 0 ? 3 : 2, kind.length > 0 ? 3 : 2);
  r.require(r.int() == HEADER_ALG);
  to.alg = r.int();
  r.require(r.int() == HEADER_KID);
  const kid = r.digest();
  if (kind.length > 0) {
    r.require(r.int() == HEADER_TYP);
    r.require(isTyp(r.ident(), kind));
  }
  if (r.close() != Fault.NONE) MAIN.fail(Fault.MALFORMED);
  to.header = header;
  to.kid = kid;
}

/** Opens a COSE_Sign of this kind. */
export function openSign(bytes: Span, kind: string, payloadMax: u32, signersMax: u32): Fault {
  single = false;
  whole = bytes;
  const r = MAIN.open(bytes);
  r.tag(TAG_SIGN);
  r.array(4, 4);
  body = r.bytes(1, HEADER_BYTES);
  const h = HEADER.open(body);
  h.map(1, 1);
  h.require(h.int() == HEADER_TYP);
  h.require(isTyp(h.ident(), kind));
  r.require(h.close() == Fault.NONE);
  r.map(0, 0);
  payload = r.bytes(1, payloadMax);
  signers = r.array(1, signersMax);
  let last: Span = 0;
  for (let i: u32 = 0; i < signers; i++) {
    const s = signer(i);
    r.array(3, 3);
    readSigner(r.bytes(1, HEADER_BYTES), "", s);
    r.map(0, 0);
    s.signature = r.bytes(1, limits.signatureBytes);
    r.ascending(last, s.kid);
    last = s.kid;
  }
  return r.close();
}

/** Opens a COSE_Sign1 of this kind. */
export function openSign1(bytes: Span, kind: string, payloadMax: u32): Fault {
  single = true;
  whole = bytes;
  signers = 1;
  const r = MAIN.open(bytes);
  r.tag(TAG_SIGN1);
  r.array(4, 4);
  body = r.bytes(1, HEADER_BYTES);
  readSigner(body, kind, signer(0));
  r.map(0, 0);
  payload = r.bytes(1, payloadMax);
  signer(0).signature = r.bytes(1, limits.signatureBytes);
  return r.close();
}

/** Sig_structure (RFC 9052 §4.4): the largest payload is a policy's. */
const MESSAGE = memory.data(4194304 + 1024, 16);

function message(s: Signer): Span {
  let at = writeArray(MESSAGE, single ? 4 : 5);
  at = writeAscii(at, single ? "Signature1" : "Signature");
  at = writeBytes(at, body);
  if (!single) at = writeBytes(at, s.header);
  at = writeBytes(at, span(MESSAGE, 0));
  at = writeBytes(at, payload);
  return span(MESSAGE, <u32>(at - MESSAGE));
}

/**
 * Verifies one signer of the opened object. That it verified before is remembered of the object as
 * a whole: its kid, which fixes the key, stands in it.
 */
function verifyOne(place: u32, key: Key): Flaw {
  const s = signer(place);
  if (key.alg != s.alg) return Flaw.ALGORITHM;
  ask(Kind.MESSAGE, whole);
  if (hasVerified(place)) return Flaw.NONE;
  if (!key.verify(message(s), s.signature)) return Flaw.SIGNATURE;
  keepVerified(place);
  return Flaw.NONE;
}

/** For plan.ts: the signatures of the opened object. */
export function signatureCount(): u32 {
  return signers;
}

export function openedObject(): Span {
  return whole;
}

export function kidAt(place: u32): Span {
  return signer(place).kid;
}

export function signatureAt(place: u32): Span {
  return signer(place).signature;
}

/** What the signature at this place is over; 0 where nothing is to be computed: see `verifyOne`. */
export function unverifiedAt(place: u32, key: Key): Span {
  const s = signer(place);
  if (key.alg != s.alg) return 0;
  ask(Kind.MESSAGE, whole);
  return hasVerified(place) ? 0 : message(s);
}

/**
 * How many distinct keys of the set signed, as bits by place in the set, after a `verifyAll` that
 * found no flaw.
 */
export function signedBy(keys: Keyset): u32 {
  let bits: u32 = 0;
  for (let i: u32 = 0; i < signers; i++) {
    const at = keys.find(signer(i).kid);
    if (at >= 0) bits |= (<u32>1) << at;
  }
  return bits;
}

/**
 * Verifies every signer of the opened object: each must be listed in one of the sets (`other` may
 * be the same set), by its key's own algorithm. Only then may the caller count. A lone bad
 * signature among good ones is a flaw: "at least one verifies" let attackers hide junk (sigstore,
 * several).
 */
export function verifyAll(keys: Keyset, other: Keyset): Flaw {
  for (let i: u32 = 0; i < signers; i++) {
    const s = signer(i);
    let set = keys;
    let at = keys.find(s.kid);
    if (at < 0) {
      set = other;
      at = other.find(s.kid);
    }
    if (at < 0) return Flaw.UNKNOWN_KEY;
    const flaw = verifyOne(i, set.key(at));
    if (flaw != Flaw.NONE) return flaw;
  }
  return Flaw.NONE;
}

/** Verifies the opened COSE_Sign1 under this key alone. */
export function verifyBy(key: Key): Flaw {
  if (!key.hasKid(signer(0).kid)) return Flaw.UNKNOWN_KEY;
  return verifyOne(0, key);
}

/** Place in the set of the opened COSE_Sign1's signer, -1 if not listed. */
export function signerIn(keys: Keyset): i32 {
  return keys.find(signer(0).kid);
}

const CONTEXT = memory.data(HASH_CONTEXT_BYTES, 16);
const HEAD = memory.data(64, 8);

/**
 * SHA-256(["<label>", body protected, payload]): never over signature bytes, so that a malleable
 * twin is the same. The label is that of the object's typ, which stands in it.
 */
export function labelledDigest(label: string, to: usize): void {
  ask(Kind.MESSAGE, whole);
  if (readDigest(to)) return;
  begin(HashId.SHA256, CONTEXT);
  let at = writeAscii(writeArray(HEAD, 3), label);
  update(CONTEXT, HEAD, <u32>(at - HEAD));
  updateBytes(body);
  updateBytes(payload);
  finish(CONTEXT, to);
  keepDigest(to);
}

function updateBytes(bytes: Span): void {
  const at = writeBytesHead(HEAD, lenOf(bytes));
  update(CONTEXT, HEAD, <u32>(at - HEAD));
  update(CONTEXT, ptrOf(bytes), lenOf(bytes));
}
