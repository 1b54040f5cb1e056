/**
 * One multiple of one point of P-256 that has no table, with the lanes inside it: the chain of
 * 2^i·Q, whose doublings take three rounds of four products at once, and then the members of the
 * chain that stand for the scalar's non-adjacent form (D. Hankerson, A. Menezes, S. Vanstone, Guide
 * to elliptic curve cryptography, §3.3.1), made affine together and written as entries like those
 * of a table.
 *
 * A member is X, T = 2·Y, Z and W = Z^4 in the four lanes (x = X/Z^2, y = Y/Z^3). No doubling is
 * exceptional, as the order is an odd prime.
 */
import { invariant } from "../abi";
import { addLimbs, bitOf, clear, copy, setLimb } from "../field/limbs";
import { add as addModular, fromMontgomery } from "../field/montgomery";
import { FIELD } from "../field/p256";
import {
  copyLanes,
  HALF,
  invertLanes,
  LANES_BYTES,
  mul,
  scaledDifference,
  setLane,
  sqr,
  SQUARE,
} from "../field/p256-lanes";
import { ENTRY_BYTES, writeEntries } from "./p256-table";

/** Digits of a scalar below 2^256 in non-adjacent form. */
const DIGITS_MAX: u32 = 257;
/** At most every second one is not zero, and one more after a split; in fours. */
const MEMBERS_MAX: u32 = 132;

const CHAIN: usize = memory.data(258 * 160, 16);
const DIGITS: usize = memory.data(258);
/** Places in the chain of the members that count. */
const MEMBERS: usize = memory.data(132 * 4, 16);
const ENTRIES: usize = memory.data(132 * 80, 16);
/** Members in fours, X, T and Z; and the products of each Z with those before. */
const FOURS: usize = memory.data(33 * 480, 16);
const PRODUCTS: usize = memory.data(33 * 160, 16);

const SCALAR: usize = memory.data(36, 16);
const TRIPLE: usize = memory.data(36, 16);
const COORDINATE: usize = memory.data(32, 16);
const A: usize = memory.data(160, 16);
const B: usize = memory.data(160, 16);
const P: usize = memory.data(160, 16);
const Q: usize = memory.data(160, 16);
const SLOPE: usize = memory.data(160, 16);
const INVERSE: usize = memory.data(160, 16);
const AFFINE: usize = memory.data(320, 16);

// @ts-ignore: decorator
@inline
function memberOf(index: u32): usize {
  return CHAIN + <usize>index * LANES_BYTES;
}

/**
 * Writes entries, as `chooseEntries` does, that add up to k·Q; returns how many: an even number. k
 * is 8 limbs, 0 < k < 2^256; Q is projective, as in weierstrass, with Z = 1.
 */
export function chainEntries(out: usize, k: usize, point: usize): u32 {
  const top = findDigits(k);
  start(point);
  for (let i: u32 = 0; i < top; ++i) double(memberOf(i + 1), memberOf(i));
  let members: u32 = 0;
  for (let i: u32 = 0; i <= top; ++i) {
    const digit = load<i8>(DIGITS + <usize>i);
    if (digit == 0) continue;
    const at = (<usize>members) << 2;
    store<u32>(MEMBERS + at, i);
    store<u32>(out + at, (<u32>ENTRIES + members * ENTRY_BYTES) | <u32>(digit < 0));
    ++members;
  }
  invariant(members <= MEMBERS_MAX && (members & 1) == 0);
  makeAffine(members);
  return members;
}

/** The digits of k, -1, 0 and 1, an even number of them not zero; returns the place of the topmost. */
function findDigits(k: usize): u32 {
  copy(SCALAR, k, 8);
  setLimb(SCALAR, 8, 0);
  addLimbs(TRIPLE, SCALAR, SCALAR, 9);
  addLimbs(TRIPLE, TRIPLE, SCALAR, 9);
  // 3·k - k, bit by bit, is 2·k.
  let lowest: u32 = DIGITS_MAX;
  let top: u32 = 0;
  let members: u32 = 0;
  for (let i: u32 = 0; i < DIGITS_MAX; ++i) {
    const digit = <i32>bitOf(TRIPLE, i + 1) - <i32>bitOf(SCALAR, i + 1);
    store<i8>(DIGITS + <usize>i, <i8>digit);
    if (digit == 0) continue;
    if (members == 0) lowest = i;
    top = i;
    ++members;
  }
  if ((members & 1) == 0) return top;
  // 2^i = 2^(i+1) - 2^i; the digit above the lowest is zero.
  const digit = load<i8>(DIGITS + <usize>lowest);
  store<i8>(DIGITS + <usize>lowest, -digit);
  store<i8>(DIGITS + <usize>lowest, digit, 1);
  return max(top, lowest + 1);
}

/** The first member is the point itself. */
function start(point: usize): void {
  fromMontgomery(FIELD, COORDINATE, point);
  setLane(A, 0, COORDINATE);
  fromMontgomery(FIELD, COORDINATE, point + 32);
  addModular(FIELD, COORDINATE, COORDINATE, COORDINATE);
  setLane(A, 1, COORDINATE);
  clear(COORDINATE, 8);
  setLimb(COORDINATE, 0, 1);
  setLane(A, 2, COORDINATE);
  setLane(A, 3, COORDINATE);
  mul(CHAIN, A, SQUARE);
}

/** out = twice the member v. In brackets: what the four lanes hold; - is nothing of use. */
function double(out: usize, v: usize): void {
  for (let i: usize = 0; i < 160; i += 16) {
    const m = v128.load(v + i);
    v128.store(B + i, v128.shuffle<u32>(m, m, 0, 1, 1, 3));
  }
  mul(P, v, B); // [X, T, Z, W]·[X, T, T, W] = [X^2, T^2, the next Z, -]
  for (let i: usize = 0; i < 160; i += 16) {
    const m = v128.load(v + i);
    v128.store(A + i, v128.shuffle<u32>(m, m, 3, 3, 3, 3));
  }
  scaledDifference(SLOPE, 3, P, A); // [3·(X^2 - W) = M, -, -, -]
  for (let i: usize = 0; i < 160; i += 16) {
    const slope = v128.load(SLOPE + i);
    const p = v128.load(P + i);
    const x = v128.load(v + i);
    // [M, T^2, T^2, T^2] and [M, X, T^2, T^2]
    const b = v128.shuffle<u32>(slope, p, 0, 5, 5, 5);
    v128.store(B + i, b);
    v128.store(A + i, v128.shuffle<u32>(b, x, 0, 4, 2, 3));
  }
  mul(Q, A, B); // [M^2, X·T^2 = S, T^4, T^4]
  for (let i: usize = 0; i < 160; i += 16) {
    const q = v128.load(Q + i);
    const s = v128.shuffle<u32>(q, q, 1, 1, 1, 1);
    v128.store(B + i, s);
    v128.store(A + i, i16x8.sub(q, s));
  }
  scaledDifference(out, 1, A, B); // [M^2 - 2·S, the next X, -, -, -]
  scaledDifference(B, 2, B, out); // [2·(S - X), -, -, -]
  for (let i: usize = 0; i < 160; i += 16) {
    const q = v128.load(Q + i);
    const w = v128.load(v + i);
    v128.store(A + i, v128.shuffle<u32>(v128.load(SLOPE + i), w, 0, 0, 7, 7));
    v128.store(B + i, v128.shuffle<u32>(v128.load(B + i), q, 0, 0, 6, 6));
  }
  mul(A, A, B); // [2·M·(S - X), the same, the next W, the same]
  for (let i: usize = 0; i < 160; i += 16) {
    const q = v128.load(Q + i);
    const a = v128.load(A + i);
    const t = i16x8.sub(a, v128.shuffle<u32>(q, q, 2, 2, 2, 2));
    const xt = v128.shuffle<u32>(v128.load(out + i), t, 0, 5, 5, 5);
    const zw = v128.shuffle<u32>(v128.load(P + i), a, 2, 7, 7, 7);
    v128.store(out + i, v128.shuffle<u64>(xt, zw, 0, 2));
  }
}

/** Gathers four members: X, T and Z in four lanes each. */
function gatherMembers(four: usize, a: usize, b: usize, c: usize, d: usize): void {
  for (let i: usize = 0; i < 160; i += 16) {
    const va = v128.load(a + i);
    const vb = v128.load(b + i);
    const vc = v128.load(c + i);
    const vd = v128.load(d + i);
    const lowAB = v128.shuffle<u32>(va, vb, 0, 4, 1, 5);
    const lowCD = v128.shuffle<u32>(vc, vd, 0, 4, 1, 5);
    const highAB = v128.shuffle<u32>(va, vb, 2, 6, 3, 7);
    const highCD = v128.shuffle<u32>(vc, vd, 2, 6, 3, 7);
    v128.store(four + i, v128.shuffle<u64>(lowAB, lowCD, 0, 2));
    v128.store(four + i, v128.shuffle<u64>(lowAB, lowCD, 1, 3), 160);
    v128.store(four + i, v128.shuffle<u64>(highAB, highCD, 0, 2), 320);
  }
}

/** Writes the members as entries, with one inversion. */
function makeAffine(members: u32): void {
  const fours = (members + 3) >> 2;
  for (let i: u32 = 0; i < fours; ++i) {
    const four = FOURS + <usize>(i * 480);
    gatherMembers(
      four,
      counted(4 * i, members),
      counted(4 * i + 1, members),
      counted(4 * i + 2, members),
      counted(4 * i + 3, members),
    );
    const product = PRODUCTS + <usize>(i * LANES_BYTES);
    if (i == 0) copyLanes(product, four + 320);
    else mul(product, product - LANES_BYTES, four + 320);
  }
  assert(invertLanes(INVERSE, PRODUCTS + <usize>((fours - 1) * LANES_BYTES)));
  for (let i = fours; i-- > 0;) {
    const four = FOURS + <usize>(i * 480);
    if (i == 0) copyLanes(A, INVERSE);
    else mul(A, INVERSE, PRODUCTS + <usize>((i - 1) * LANES_BYTES));
    mul(INVERSE, INVERSE, four + 320);
    sqr(B, A);
    mul(AFFINE, four, B);
    mul(B, B, A);
    mul(B, B, HALF);
    mul(AFFINE + LANES_BYTES, four + LANES_BYTES, B);
    writeEntries(AFFINE, ENTRIES, members, 1, i, 0);
  }
}

/** The member at a place among those that count; beyond the last, the last. */
function counted(place: u32, members: u32): usize {
  return memberOf(load<u32>(MEMBERS + ((<usize>min<u32>(place, members - 1)) << 2)));
}
