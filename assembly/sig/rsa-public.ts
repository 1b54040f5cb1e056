/**
 * The RSA public operation, m = s^e mod n (RFC 8017 §5.2.2), for moduli of 2048 to 4096 bits and
 * any valid public exponent. Cost grows with the length of e; the longest, as long as n, stays
 * below a second.
 */
import {
  bitLength,
  bitOf,
  compare,
  fromBigEndian,
  toBigEndian,
} from "../field/limbs";
import { fromMontgomery, LIMBS_MAX, Modulus, pow, prepare, toMontgomery } from "../field/montgomery";

export const MODULUS_BITS_MIN: u32 = 2048;
export const MODULUS_BITS_MAX: u32 = 4096;
/** Bytes of the longest signature, and of the longest encoded message. */
export const RSA_BYTES_MAX: i32 = 512;

const N: usize = memory.data(512, 16);
const E: usize = memory.data(512, 16);
const ONE: usize = memory.data(512, 16);
const SQUARE: usize = memory.data(512, 16);
const VALUE: usize = memory.data(512, 16);
const ROOM: usize = memory.data(32, 16);

let modulusBits: u32 = 0;
let limbs: u32 = 0;

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

/** Reads the key; false unless n is odd, of 2048 to 4096 bits, and e odd with 3 <= e < n. */
function readKey(n: usize, nLength: u32, e: usize, eLength: u32): bool {
  modulusBits = readNumber(N, n, nLength);
  if (modulusBits < MODULUS_BITS_MIN || modulusBits > MODULUS_BITS_MAX) return false;
  if (bitOf(N, 0) == 0) return false;
  if (readNumber(E, e, eLength) < 2 || bitOf(E, 0) == 0) return false;
  limbs = (modulusBits + 31) >> 5;
  return compare(E, N, LIMBS_MAX) < 0;
}

/** Whether a key may be used at all: n odd, of 2048 to 4096 bits, and e odd with 3 <= e < n. */
export function rsaKeyOk(n: usize, nLength: u32, e: usize, eLength: u32): bool {
  return readKey(n, nLength, e, eLength);
}

/**
 * Opens a signature: reads the key and writes s^e mod n to `out`, big-endian, as many bytes as n
 * has. Returns the bits of n; 0 when the key may not be used, or the signature has not n's length
 * or is not below n.
 */
export function openRsa(
  n: usize,
  nLength: u32,
  e: usize,
  eLength: u32,
  signature: usize,
  signatureLength: u32,
  out: usize,
): u32 {
  if (!readKey(n, nLength, e, eLength)) return 0;
  const bytes = (modulusBits + 7) >> 3;
  if (signatureLength != bytes) return 0;
  fromBigEndian(VALUE, LIMBS_MAX, signature, bytes);
  if (compare(VALUE, N, LIMBS_MAX) >= 0) return 0;
  const modulus = changetype<Modulus>(ROOM);
  prepare(modulus, limbs, N, ONE, SQUARE);
  toMontgomery(modulus, VALUE, VALUE);
  pow(modulus, VALUE, VALUE, E, limbs);
  fromMontgomery(modulus, VALUE, VALUE);
  toBigEndian(out, bytes, VALUE, limbs);
  return modulusBits;
}
