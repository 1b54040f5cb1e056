/**
 * The RSA public operation, m = s^e mod n (RFC 8017 §5.2.2), for moduli of 2048 to 4096 bits and
 * any valid public exponent. Cost grows with the length of e; the longest, as long as n, stays
 * below a second.
 */
import { compare, fromBigEndian, toBigEndian } from "../field/limbs";
import { fromMontgomery, LIMBS_MAX, Modulus, pow, prepare, toMontgomery } from "../field/montgomery";
import { findKey, KeyKind, NO_SLOT, recordOf } from "./prepared-keys";
import {
  bitsOf,
  completeRecord,
  constantsOf,
  exponentOf,
  readRsaKey,
  RSA_RECORD_BYTES,
} from "./rsa-key";
import { powerInLanes } from "./rsa-lanes";

const RECORD: usize = memory.data(RSA_RECORD_BYTES, 16);
const ONE: usize = memory.data(512, 16);
const SQUARE: usize = memory.data(512, 16);
const VALUE: usize = memory.data(512, 16);
const ROOM: usize = memory.data(32, 16);

/** Whether a key may be used at all: n odd, of 2048 to 4096 bits, and e odd with 3 <= e < n. */
export function rsaKeyOk(n: usize, nLength: u32, e: usize, eLength: u32): bool {
  return readRsaKey(RECORD, n, nLength, e, eLength);
}

/** The record of a key (sig/rsa-key), or 0 when it may not be used; good until the next call. */
export function rsaRecord(n: usize, nLength: u32, e: usize, eLength: u32): usize {
  if (!readRsaKey(RECORD, n, nLength, e, eLength)) return 0;
  const slot = findKey(KeyKind.RSA, RECORD);
  if (slot != NO_SLOT) return recordOf(slot);
  completeRecord(RECORD);
  return RECORD;
}

/**
 * Opens a signature: writes s^e mod n to `out`, big-endian, as many bytes as n has. Returns the
 * bits of n; 0 when the signature has not n's length or is not below n.
 */
export function openRsa(record: usize, signature: usize, signatureLength: u32, out: usize): u32 {
  const bits = bitsOf(record);
  const bytes = (bits + 7) >> 3;
  if (signatureLength != bytes) return 0;
  fromBigEndian(VALUE, LIMBS_MAX, signature, bytes);
  if (compare(VALUE, record, LIMBS_MAX) >= 0) return 0;
  if (SIMD != 0) powerInLanes(VALUE, record, bits, exponentOf(record), constantsOf(record));
  else power(record, bits);
  toBigEndian(out, bytes, VALUE, LIMBS_MAX);
  return bits;
}

/** VALUE = VALUE^e mod n. */
function power(record: usize, bits: u32): void {
  const limbs = (bits + 31) >> 5;
  const modulus = changetype<Modulus>(ROOM);
  prepare(modulus, limbs, record, ONE, SQUARE);
  toMontgomery(modulus, VALUE, VALUE);
  pow(modulus, VALUE, VALUE, exponentOf(record), limbs);
  fromMontgomery(modulus, VALUE, VALUE);
}
