/**
 * Four numbers modulo the prime of P-384 at once, 30 limbs of 13 bits in fifteen vectors, in
 * Montgomery's form with R = 2^390: all but multiplication, which scripts/kernel-p384.ts writes and
 * explains. Only the SIMD build has this file.
 */
import { addLimbs, clear, compare, isZero as isZeroNumber, limb, setLimb, subLimbs } from "./limbs";
import { add as addModular } from "./montgomery";
import { FIELD, PRIME } from "./p384";
import { multiply, reduce, reduceLess } from "./p384-lanes.generated";
import { invertPlain } from "./lehmer";

/** Bytes of four numbers. */
export const WIDE_BYTES: i32 = 240;
const LIMBS: u32 = 30;

/**
 * 1, and what multiplies into and out of Montgomery's form: R, R^2 and R^3 mod p, in every lane.
 */
export const ONE: usize = memory.data(240, 16);
export const SQUARE: usize = memory.data(240, 16);
const CUBE: usize = memory.data(240, 16);
const PLAIN: usize = memory.data(52, 16);
const TURNED: usize = memory.data(240, 16);
const PRODUCT: usize = memory.data(240, 16);
const OTHERS: usize = memory.data(240, 16);

defineConstants();

function defineConstants(): void {
  clear(PLAIN, 12);
  setLimb(PLAIN, 0, 1);
  for (let power: u32 = 1; power <= 1170; ++power) {
    addModular(FIELD, PLAIN, PLAIN, PLAIN);
    if (power == 390) fill(ONE, PLAIN);
    else if (power == 780) fill(SQUARE, PLAIN);
    else if (power == 1170) fill(CUBE, PLAIN);
  }
}

/** out = a·b/R. */
// @ts-ignore: decorator
@inline
export function mul(out: usize, a: usize, b: usize): void {
  multiply(a, b);
  reduce(out);
}

/** out = a·b/R - c. */
// @ts-ignore: decorator
@inline
export function mulSub(out: usize, a: usize, b: usize, c: usize): void {
  multiply(a, b);
  reduceLess(out, c);
}

/** out = a; memory.copy would be a call out of the module (measured). */
export function copyWide(out: usize, a: usize): void {
  for (let i: usize = 0; i < 240; i += 48) {
    v128.store(out + i, v128.load(a + i));
    v128.store(out + i, v128.load(a + i, 16), 16);
    v128.store(out + i, v128.load(a + i, 32), 32);
  }
}

export function sub(out: usize, a: usize, b: usize): void {
  for (let i: usize = 0; i < 240; i += 80) {
    v128.store(out + i, i16x8.sub(v128.load(a + i), v128.load(b + i)));
    v128.store(out + i, i16x8.sub(v128.load(a + i, 16), v128.load(b + i, 16)), 16);
    v128.store(out + i, i16x8.sub(v128.load(a + i, 32), v128.load(b + i, 32)), 32);
    v128.store(out + i, i16x8.sub(v128.load(a + i, 48), v128.load(b + i, 48)), 48);
    v128.store(out + i, i16x8.sub(v128.load(a + i, 64), v128.load(b + i, 64)), 64);
  }
}

export function add(out: usize, a: usize, b: usize): void {
  for (let i: usize = 0; i < 240; i += 80) {
    v128.store(out + i, i16x8.add(v128.load(a + i), v128.load(b + i)));
    v128.store(out + i, i16x8.add(v128.load(a + i, 16), v128.load(b + i, 16)), 16);
    v128.store(out + i, i16x8.add(v128.load(a + i, 32), v128.load(b + i, 32)), 32);
    v128.store(out + i, i16x8.add(v128.load(a + i, 48), v128.load(b + i, 48)), 48);
    v128.store(out + i, i16x8.add(v128.load(a + i, 64), v128.load(b + i, 64)), 64);
  }
}

/** out = chosen in the lanes of the four bits of `lanes`, else its old value. */
export function choose(out: usize, chosen: usize, lanes: u32): void {
  const bits = v128.and(i32x4.splat(lanes), i32x4(1, 2, 4, 8));
  const mask = i32x4.ne(bits, i32x4.splat(0));
  for (let i: usize = 0; i < 240; i += 16) {
    v128.store(out + i, v128.bitselect(v128.load(chosen + i), v128.load(out + i), mask));
  }
}

/** out = `bytes` of vectors with their lanes turned by two: 2, 3, 0, 1. */
export function turnTwo(out: usize, a: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    const v = v128.load(a + i);
    v128.store(out + i, v128.shuffle<u32>(v, v, 2, 3, 0, 1));
  }
}

/** out = `bytes` of vectors with their lanes turned by one: 1, 2, 3, 0. */
export function turnOne(out: usize, a: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) {
    const v = v128.load(a + i);
    v128.store(out + i, v128.shuffle<u32>(v, v, 1, 2, 3, 0));
  }
}

/**
 * Writes a plain number of 12 limbs as 30 balanced limbs, `step` bytes from one pair of limbs to
 * the next.
 */
export function writeLimbs(out: usize, a: usize, step: usize): void {
  let held: i64 = 0;
  let bits: u32 = 0;
  let next: u32 = 0;
  for (let k: usize = 0; k < <usize>LIMBS; ++k) {
    if (bits < 13 && next < 12) {
      held += <i64>limb(a, next++) << bits;
      bits += 32;
    }
    const carry = k < <usize>(LIMBS - 1) ? (held + 4096) >> 13 : 0;
    store<i16>(out + (k >> 1) * step + ((k & 1) << 1), <i16>(held - (carry << 13)));
    held = carry;
    bits = bits < 13 ? 0 : bits - 13;
  }
}

/** Writes a plain number into one lane. */
export function setLane(out: usize, lane: u32, a: usize): void {
  writeLimbs(out + ((<usize>lane) << 2), a, 16);
}

function fill(out: usize, a: usize): void {
  for (let lane: u32 = 0; lane < 4; ++lane) setLane(out, lane, a);
}

/** Whether one lane, a few p from zero at most, is a multiple of p. */
export function isZero(a: usize, lane: u32): bool {
  toPlain(a, lane);
  return isZeroNumber(PLAIN, 12);
}

/**
 * out = 1/a in every lane, by one inversion of the product of all four; false, without a result,
 * when one of them is zero.
 */
export function invertLanes(out: usize, a: usize): bool {
  turnTwo(TURNED, a, 240);
  mul(PRODUCT, a, TURNED);
  turnOne(OTHERS, PRODUCT, 240);
  mul(PRODUCT, PRODUCT, OTHERS);
  mul(OTHERS, OTHERS, TURNED);
  toPlain(PRODUCT, 0);
  if (isZeroNumber(PLAIN, 12)) return false;
  invertPlain(PLAIN, PLAIN, PRIME, 12);
  fill(TURNED, PLAIN);
  mul(TURNED, TURNED, CUBE);
  mul(out, OTHERS, TURNED);
  return true;
}

/** PLAIN = one lane, a few p from zero at most, in [0, p); in Montgomery's form if it was. */
function toPlain(a: usize, lane: u32): void {
  a += (<usize>lane) << 2;
  let held: i64 = 0;
  let bits: u32 = 0;
  let next: u32 = 0;
  for (let k: u32 = 0; k < LIMBS; ++k) {
    held += <i64>load<i16>(a + <usize>((k >> 1) << 4) + <usize>((k & 1) << 1)) << bits;
    bits += 13;
    if (bits >= 32) {
      setLimb(PLAIN, next++, <u32>held);
      held >>= 32;
      bits -= 32;
    }
  }
  let top = <i32>held;
  while (top < 0) top += <i32>addLimbs(PLAIN, PLAIN, PRIME, 12);
  while (top > 0 || compare(PLAIN, PRIME, 12) >= 0) top -= <i32>subLimbs(PLAIN, PLAIN, PRIME, 12);
}

/** The field as curve/tree wants it: the operations above, as methods. */
@unmanaged
@final
export class P384Lanes {
  /** Bytes of four numbers. */
  @inline get bytes(): usize {
    return 240;
  }

  @inline get one(): usize {
    return ONE;
  }

  @inline copy(out: usize, a: usize): void {
    copyWide(out, a);
  }

  @inline add(out: usize, a: usize, b: usize): void {
    add(out, a, b);
  }

  @inline sub(out: usize, a: usize, b: usize): void {
    sub(out, a, b);
  }

  @inline mul(out: usize, a: usize, b: usize): void {
    mul(out, a, b);
  }

  /** A kernel with the difference in it is no faster: the code of one product fills the cache. */
  @inline mulDifference(out: usize, a: usize, b: usize, c: usize): void {
    sub(OTHERS, b, c);
    mul(out, OTHERS, a);
  }

  @inline mulDifferenceSub(out: usize, a: usize, b: usize, c: usize, d: usize): void {
    sub(OTHERS, b, c);
    mulSub(out, OTHERS, a, d);
  }

  @inline sqrSub(out: usize, a: usize, c: usize): void {
    mulSub(out, a, a, c);
  }

  @inline choose(out: usize, chosen: usize, lanes: u32): void {
    choose(out, chosen, lanes);
  }

  @inline isZero(a: usize, lane: u32): bool {
    return isZero(a, lane);
  }

  @inline invert(out: usize, a: usize): bool {
    return invertLanes(out, a);
  }
}
