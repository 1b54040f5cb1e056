/**
 * Multiplication modulo one long odd number n, spread over the four lanes. Only the SIMD build has
 * this file.
 *
 * A number is L limbs of 13 bits, L a multiple of 40. Lane l has the quarter from limb l·Q on, Q =
 * L/4, two limbs in each 32-bit lane (as in scripts/kernel-lanes.ts), so that Q/2 vectors hold one
 * number. Ten limbs of one factor, in all lanes, times the other give ten columns and a quarter
 * more in each lane: column c of lane l counts 2^(13·(l·Q + c)).
 *
 * Reduction is Montgomery's in another dress: q being the lowest ten limbs of a number and `far` =
 * 2^-130 mod n, the number times 2^-130 is what lies above q, and q·far. So nothing is computed to
 * find a quotient. A result would be 130 bits longer than n; `near` = 2^-26 does the last ten limbs
 * two at a time, which leaves 26. Over all, R = 2^(13·L).
 *
 * Bounds. Limbs are within 4,096 and 33 (`carry` twice over columns below 2^31), the constants'
 * within 4,096. A column of a lane sums at most Q products of two numbers and Q of the reduction,
 * for Q up to 60 below 2^31; longer numbers carry in between. Results are within 2^25.1·n, and n is
 * at least 27 bits shorter than 13·L: so the product of two, reduced, is again within that, and the
 * topmost limb within its bounds.
 */
import { invariant } from "../abi";
import { limb, setLimb } from "./limbs";
import { addRows } from "./rows.generated";

/** Limbs of the longest number, for n of 4096 bits. */
export const LONG_LIMBS_MAX: i32 = 320;
/** Bytes of the longest number. */
export const LONG_BYTES_MAX: i32 = 640;
/** The longest quarter whose columns need no carry between product and reduction. */
const QUARTER_SAFE: u32 = 60;

// A quarter of nothing in front of the columns, so that every column has one a quarter before it.
const BEFORE: usize = memory.data((80 + 320 + 80 + 10) * 16, 16);
const COLUMNS: usize = BEFORE + 80 * 16;
const TWISTED: usize = memory.data(81 * 16, 16);
const RUN: usize = memory.data(81 * 16, 16);
const FAR: usize = memory.data(81 * 16, 16);
const NEAR: usize = memory.data(81 * 16, 16);
const DIGITS: usize = memory.data(5 * 16, 16);
const HALF: usize = memory.data<i32>([4096, 4096, 4096, 4096]);
const LOW: usize = memory.data<i32>([0xffff, 0xffff, 0xffff, 0xffff]);
/** Every lane but the topmost. */
const LOWER: usize = memory.data<i32>([-1, -1, -1, 0]);

/** Limbs of a quarter, and bytes of as many vectors. */
let quarter: u32 = 0;
let quarterBytes: usize = 0;

/** Limbs for an n of so many bits. */
export function longLimbs(bits: u32): u32 {
  return ((bits + 27 + 519) / 520) * 40;
}

/** Takes the constants of a modulus, each a number of `limbs` limbs. */
export function useModulus(limbs: u32, far: usize, near: usize): void {
  invariant(limbs <= <u32>LONG_LIMBS_MAX && limbs % 40 == 0);
  quarter = limbs >> 2;
  quarterBytes = <usize>quarter << 4;
  twist(FAR, far);
  twist(NEAR, near);
}

/** out = a·b/R; out may be an operand. */
export function mulLong(out: usize, a: usize, b: usize): void {
  twist(TWISTED, b);
  clearColumns();
  for (let lane: u32 = 0; lane < 4; ++lane) {
    for (let i: u32 = 0; i < quarter; i += 10) {
      addRows(columnOf(lane * quarter + i), rowsOf(a, lane, i), TWISTED, quarter / 10);
    }
  }
  reduce(out);
}

/**
 * out = a²/R; out may be a. Of two products of the same limbs at different places of their quarters
 * only the one is formed whose row comes first, of limbs doubled.
 */
export function squareLong(out: usize, a: usize): void {
  twist(TWISTED, a);
  for (let i: usize = 0; i <= quarterBytes; i += 16) {
    const v = v128.load(TWISTED + i);
    v128.store(RUN + i, i16x8.add(v, v));
  }
  clearColumns();
  const low = v128.load(LOW);
  for (let i: u32 = 0; i < quarter; i += 10) {
    const at = <usize>i << 4;
    const next = at + 160;
    // The run begins without the limb before it, and what is beyond its first ten is doubled.
    v128.store(RUN + at, v128.and(v128.load(TWISTED + at), low));
    for (let j = at + 16; j < next; j += 16) v128.store(RUN + j, v128.load(TWISTED + j));
    const edge = v128.load(TWISTED + next);
    v128.store(RUN + next, i16x8.add(edge, v128.and(edge, low)));
    for (let lane: u32 = 0; lane < 4; ++lane) {
      addRows(columnOf(lane * quarter + 2 * i), rowsOf(a, lane, i), RUN + at, (quarter - i) / 10);
    }
  }
  reduce(out);
}

// @ts-ignore: decorator
@inline
function columnOf(index: u32): usize {
  return COLUMNS + (<usize>index << 4);
}

/** Ten limbs of a lane, from limb i of its quarter on. */
// @ts-ignore: decorator
@inline
function rowsOf(a: usize, lane: u32, i: u32): usize {
  return a + (<usize>i << 3) + (<usize>lane << 2);
}

function clearColumns(): void {
  const zero = i32x4.splat(0);
  const end = columnOf(5 * quarter + 10);
  for (let at = COLUMNS; at < end; at += 32) {
    v128.store(at, zero);
    v128.store(at, zero, 16);
  }
}

/** Neighbours paired the other way round, as scripts/kernel-lanes.ts wants one factor. */
function twist(out: usize, a: usize): void {
  let previous = i32x4.splat(0);
  for (let i: usize = 0; i < quarterBytes; i += 32) {
    const pair = v128.load(a + (i >> 1));
    v128.store(out + i, blend(pair, previous));
    v128.store(out + i, v128.shuffle<u16>(pair, pair, 1, 0, 3, 2, 5, 4, 7, 6), 16);
    previous = pair;
  }
  v128.store(out + quarterBytes, blend(i32x4.splat(0), previous));
}

/** Low halves of one vector, high halves of the other. */
// @ts-ignore: decorator
@inline
function blend(low: v128, high: v128): v128 {
  return v128.shuffle<u16>(low, high, 0, 9, 2, 11, 4, 13, 6, 15);
}

/** What each lane has a quarter further down is the lane's below; nothing enters the topmost. */
// @ts-ignore: decorator
@inline
function down(v: v128): v128 {
  return v128.shuffle<u32>(v, i32x4.splat(0), 1, 2, 3, 4);
}

// @ts-ignore: decorator
@inline
function up(v: v128): v128 {
  return v128.shuffle<u32>(v, i32x4.splat(0), 4, 0, 1, 2);
}

/** out = the columns divided by R. */
function reduce(out: usize): void {
  const limbs: u32 = quarter << 2;
  if (quarter > QUARTER_SAFE) carryColumns();
  const end = columnOf(limbs);
  for (let at = COLUMNS; at < end - 160; at += 160) {
    takeDigits(at);
    addRows(at + 160, DIGITS, FAR, quarter / 10);
  }
  takeDigits(end - 160);
  followNear(end);
  addRows(end - 128, DIGITS, NEAR, quarter / 10);
  // Products with the last limb of a quarter reach one column too far, which is the next lane's.
  v128.store(end, i32x4.add(v128.load(end), up(v128.load(end + quarterBytes))));
  merge(end);
  carry(end);
  carry(end);
  for (let i: usize = 0; i < quarterBytes; i += 32) {
    const low = v128.load(end + i);
    const high = i32x4.shl(v128.load(end + i, 16), 16);
    v128.store(out + (i >> 1), blend(low, high));
  }
}

/** Brings all columns within 2^18, for the reduction to have room. */
function carryColumns(): void {
  const half = v128.load(HALF);
  let before = i32x4.splat(0);
  const end = columnOf(5 * quarter);
  for (let at = COLUMNS; at < end; at += 16) {
    const v = v128.load(at);
    const next = i32x4.shr_s(i32x4.add(v, half), 13);
    v128.store(at, i32x4.add(i32x4.sub(v, i32x4.shl(next, 13)), before));
    before = next;
  }
  v128.store(end, before);
}

/**
 * Carries through the next ten columns, after adding to each what a quarter before it was left in
 * the lane above. Those of lane 0 are the quotient's digits.
 */
function takeDigits(at: usize): void {
  const half = v128.load(HALF);
  let first = i32x4.splat(0);
  let second = i32x4.splat(0);
  for (let i: usize = 0; i < 80; i += 16) {
    let v = i32x4.add(v128.load(at), down(v128.load(at - quarterBytes)));
    let c = i32x4.shr_s(i32x4.add(v, half), 13);
    v = i32x4.add(i32x4.sub(v, i32x4.shl(c, 13)), first);
    first = c;
    c = i32x4.shr_s(i32x4.add(v, half), 13);
    const low = i32x4.add(i32x4.sub(v, i32x4.shl(c, 13)), second);
    second = c;
    v128.store(at, low);
    v = i32x4.add(v128.load(at, 16), down(v128.load(at - quarterBytes, 16)));
    c = i32x4.shr_s(i32x4.add(v, half), 13);
    v = i32x4.add(i32x4.sub(v, i32x4.shl(c, 13)), first);
    first = c;
    c = i32x4.shr_s(i32x4.add(v, half), 13);
    const high = i32x4.add(i32x4.sub(v, i32x4.shl(c, 13)), second);
    second = c;
    v128.store(at, high, 16);
    v128.store(DIGITS + i, blend(low, i32x4.shl(high, 16)));
    at += 32;
  }
  v128.store(at, i32x4.add(v128.load(at), i32x4.add(first, second)));
}

/**
 * The last ten digits, a pair after the other: what each pair's multiple of `near` adds to the
 * digits above it, which alone are wanted before all is added. `end` is the column behind them.
 */
function followNear(end: usize): void {
  let carry: i32 = 0;
  for (let i: usize = 0; i < 80; i += 16) {
    let low = <i32>load<i16>(DIGITS + i) + carry;
    let high = <i32>load<i16>(DIGITS + i, 2);
    for (let j: usize = 0; j < i; j += 16) {
      const pair = v128.load32_splat(DIGITS + j);
      const at = NEAR + 2 * (i - j);
      low += i32x4.extract_lane(i32x4.dot_i16x8_s(pair, v128.load(at - 32)), 0);
      high += i32x4.extract_lane(i32x4.dot_i16x8_s(pair, v128.load(at - 16)), 0);
    }
    carry = (low + 4096) >> 13;
    low -= carry << 13;
    high += carry;
    carry = (high + 4096) >> 13;
    high -= carry << 13;
    store<u32>(DIGITS + i, (low & 0xffff) | (high << 16));
  }
  store<i32>(end, load<i32>(end) + carry);
}

/** Adds to a quarter of columns what the quarter before it left in the lanes above. */
function merge(at: usize): void {
  const end = at + quarterBytes;
  for (; at < end; at += 16) {
    v128.store(at, i32x4.add(v128.load(at), down(v128.load(at - quarterBytes))));
  }
}

/** Each column's carry goes to the next one, all at the same time; the topmost keeps its own. */
function carry(at: usize): void {
  const half = v128.load(HALF);
  const last = at + quarterBytes - 16;
  const top = v128.load(last);
  const over = v128.and(i32x4.shr_s(i32x4.add(top, half), 13), v128.load(LOWER));
  let before = up(over);
  for (; at < last; at += 16) {
    const v = v128.load(at);
    const next = i32x4.shr_s(i32x4.add(v, half), 13);
    v128.store(at, i32x4.add(i32x4.sub(v, i32x4.shl(next, 13)), before));
    before = next;
  }
  v128.store(last, i32x4.add(i32x4.sub(top, i32x4.shl(over, 13)), before));
}

/** Address of limb k of a number of the modulus at hand. */
// @ts-ignore: decorator
@inline
function limbOf(a: usize, lane: u32, i: u32): usize {
  return a + (<usize>(i >> 1) << 4) + (<usize>lane << 2) + (<usize>(i & 1) << 1);
}

/** Writes a number of 32-bit limbs as `limbs` balanced ones, a multiple of 40. */
export function writeLong(out: usize, limbs: u32, a: usize, aLimbs: u32): void {
  const width = limbs >> 2;
  let held: i64 = 0;
  let bits: u32 = 0;
  let next: u32 = 0;
  for (let lane: u32 = 0; lane < 4; ++lane) {
    for (let i: u32 = 0; i < width; ++i) {
      if (bits < 13 && next < aLimbs) {
        held += <i64>limb(a, next++) << bits;
        bits += 32;
      }
      const carry = (held + 4096) >> 13;
      store<i16>(limbOf(out, lane, i), <i16>(held - (carry << 13)));
      held = carry;
      bits = bits < 13 ? 0 : bits - 13;
    }
  }
  assert(held == 0);
}

/** out = a number as 32-bit limbs in two's complement, as many as 13·L bits and a sign want. */
export function readLong(out: usize, a: usize): u32 {
  let held: i64 = 0;
  let bits: u32 = 0;
  let next: u32 = 0;
  for (let lane: u32 = 0; lane < 4; ++lane) {
    for (let i: u32 = 0; i < quarter; ++i) {
      held += <i64>load<i16>(limbOf(a, lane, i)) << bits;
      bits += 13;
      if (bits < 32) continue;
      setLimb(out, next++, <u32>held);
      held >>= 32;
      bits -= 32;
    }
  }
  setLimb(out, next++, <u32>held);
  setLimb(out, next++, <u32>(held >> 32));
  return next;
}
