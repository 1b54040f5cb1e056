/**
 * RSA public keys as they are worked with: a record of n and e in limbs, and what the vectors want
 * of n (sig/rsa-lanes). Enrolled keys keep theirs in sig/prepared-keys.
 */
import { bitLength, bitOf, compare, fromBigEndian } from "../field/limbs";
import { LIMBS_MAX } from "../field/montgomery";
import { LANES_KEY_BYTES, prepareLanes } from "./rsa-lanes";

export const MODULUS_BITS_MIN: u32 = 2048;
export const MODULUS_BITS_MAX: u32 = 4096;
/** Bytes of the longest signature, and of the longest encoded message. */
export const RSA_BYTES_MAX: i32 = 512;

/** n and e, 128 limbs each; one behind the other, they are what tells a key from any other. */
export const RSA_VALUE_BYTES: i32 = 1024;
export const RSA_RECORD_BYTES: i32 = 1024 + 16 + LANES_KEY_BYTES;
const E: usize = 512;
const BITS: usize = 1024;
const CONSTANTS: usize = 1040;

/** Address of e, and of the constants for n, in a record; n is at its beginning. */
export function exponentOf(record: usize): usize {
  return record + E;
}

export function constantsOf(record: usize): usize {
  return record + CONSTANTS;
}

/** Bits of n. */
export function bitsOf(record: usize): u32 {
  return load<u32>(record, BITS);
}

/**
 * Reads a big-endian number into `out`, leading zeros ignored; its bits, or 0 when it is zero or
 * above 4096 bits.
 */
function readNumber(out: usize, bytes: usize, length: u32): u32 {
  while (length > 0 && load<u8>(bytes) == 0) {
    ++bytes;
    --length;
  }
  if (length > <u32>RSA_BYTES_MAX) return 0;
  fromBigEndian(out, LIMBS_MAX, bytes, length);
  return bitLength(out, LIMBS_MAX);
}

/**
 * Reads a key's values into a record; false unless n is odd, of 2048 to 4096 bits, and e odd with 3
 * <= e < n.
 */
export function readRsaKey(record: usize, n: usize, nLength: u32, e: usize, eLength: u32): bool {
  const bits = readNumber(record, n, nLength);
  if (bits < MODULUS_BITS_MIN || bits > MODULUS_BITS_MAX) return false;
  if (bitOf(record, 0) == 0) return false;
  store<u32>(record, bits, BITS);
  if (readNumber(record + E, e, eLength) < 2 || bitOf(record + E, 0) == 0) return false;
  return compare(record + E, record, LIMBS_MAX) < 0;
}

/** Computes the constants of a record whose values were read. */
export function completeRecord(record: usize): void {
  if (SIMD != 0) prepareLanes(record + CONSTANTS, record, bitsOf(record));
}
