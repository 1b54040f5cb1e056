/**
 * 1/x modulo m by Lehmer's variant of Euclid's algorithm (D. H. Lehmer 1938; Knuth, TAOCP vol. 2,
 * §4.5.2, algorithm L): the quotients come from the topmost 64 bits of both numbers, and some twenty
 * of them are applied to the whole numbers at once. In variable time.
 *
 * Throughout, A and B are natural numbers with gcd(A, B) = gcd(m, x), and
 *
 *   A = -CA·x,  B = CB·x  (mod m)   or, after an odd number of exchanges, A = CA·x, B = -CB·x
 *   A·CB + B·CA = m
 *
 * with natural CA and CB, which are therefore at most m. Subtracting any multiple of B from A, and
 * exchanging the two, keeps all of it: a quotient that is too small is never wrong, only slower.
 */
import { invariant } from "../abi";
import { bitLength, clear, compare, copy, limb, setLimb, subLimbs } from "./limbs";

/** A modulus has 384 bits at most; limbs of zeros follow, for what reads 64 bits from anywhere. */
const LIMBS_MAX: u32 = 12;
const BYTES: usize = 64;
/** A factor of a whole number stays below this, so that sums of two products fit 64 bits. */
const FACTOR_END: u64 = 1 << 31;

let A: usize = memory.data(64, 16);
let B: usize = memory.data(64, 16);
let CA: usize = memory.data(64, 16);
let CB: usize = memory.data(64, 16);
/** Limbs of A and B, and of CA and CB, that may not be zero. */
let length: u32 = 0;
let cofactorLength: u32 = 0;
/** Whether A and B were exchanged an odd number of times. */
let exchanged: bool = false;

// (A', B') = ±(u0·A - v0·B, v1·B - u1·A)
let u0: u64 = 0;
let v0: u64 = 0;
let u1: u64 = 0;
let v1: u64 = 0;
let odd: bool = false;

/** 64 bits of a number, from bit `from` up. */
function bitsFrom(a: usize, from: u32): u64 {
  const at = a + (<usize>(from >> 5) << 2);
  const shift = <u64>(from & 31);
  const low = load<u64>(at);
  return shift == 0 ? low : (low >> shift) | (<u64>load<u32>(at, 8) << (64 - shift));
}

/**
 * Euclid's algorithm on a = A/2^k and b = B/2^k, rounded down. Sets the matrix; false where not even
 * one step is certain.
 *
 * A rest of it is r = ±(u·a - v·b) with u <= v. In its place A and B have ±(u·A - v·B)/2^k, which
 * differs from r by less than v, because what was rounded away is below 1. So r >= v proves that the
 * rest of A and B is not negative. Where k = 0 (`exact`), nothing was rounded away.
 */
function quotients(a: u64, b: u64, exact: bool): bool {
  let p0: u64 = 1;
  let q0: u64 = 0;
  let p1: u64 = 0;
  let q1: u64 = 1;
  let isOdd = false;
  while (b != 0) {
    const quotient = a / b;
    if (quotient >= FACTOR_END) break;
    const rest = a - quotient * b;
    const q = q0 + quotient * q1;
    if (q >= FACTOR_END || (!exact && rest < q)) break;
    const p = p0 + quotient * p1;
    a = b;
    b = rest;
    p0 = p1;
    p1 = p;
    q0 = q1;
    q1 = q;
    isOdd = !isOdd;
  }
  u0 = p0;
  v0 = q0;
  u1 = p1;
  v1 = q1;
  odd = isOdd;
  return q0 != 0;
}

/** Applies the matrix to A and B. */
function reduce(): void {
  const uA = odd ? -(<i64>u0) : <i64>u0;
  const vA = odd ? <i64>v0 : -(<i64>v0);
  const uB = odd ? <i64>u1 : -(<i64>u1);
  const vB = odd ? -(<i64>v1) : <i64>v1;
  let a: i64 = 0;
  let b: i64 = 0;
  const end = <usize>length << 2;
  for (let i: usize = 0; i < end; i += 4) {
    const x = <i64>load<u32>(A + i);
    const y = <i64>load<u32>(B + i);
    a += uA * x + vA * y;
    b += uB * x + vB * y;
    store<u32>(A + i, <u32>a);
    store<u32>(B + i, <u32>b);
    a >>= 32;
    b >>= 32;
  }
  invariant(a == 0 && b == 0);
}

/** Applies the matrix to CA and CB. */
function extend(limbs: u32): void {
  let a: u64 = 0;
  let b: u64 = 0;
  const end = <usize>cofactorLength << 2;
  for (let i: usize = 0; i < end; i += 4) {
    const x = <u64>load<u32>(CA + i);
    const y = <u64>load<u32>(CB + i);
    a += u0 * x + v0 * y;
    b += u1 * x + v1 * y;
    store<u32>(CA + i, <u32>a);
    store<u32>(CB + i, <u32>b);
    a >>= 32;
    b >>= 32;
  }
  if ((a | b) == 0) return;
  invariant(cofactorLength < limbs);
  store<u32>(CA + end, <u32>a);
  store<u32>(CB + end, <u32>b);
  ++cofactorLength;
}

/** The topmost 64 bits of a number of `bits` bits, the first of which is 1. */
function topmost(a: usize, bits: u32): u64 {
  return bits >= 64 ? bitsFrom(a, bits - 64) : load<u64>(a) << (64 - bits);
}

/**
 * A -= q·2^(32·words)·B, where the factor of B is at most A/B and at least an eighth of it: for
 * numbers of which one is too small, or too nearly divides the other, for quotients().
 */
function subtractMultiple(bitsA: u32, bitsB: u32, limbs: u32): void {
  const distance = bitsA - bitsB;
  let words: u32 = 0;
  let q: u64 = 1;
  if (distance > 0) {
    words = (distance - 1) >> 5;
    const quotient = topmost(A, bitsA) / ((topmost(B, bitsB) >> 32) + 1);
    q = min<u64>(quotient >> (32 + 32 * words - distance), 0xffffffff);
  }
  let borrow: u64 = 0;
  for (let i: u32 = words; i < length; ++i) {
    const product = q * limb(B, i - words) + borrow;
    const from = <u64>limb(A, i);
    const low = product & 0xffffffff;
    setLimb(A, i, <u32>(from - low));
    borrow = (product >> 32) + <u64>(from < low);
  }
  invariant(borrow == 0);
  let carry: u64 = 0;
  for (let i: u32 = words; i < limbs; ++i) {
    carry += q * limb(CB, i - words) + limb(CA, i);
    setLimb(CA, i, <u32>carry);
    carry >>= 32;
  }
  invariant(carry == 0);
  cofactorLength = limbs;
}

function exchange(): void {
  const a = A;
  A = B;
  B = a;
  const c = CA;
  CA = CB;
  CB = c;
  exchanged = !exchanged;
}

/**
 * out = 1/a mod m for plain numbers of `limbs` 32-bit limbs, a below m; 0 where a has no inverse, as
 * 0 has none. Most rounds take 31 bits from A and from B, one a limb; whoever crafts a and m for it
 * makes it three.
 */
export function invertPlain(out: usize, a: usize, m: usize, limbs: u32): void {
  invariant(limbs <= LIMBS_MAX);
  memory.fill(A, 0, BYTES);
  memory.fill(B, 0, BYTES);
  memory.fill(CA, 0, BYTES);
  memory.fill(CB, 0, BYTES);
  copy(A, m, limbs);
  copy(B, a, limbs);
  setLimb(CB, 0, 1);
  length = limbs;
  cofactorLength = 1;
  exchanged = false;
  for (let round: u32 = 0; ; ++round) {
    while (length > 1 && (limb(A, length - 1) | limb(B, length - 1)) == 0) --length;
    if (compare(A, B, length) < 0) exchange();
    const bitsB = bitLength(B, length);
    if (bitsB == 0) break;
    assert(round < 8 * limbs);
    const bitsA = bitLength(A, length);
    const from = bitsA > 64 ? bitsA - 64 : 0;
    if (quotients(bitsFrom(A, from), bitsFrom(B, from), from == 0)) {
      reduce();
      extend(limbs);
      if (odd) exchanged = !exchanged;
    } else {
      subtractMultiple(bitsA, bitsB, limbs);
    }
  }
  const isOne = length == 1 && limb(A, 0) == 1;
  if (!isOne) clear(out, limbs);
  else if (exchanged) copy(out, CA, limbs);
  else subLimbs(out, m, CA, limbs);
}
