/**
 * COSE_Key in the one form that docs/wire-format.md allows: just the members that RFC 9679 hashes,
 * in canonical order, so that the thumbprint is SHA-256 of the bytes as they stand, and the
 * algorithm follows from key type and curve.
 */
import { Span, lenOf, ptrOf, span } from "../abi";
import { Fault, Reader } from "../codec/cbor";
import { HashId, hash } from "../hash/hash";
import { Curve } from "../curve/curve";
import { verifyEcdsa } from "../sig/ecdsa";
import { verifyEd25519 } from "../sig/ed25519";
import { noteVerified } from "../sig/known-keys";
import { KeyKind } from "../sig/prepared-keys";
import { hashKept } from "./kept";

/** IANA COSE algorithms, fully specified (RFC 9864); RFC 9053 for the members of a key. */
const ED25519: i32 = -19;
const ESP256: i32 = -9;
const ESP384: i32 = -51;
const KTY_OKP: u64 = 1;
const KTY_EC2: u64 = 2;
const CRV_P256: u64 = 1;
const CRV_P384: u64 = 2;
const CRV_ED25519: u64 = 6;

export const KID_BYTES: u32 = 32;
/** Bytes of one key record: see `Key`. */
export const KEY_BYTES: u32 = 8 + 32 + 96;

const DIGEST = memory.data(64, 8);

/** A public key as read: its algorithm, then its kid, then its coordinates side by side. */
@unmanaged
export class Key {
  alg: i32;
  width: u32;

  // @ts-ignore: decorator
  @inline
  get kid(): usize {
    return changetype<usize>(this) + 8;
  }

  // @ts-ignore: decorator
  @inline
  get coordinates(): usize {
    return changetype<usize>(this) + 40;
  }

  hasKid(kid: Span): bool {
    return lenOf(kid) == KID_BYTES && memory.compare(this.kid, ptrOf(kid), KID_BYTES) == 0;
  }

  /** Whether the signature over the message verifies under this key and its own algorithm. */
  verify(message: Span, signature: Span): bool {
    const bytes = ptrOf(message);
    const length = lenOf(message);
    const sig = ptrOf(signature);
    const sigLength = lenOf(signature);
    let valid: bool;
    if (this.alg == ED25519) {
      valid = verifyEd25519(this.coordinates, bytes, length, sig, sigLength);
    } else {
      hash(this.hashId, bytes, length, DIGEST);
      const p256 = this.alg == ESP256;
      const curve = p256 ? Curve.P256 : Curve.P384;
      valid = verifyEcdsa(curve, this.coordinates, DIGEST, p256 ? 32 : 48, sig, sigLength);
    }
    if (valid) noteVerified(this.kind, this.coordinates);
    return valid;
  }

  /** The hash of its algorithm; Ed25519 has its own. */
  get hashId(): u32 {
    return this.alg == ESP256 ? HashId.SHA256 : HashId.SHA384;
  }

  get kind(): u32 {
    if (this.alg == ED25519) return KeyKind.ED25519;
    return this.alg == ESP256 ? KeyKind.P256 : KeyKind.P384;
  }
}

/** Reads a key into the record, and computes its kid. */
export function readKey(reader: Reader, key: Key): void {
  const start = reader.at;
  const members = reader.map(3, 4);
  reader.require(reader.key(0) == 1);
  const kty = reader.uint();
  reader.require(reader.key(2) == -1);
  const crv = reader.uint();
  reader.require(reader.int() == -2);
  key.alg = 0;
  if (kty == KTY_OKP && crv == CRV_ED25519 && members == 3) key.alg = ED25519;
  if (kty == KTY_EC2 && crv == CRV_P256 && members == 4) key.alg = ESP256;
  if (kty == KTY_EC2 && crv == CRV_P384 && members == 4) key.alg = ESP384;
  reader.require(key.alg != 0);
  key.width = key.alg == ESP384 ? 48 : 32;
  const x = reader.exactly(key.width);
  let y: Span = 0;
  if (members == 4) {
    reader.require(reader.int() == -3);
    y = reader.exactly(key.width);
  }
  if (reader.fault != Fault.NONE) return;
  memory.copy(key.coordinates, ptrOf(x), lenOf(x));
  memory.copy(key.coordinates + lenOf(x), ptrOf(y), lenOf(y));
  const bytes = reader.since(start);
  hashKept(HashId.SHA256, bytes, key.kid);
}

/** Bytes of one keyset with room for `limits.keys` keys. */
export const KEYSET_BYTES: u32 = 8 + 16 * (8 + 32 + 96);

/** A table of keys with static room for `limits.keys` of them. */
@unmanaged
export class Keyset {
  threshold: u32;
  count: u32;

  key(i: u32): Key {
    return changetype<Key>(changetype<usize>(this) + 8 + i * KEY_BYTES);
  }

  /** Index of the key with this kid, -1 if none. */
  find(kid: Span): i32 {
    for (let i: u32 = 0; i < this.count; i++) if (this.key(i).hasKid(kid)) return i;
    return -1;
  }

  clear(threshold: u32): this {
    this.threshold = threshold;
    this.count = 0;
    return this;
  }

  /**
   * Reads one more key. Two keys with one thumbprint are refused: one key must never count twice
   * toward a threshold (GHSA-pwqf-9h7j-7mv8 and its kin).
   */
  add(reader: Reader): void {
    const key = this.key(this.count);
    readKey(reader, key);
    if (reader.fault != Fault.NONE) return;
    reader.require(this.find(span(key.kid, KID_BYTES)) < 0);
    this.count++;
  }
}
