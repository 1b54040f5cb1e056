/**
 * Four numbers modulo the prime of P-256 at once, one in each lane of ten vectors: all but multiplication, which
 * scripts/kernel-lanes.ts writes and explains. Only the SIMD build has this file.
 *
 * Numbers are held loosely, as any of x + k·p with a small k, positive or negative, in Montgomery's form with
 * R = 2^260; `toLimbs` makes them plain again.
 */
import { invariant } from "../abi";
import { clear, compare, limb, setLimb } from "./limbs";
import { add as addModular } from "./montgomery";
import { FIELD, PRIME } from "./p256";
import { mul } from "./p256-lanes.generated";
import { invertOdd } from "./safegcd";

export { mul, mulSub } from "./p256-lanes.generated";

/** Bytes of four numbers. */
export const LANES_BYTES: i32 = 160;
const LIMBS: u32 = 20;

/** 1, and what multiplies into and out of Montgomery's form: R, R^2 and R^3 mod p, in every lane. */
export const ONE: usize = memory.data(160, 16);
export const SQUARE: usize = memory.data(160, 16);
const CUBE: usize = memory.data(160, 16);

const PLAIN: usize = memory.data(40, 16);
const TURNED: usize = memory.data(160, 16);
const PRODUCT: usize = memory.data(160, 16);
const OTHERS: usize = memory.data(160, 16);

defineConstants();

function defineConstants(): void {
  clear(PLAIN, 8);
  setLimb(PLAIN, 0, 1);
  for (let power: u32 = 1; power <= 780; ++power) {
    addModular(FIELD, PLAIN, PLAIN, PLAIN);
    if (power == 260) fill(ONE, PLAIN);
    else if (power == 520) fill(SQUARE, PLAIN);
    else if (power == 780) fill(CUBE, PLAIN);
  }
}

/** out = a - b. */
export function sub(out: usize, a: usize, b: usize): void {
  for (let i: usize = 0; i < 160; i += 32) {
    v128.store(out + i, i16x8.sub(v128.load(a + i), v128.load(b + i)));
    v128.store(out + i, i16x8.sub(v128.load(a + i, 16), v128.load(b + i, 16)), 16);
  }
}

/** out = a + b. */
export function add(out: usize, a: usize, b: usize): void {
  for (let i: usize = 0; i < 160; i += 32) {
    v128.store(out + i, i16x8.add(v128.load(a + i), v128.load(b + i)));
    v128.store(out + i, i16x8.add(v128.load(a + i, 16), v128.load(b + i, 16)), 16);
  }
}

/** out = chosen in the lanes of the four bits of `lanes`, else its old value. */
export function choose(out: usize, chosen: usize, lanes: u32): void {
  const bits = v128.and(i32x4.splat(lanes), i32x4(1, 2, 4, 8));
  const mask = i32x4.ne(bits, i32x4.splat(0));
  for (let i: usize = 0; i < 160; i += 16) {
    v128.store(out + i, v128.bitselect(v128.load(chosen + i), v128.load(out + i), mask));
  }
}

/** out = a with its lanes turned by two: 2, 3, 0, 1. */
export function turnTwo(out: usize, a: usize): void {
  for (let i: usize = 0; i < 160; i += 16) {
    const v = v128.load(a + i);
    v128.store(out + i, v128.shuffle<u32>(v, v, 2, 3, 0, 1));
  }
}

/** out = a with its lanes turned by one: 1, 2, 3, 0. */
export function turnOne(out: usize, a: usize): void {
  for (let i: usize = 0; i < 160; i += 16) {
    const v = v128.load(a + i);
    v128.store(out + i, v128.shuffle<u32>(v, v, 1, 2, 3, 0));
  }
}

/** Writes a plain number below 2^260, of 8 limbs, into one lane; not into Montgomery's form. */
export function setLane(out: usize, lane: u32, a: usize): void {
  let held: u64 = 0;
  let bits: u32 = 0;
  let next: u32 = 0;
  out += (<usize>lane) << 2;
  for (let k: u32 = 0; k < LIMBS; ++k) {
    if (bits < 13 && next < 8) {
      held |= <u64>limb(a, next++) << bits;
      bits += 32;
    }
    store<i16>(out + <usize>((k >> 1) << 4) + <usize>((k & 1) << 1), <i16>(held & 0x1fff));
    held >>= 13;
    bits = bits < 13 ? 0 : bits - 13;
  }
}

/** Writes a plain number into every lane. */
function fill(out: usize, a: usize): void {
  for (let lane: u32 = 0; lane < 4; ++lane) setLane(out, lane, a);
}

/** out = one lane as 8 limbs in [0, p), still in Montgomery's form if it was. */
export function toLimbs(out: usize, a: usize, lane: u32): void {
  a += (<usize>lane) << 2;
  // 9 limbs of 32 bits in two's complement: no lane reaches 2^270.
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
  setLimb(PLAIN, next, <u32>held);
  invariant(next == 8);
  // The multiple of p to take off is near the part above 2^256; what is then left is off by one p at most.
  const multiple = <i32>(held);
  subMultiple(multiple);
  while (<i32>limb(PLAIN, 8) < 0) subMultiple(-1);
  while (limb(PLAIN, 8) != 0 || compare(PLAIN, PRIME, 8) >= 0) subMultiple(1);
  memory.copy(out, PLAIN, 32);
}

/** PLAIN -= multiple·p, over 9 limbs in two's complement. */
function subMultiple(multiple: i32): void {
  let carry: i64 = 0;
  for (let i: u32 = 0; i < 8; ++i) {
    carry += <i64>limb(PLAIN, i) - <i64>multiple * <i64>limb(PRIME, i);
    setLimb(PLAIN, i, <u32>carry);
    carry >>= 32;
  }
  setLimb(PLAIN, 8, limb(PLAIN, 8) + <u32>carry);
}

/** Whether one lane is a multiple of p. */
export function isZero(a: usize, lane: u32): bool {
  toLimbs(PLAIN, a, lane);
  let any: u32 = 0;
  for (let i: u32 = 0; i < 8; ++i) any |= limb(PLAIN, i);
  return any == 0;
}

/**
 * out = 1/a in every lane, by one inversion of the product of all four; false, without a result, when one of them is
 * zero.
 */
export function invertLanes(out: usize, a: usize): bool {
  turnTwo(TURNED, a);
  mul(PRODUCT, a, TURNED);
  turnOne(OTHERS, PRODUCT);
  mul(PRODUCT, PRODUCT, OTHERS);
  mul(OTHERS, OTHERS, TURNED);
  toLimbs(PLAIN, PRODUCT, 0);
  let any: u32 = 0;
  for (let i: u32 = 0; i < 8; ++i) any |= limb(PLAIN, i);
  if (any == 0) return false;
  invertOdd(PLAIN, PLAIN, PRIME, 8);
  fill(TURNED, PLAIN);
  mul(TURNED, TURNED, CUBE);
  mul(out, OTHERS, TURNED);
  return true;
}
