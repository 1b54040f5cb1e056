/**
 * Ed25519 verification, RFC 8032 §5.1.7, narrowed to one strict predicate, so that a signature
 * accepted here is accepted everywhere and has no second form:
 * 1. The signature has 64 bytes, and S < L.
 * 2. A is canonically encoded and not of small order (such a "key" accepts signatures that nobody
 *   made).
 * 3. R is canonically encoded and not of small order.
 * 4. S·B = R + k·A without multiplication by the cofactor, k = SHA-512(R || A || message) mod L.
 */
import {
  decodePoint,
  doubleMultiply,
  encodePoint,
  isSmallOrder,
  negate,
  ORDER,
  POINT_BYTES,
} from "../curve/edwards25519";
import { compare, copy } from "../field/limbs";
import { begin, finish, HashId, HASH_CONTEXT_BYTES, update } from "../hash/hash";
import { edItemOf, verifyEdItems } from "./ed25519-lanes";
import { reduceDigest } from "./ed25519-scalar";
import { findKey, KeyKind, NO_SLOT, tableOf, useWindow } from "./prepared-keys";

const LIMBS: u32 = 8;
const CONTEXT: usize = memory.data(HASH_CONTEXT_BYTES, 16);
const DIGEST: usize = memory.data(64, 16);
const KEY: usize = memory.data(POINT_BYTES, 16);
const SUM: usize = memory.data(POINT_BYTES, 16);
const ENCODING: usize = memory.data(32, 16);
const S: usize = memory.data(32, 16);
const K: usize = memory.data(32, 16);

/** Whether 32 bytes are the one encoding of a point that is not of small order. */
export function isEd25519Key(publicKey: usize): bool {
  return decodePoint(KEY, publicKey) && !isSmallOrder(KEY);
}

/**
 * As verifyPlain; by the table of a key that was enrolled, if it has one (the same answer, sooner).
 */
export function verifyEd25519(
  publicKey: usize,
  message: usize,
  messageLength: u32,
  signature: usize,
  signatureLength: u32,
): bool {
  if (SIMD != 0 && signatureLength == 64) {
    const slot = findKey(KeyKind.ED25519, publicKey);
    const window = slot == NO_SLOT ? 0 : useWindow(slot);
    if (window != 0) {
      const item = edItemOf(0);
      item.table = tableOf(slot);
      item.key = publicKey;
      item.message = message;
      item.messageBytes = messageLength;
      item.signature = signature;
      verifyEdItems(1, window);
      return item.valid;
    }
  }
  return verifyPlain(publicKey, message, messageLength, signature, signatureLength);
}

/** Whether the signature holds over the message; see the head of this file. */
export function verifyPlain(
  publicKey: usize,
  message: usize,
  messageLength: u32,
  signature: usize,
  signatureLength: u32,
): bool {
  if (signatureLength != 64) return false;
  copy(S, signature + 32, LIMBS);
  if (compare(S, ORDER.m, LIMBS) >= 0) return false;
  if (!isEd25519Key(publicKey)) return false;
  begin(HashId.SHA512, CONTEXT);
  update(CONTEXT, signature, 32);
  update(CONTEXT, publicKey, 32);
  update(CONTEXT, message, messageLength);
  finish(CONTEXT, DIGEST);
  reduceDigest(K, DIGEST);
  negate(KEY);
  doubleMultiply(SUM, S, K, KEY);
  // An encoding is written in its canonical form, so that any other R differs from it.
  encodePoint(ENCODING, SUM);
  return compare(ENCODING, signature, LIMBS) == 0 && !isSmallOrder(SUM);
}
