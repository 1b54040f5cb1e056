/**
 * Hashing and single signatures for hosts: what `hash` and `verifySignature` of portcullis/core
 * call.
 *
 * The host writes each part (key, message, signature) somewhere into the core's input region and
 * passes pointers and lengths; nothing is kept between calls but keys that were enrolled, and the
 * parts are only read. Shapes are the host's duty: a hash or curve that does not exist traps. Every
 * value inside the parts is judged here: a wrong key or signature gives 0.
 *
 * Hashes are numbered as in `HashId`, curves as in `Curve`.
 *
 * `enrollKey` gives a key a slot (0xffffffff: it is no key, or there is no slot left; kinds as in
 * `KeyKind`), `verifyChecks` checks many signatures by such keys at once; see sig/prepared-keys and
 * sig/batch.
 */
export { verifyChecks } from "./sig/batch";
export { isOnCurve } from "./sig/ecdsa";
export { isEd25519Key } from "./sig/ed25519";
export { keyBytes, limitKeyBytes } from "./sig/key-rooms";
export { enrollKey, forgetKey } from "./sig/prepared-keys";
export { rsaKeyOk } from "./sig/rsa";
import { digestBytes, hash as hashAll } from "./hash/hash";
import { verifyEcdsa } from "./sig/ecdsa";
import { verifyEd25519 } from "./sig/ed25519";
import { rsaRecord, verifyRsapss, verifyRsassa } from "./sig/rsa";

const DIGEST: usize = memory.data(64, 16);

/** Writes the digest of `length` bytes at `source` to `out`, and returns its length. */
export function hash(id: u32, source: usize, length: u32, out: usize): u32 {
  hashAll(id, source, length, out);
  return digestBytes(id);
}

/** ECDSA: `key` is x||y, `signature` r||s. */
export function verifyEcdsaMessage(
  curve: u32,
  hashId: u32,
  key: usize,
  message: usize,
  messageLength: u32,
  signature: usize,
  signatureLength: u32,
): bool {
  hashAll(hashId, message, messageLength, DIGEST);
  return verifyEcdsa(curve, key, DIGEST, digestBytes(hashId), signature, signatureLength);
}

/** Ed25519: `key` has 32 bytes. */
export function verifyEd25519Message(
  key: usize,
  message: usize,
  messageLength: u32,
  signature: usize,
  signatureLength: u32,
): bool {
  return verifyEd25519(key, message, messageLength, signature, signatureLength);
}

/** RSASSA-PKCS1-v1_5: n and e are big-endian, leading zeros ignored. */
export function verifyRsassaMessage(
  hashId: u32,
  n: usize,
  nLength: u32,
  e: usize,
  eLength: u32,
  message: usize,
  messageLength: u32,
  signature: usize,
  signatureLength: u32,
): bool {
  hashAll(hashId, message, messageLength, DIGEST);
  const record = rsaRecord(n, nLength, e, eLength);
  return record != 0 && verifyRsassa(record, hashId, DIGEST, signature, signatureLength);
}

/**
 * RSASSA-PSS with MGF1 over the same hash; `saltLength` is exact, or -1 for the one that the
 * encoding has.
 */
export function verifyRsapssMessage(
  hashId: u32,
  saltLength: i32,
  n: usize,
  nLength: u32,
  e: usize,
  eLength: u32,
  message: usize,
  messageLength: u32,
  signature: usize,
  signatureLength: u32,
): bool {
  hashAll(hashId, message, messageLength, DIGEST);
  const record = rsaRecord(n, nLength, e, eLength);
  if (record == 0) return false;
  return verifyRsapss(record, hashId, DIGEST, signature, signatureLength, saltLength);
}
