/**
 * Scalars as sums of table entries, and entries into lanes: what the tables of P-256 and P-384 have
 * in common.
 *
 * For windows of w bits, entry j of window i is (2j + 1)·2^(w·i)·P. An odd scalar is a sum of one
 * entry, or its negative, from every window: each digit is odd, so none is zero (M. Joye and M.
 * Tunstall, Exponent recoding, Africacrypt 2009); for an even scalar k, n - k is odd and all signs
 * turn.
 */
import { invariant } from "../abi";
import { bitOf, copy, isZero, limb, setLimb, subLimbs } from "../field/limbs";

const HALF: usize = memory.data(48, 16);

/** Entries of one window. */
// @ts-ignore: decorator
@inline
export function entriesOf(window: u32): u32 {
  return <u32>1 << (window - 1);
}

/** Windows of a scalar of so many limbs. */
// @ts-ignore: decorator
@inline
export function windowsOf(limbs: u32, window: u32): u32 {
  return (32 * limbs + window - 1) / window;
}

/**
 * Writes the entries that add up to k·P, one u32 for each window: its address, and 1 more where it
 * is to be negated. 0 < k < n, the order. Entries have `bytes`, and those of a window begin `apart`
 * bytes behind those of the one before.
 */
export function chooseDigits(
  out: usize,
  table: usize,
  window: u32,
  bytes: u32,
  apart: u32,
  k: usize,
  n: usize,
  limbs: u32,
): void {
  invariant(!isZero(k, limbs));
  const windows = windowsOf(limbs, window);
  const flip: u32 = 1 - bitOf(k, 0);
  if (flip == 1) subLimbs(HALF, n, k, limbs);
  else copy(HALF, k, limbs);
  // With h = (k - 1)/2, whose digits base 2^w are b: k is the sum of (2b + 1 - 2^w)·2^(w·i), and 2b
  // + 1 on top.
  const top = limbs - 1;
  for (let i: u32 = 0; i < top; ++i) {
    setLimb(HALF, i, (limb(HALF, i) >> 1) | (limb(HALF, i + 1) << 31));
  }
  setLimb(HALF, top, limb(HALF, top) >> 1);
  const entries = entriesOf(window);
  for (let i: u32 = 0; i < windows; ++i) {
    const at = i * window;
    const word = at >> 5;
    let bits: u64 = <u64>limb(HALF, word);
    if (word < top) bits |= <u64>limb(HALF, word + 1) << 32;
    const b = <u32>(bits >> (at & 31)) & (2 * entries - 1);
    let j: u32;
    let negative: u32 = 0;
    if (i == windows - 1) j = b;
    else if (b >= entries) j = b - entries;
    else {
      j = entries - 1 - b;
      negative = 1;
    }
    invariant(j < entries);
    store<u32>(out + ((<usize>i) << 2), (<u32>table + i * apart + j * bytes) | (negative ^ flip));
  }
}

/**
 * Gathers four entries of `bytes`, one a lane, each as `chooseDigits` writes it; gives a mask of the
 * lanes whose entry is to be negated. Behind the numbers as much is overwritten as entries have room
 * to spare.
 */
// @ts-ignore: decorator
@inline
export function gatherLanes(out: usize, bytes: usize, a: u32, b: u32, c: u32, d: u32): v128 {
  const pa = <usize>(a & ~1);
  const pb = <usize>(b & ~1);
  const pc = <usize>(c & ~1);
  const pd = <usize>(d & ~1);
  for (let i: usize = 0; i < bytes; i += 16) {
    const va = v128.load(pa + i);
    const vb = v128.load(pb + i);
    const vc = v128.load(pc + i);
    const vd = v128.load(pd + i);
    const lowAB = v128.shuffle<u32>(va, vb, 0, 4, 1, 5);
    const lowCD = v128.shuffle<u32>(vc, vd, 0, 4, 1, 5);
    const highAB = v128.shuffle<u32>(va, vb, 2, 6, 3, 7);
    const highCD = v128.shuffle<u32>(vc, vd, 2, 6, 3, 7);
    const to = out + (i << 2);
    v128.store(to, v128.shuffle<u64>(lowAB, lowCD, 0, 2));
    v128.store(to, v128.shuffle<u64>(lowAB, lowCD, 1, 3), 16);
    v128.store(to, v128.shuffle<u64>(highAB, highCD, 0, 2), 32);
    v128.store(to, v128.shuffle<u64>(highAB, highCD, 1, 3), 48);
  }
  return i32x4.neg(v128.and(i32x4(a, b, c, d), i32x4.splat(1)));
}

/** Takes the negative of the marked lanes of a number of so many bytes. */
// @ts-ignore: decorator
@inline
export function negateLanes(number: usize, bytes: usize, marked: v128): void {
  for (let i = number; i < number + bytes; i += 16) {
    v128.store(i, i16x8.sub(v128.xor(v128.load(i), marked), marked));
  }
}
