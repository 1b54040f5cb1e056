/**
 * Four numbers at once, one in each lane of ten vectors (scripts/kernel-lanes.ts explains them):
 * what does not depend on the prime. Only the SIMD build has this file.
 */
import { addLimbs, compare, limb, setLimb, subLimbs } from "./limbs";

/** Bytes of four numbers. */
export const LANES_BYTES: i32 = 160;
const LIMBS: u32 = 20;

/** Where `touchEntries` leaves what it read, so that it is not optimized away. */
const TOUCHED: usize = memory.data(4);
/** 9 limbs of 32 bits in two's complement: no lane reaches 2^270. */
const PLAIN: usize = memory.data(36, 16);

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

/** out = a; memory.copy would be a call out of the module (measured). */
export function copyLanes(out: usize, a: usize): void {
  for (let i: usize = 0; i < 160; i += 32) {
    v128.store(out + i, v128.load(a + i));
    v128.store(out + i, v128.load(a + i, 16), 16);
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
export function fill(out: usize, a: usize): void {
  for (let lane: u32 = 0; lane < 4; ++lane) setLane(out, lane, a);
}

/**
 * out = one lane as 8 limbs in [0, p), for the prime of 8 limbs at `prime`; a lane is within a few
 * p of zero.
 */
export function toLimbs(out: usize, a: usize, lane: u32, prime: usize): void {
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
  while (top < 0) top += <i32>addLimbs(PLAIN, PLAIN, prime, 8);
  while (top > 0 || compare(PLAIN, prime, 8) >= 0) top -= <i32>subLimbs(PLAIN, PLAIN, prime, 8);
  memory.copy(out, PLAIN, 32);
}

/**
 * Reads a word of both cache lines of table entries, all at once, so that those who gather them need
 * not wait for one after the other (an eighth of the time, measured). Tables begin with a line, and
 * entries have 80 or 128 bytes: none meets a third line. The lowest bit of an entry's address is its
 * sign.
 */
export function touchEntries(entries: usize, count: u32): void {
  let all: u32 = 0;
  for (let i: u32 = 0; i < count; ++i) {
    const entry = <usize>(load<u32>(entries + ((<usize>i) << 2)) & ~1);
    all ^= load<u32>(entry) ^ load<u32>(entry, 64);
  }
  store<u32>(TOUCHED, all);
}
