/**
 * s^e mod n in vectors (field/long-lanes), for any key that sig/rsa-public lets pass: the same
 * number as its plain form, several times sooner. Only the SIMD build uses this file.
 */
import {
  addLimbs,
  bitLength,
  bitOf,
  clear,
  compare,
  copy,
  limb,
  setLimb,
  subLimbs,
} from "../field/limbs";
import {
  LONG_BYTES_MAX,
  longLimbs,
  mulLong,
  readLong,
  squareLong,
  useModulus,
  writeLong,
} from "../field/long-lanes";

/** Bytes of what `prepareLanes` makes of the longest modulus. */
export const LANES_KEY_BYTES: i32 = 3 * 640;
const NEAR: usize = 640;
const SQUARE: usize = 1280;
/** What of n the constants `near` and `far` take off at a time: powers of two below a word. */
const NEAR_BITS: u32 = 26;
const FAR_STEPS: u32 = 5;

const NUMBER: usize = memory.data(132 * 4, 16);
const BASE: usize = memory.data(LONG_BYTES_MAX, 16);
const PLAIN: usize = memory.data(LONG_BYTES_MAX, 16);
const POWER: usize = memory.data(LONG_BYTES_MAX, 16);

/** Writes the constants of n, of so many bits in 128 limbs, to `out`: far, near and R² mod n. */
export function prepareLanes(out: usize, n: usize, bits: u32): void {
  const words = (bits + 31) >> 5;
  const limbs = longLimbs(bits);
  clear(NUMBER, words);
  setLimb(NUMBER, 0, 1);
  divide(NUMBER, n, words);
  writeLong(out + NEAR, limbs, NUMBER, words);
  for (let i: u32 = 1; i < FAR_STEPS; ++i) divide(NUMBER, n, words);
  writeLong(out, limbs, NUMBER, words);
  useModulus(limbs, out, out + NEAR);
  // R·2^k for a small k, by doubling the highest power of two below n; squared, R·2^(2k).
  const r: u32 = limbs * 13;
  const squarings = min<u32>(ctz<u32>(r), 6);
  clear(NUMBER, words);
  setLimb(NUMBER, (bits - 1) >> 5, <u32>1 << ((bits - 1) & 31));
  for (let i = bits - 1; i < r + (r >> squarings); ++i) {
    const carry = addLimbs(NUMBER, NUMBER, NUMBER, words);
    if (carry != 0 || compare(NUMBER, n, words) >= 0) subLimbs(NUMBER, NUMBER, n, words);
  }
  writeLong(out + SQUARE, limbs, NUMBER, words);
  for (let i: u32 = 0; i < squarings; ++i) squareLong(out + SQUARE, out + SQUARE);
}

/** a = a/2^26 mod n: the multiple of n is added that makes it divisible. */
function divide(a: usize, n: usize, words: u32): void {
  let inverse: u32 = limb(n, 0);
  for (let i = 0; i < 4; ++i) inverse *= 2 - limb(n, 0) * inverse;
  const mask = (<u32>1 << NEAR_BITS) - 1;
  const q = <u64>((0 - limb(a, 0) * inverse) & mask);
  let sum: u64 = <u64>limb(a, 0) + q * <u64>limb(n, 0);
  for (let i: u32 = 1; i < words; ++i) {
    const low = <u32>sum;
    sum = (sum >> 32) + <u64>limb(a, i) + q * <u64>limb(n, i);
    setLimb(a, i - 1, (low >> NEAR_BITS) | (<u32>sum << (32 - NEAR_BITS)));
  }
  setLimb(a, words - 1, <u32>(sum >> NEAR_BITS));
}

/**
 * value = value^e mod n for a value below n, by the constants that `prepareLanes` made of n; all of
 * 128 limbs.
 */
export function powerInLanes(value: usize, n: usize, bits: u32, e: usize, constants: usize): void {
  const words = (bits + 31) >> 5;
  const limbs = longLimbs(bits);
  useModulus(limbs, constants, constants + NEAR);
  writeLong(PLAIN, limbs, value, words);
  mulLong(BASE, PLAIN, constants + SQUARE);
  memory.copy(POWER, BASE, LONG_BYTES_MAX);
  for (let i = bitLength(e, 128) - 1; i-- > 1;) {
    squareLong(POWER, POWER);
    if (bitOf(e, i) == 1) mulLong(POWER, POWER, BASE);
  }
  // e is odd, and the last factor in plain form makes the result plain.
  squareLong(POWER, POWER);
  mulLong(POWER, POWER, PLAIN);
  const length = readLong(NUMBER, POWER);
  settle(n, bits, length);
  copy(value, NUMBER, words);
}

/** NUMBER = NUMBER mod n; it lies within 2^26·n, in two's complement of `length` words. */
function settle(n: usize, bits: u32, length: u32): void {
  const words = (bits + 31) >> 5;
  // From the 32 topmost bits of n and as many more of the number: wrong by two at most.
  const quotient = topOf(NUMBER, bits - 32) / <i64>(<u32>topOf(n, bits - 32));
  let sum: i64 = 0;
  for (let i: u32 = 0; i < length; ++i) {
    sum += <i64>limb(NUMBER, i);
    if (i < words) sum -= quotient * <i64>limb(n, i);
    setLimb(NUMBER, i, <u32>sum);
    sum >>= 32;
  }
  let over = <i32>limb(NUMBER, words);
  while (over < 0) over += <i32>addLimbs(NUMBER, NUMBER, n, words);
  while (over > 0 || compare(NUMBER, n, words) >= 0) {
    over -= <i32>subLimbs(NUMBER, NUMBER, n, words);
  }
}

/** The number divided by 2^bits, which must fit 64 bits. */
function topOf(a: usize, bits: u32): i64 {
  const word = bits >> 5;
  const shift = bits & 31;
  const low = <u64>limb(a, word) | (<u64>limb(a, word + 1) << 32);
  if (shift == 0) return <i64>low;
  return <i64>((low >> shift) | (<u64>limb(a, word + 2) << (64 - shift)));
}
