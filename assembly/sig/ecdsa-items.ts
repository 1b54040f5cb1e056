/**
 * ECDSA signatures that are verified together, whatever their curve: their scalars, with one
 * inversion for all of them (FIPS 186-5 §6.4.2, steps 1 to 4), and their answers. The sums of points,
 * in lanes, are sig/p256-batch's and sig/p384-batch's. Only the SIMD build has this file.
 */
import { invariant } from "../abi";
import { Weierstrass } from "../curve/weierstrass";
import { addLimbs, compare, copy, fromBigEndian, isZero, subLimbs } from "../field/limbs";
import { invert, mul, toMontgomery } from "../field/montgomery";

/** One signature to verify. */
@unmanaged
export class Item {
  /** The key's table. */
  table: usize;
  digest: usize;
  digestBytes: u32;
  /** r||s, in the curve's width. */
  signature: usize;
  /** The outcome. */
  answer: Answer;
  /** Where there is no table: x||y, which may be no point of the curve. */
  key: usize;
}

export const enum Answer {
  INVALID = 0,
  VALID = 1,
  /** Ask sig/ecdsa. */
  UNDECIDED = 2,
}

const ITEMS_MAX: u32 = 64;
const ITEM_BYTES: usize = 32;
const ITEMS: usize = memory.data(64 * 32, 16);

// Scalars of each item, with room for those of P-384, and the numbers of the items that are live:
// that go on to the points.
const ROW_BYTES: usize = 48;
const R: usize = memory.data(64 * 48, 16);
const S: usize = memory.data(64 * 48, 16);
const E: usize = memory.data(64 * 48, 16);
const CHAIN: usize = memory.data(64 * 48, 16);
const LIVE: usize = memory.data(64 * 4, 16);
let live: u32 = 0;

const INVERSE: usize = memory.data(48, 16);
const FACTOR: usize = memory.data(48, 16);

/** Plain scalars of the item that `setScalars` was called for. */
export const U: usize = memory.data(48, 16);
export const V: usize = memory.data(48, 16);

// @ts-ignore: decorator
@inline
export function itemOf(index: u32): Item {
  return changetype<Item>(ITEMS + <usize>index * ITEM_BYTES);
}

// @ts-ignore: decorator
@inline
function row(array: usize, index: u32): usize {
  return array + <usize>index * ROW_BYTES;
}

/** r of an item, plain. */
export function scalarR(index: u32): usize {
  return row(R, index);
}

/** The item that an index into the live ones means; beyond the last, the last. */
export function liveItem(index: u32): u32 {
  return load<u32>(LIVE + (<usize>min<u32>(index, live - 1) << 2));
}

/** Sets which item an index into the live ones means. */
export function setLive(place: u32, index: u32): void {
  invariant(place < ITEMS_MAX);
  store<u32>(LIVE + (<usize>place << 2), index);
}

/** Leaves the first `count` of the live ones. */
export function trimLive(count: u32): void {
  invariant(count <= live);
  live = count;
}

/**
 * Reads r, s and e of the first `count` items, and gives how many are live. What is out of range is
 * settled here, and e = 0, for which there are no windows, left to sig/ecdsa.
 */
export function readScalars(curve: Weierstrass, count: u32): u32 {
  assert(count <= ITEMS_MAX);
  const n = curve.order.m;
  const limbs = curve.order.limbs;
  const bytes = limbs << 2;
  live = 0;
  for (let i: u32 = 0; i < count; ++i) {
    const item = itemOf(i);
    item.answer = Answer.INVALID;
    const r = row(R, i);
    const s = row(S, i);
    const e = row(E, i);
    fromBigEndian(r, limbs, item.signature, bytes);
    fromBigEndian(s, limbs, item.signature + <usize>bytes, bytes);
    if (isZero(r, limbs) || compare(r, n, limbs) >= 0) continue;
    if (isZero(s, limbs) || compare(s, n, limbs) >= 0) continue;
    fromBigEndian(e, limbs, item.digest, min<u32>(item.digestBytes, bytes));
    if (compare(e, n, limbs) >= 0) subLimbs(e, e, n, limbs);
    if (isZero(e, limbs)) item.answer = Answer.UNDECIDED;
    else setLive(live++, i);
  }
  return live;
}

/** S = 1/S for all live items, in Montgomery's form, with one inversion. */
export function invertAll(curve: Weierstrass): void {
  const n = curve.order;
  for (let k: u32 = 0; k < live; ++k) {
    const s = row(S, liveItem(k));
    toMontgomery(n, s, s);
    if (k == 0) copy(CHAIN, s, n.limbs);
    else mul(n, row(CHAIN, k), row(CHAIN, k - 1), s);
  }
  invert(n, INVERSE, row(CHAIN, live - 1));
  for (let k = live; k-- > 0;) {
    const s = row(S, liveItem(k));
    if (k == 0) copy(FACTOR, INVERSE, n.limbs);
    else mul(n, FACTOR, INVERSE, row(CHAIN, k - 1));
    mul(n, INVERSE, INVERSE, s);
    copy(s, FACTOR, n.limbs);
  }
}

/** Sets U = e/s and V = r/s of a live item, after `invertAll`. */
export function setScalars(curve: Weierstrass, index: u32): void {
  mul(curve.order, U, row(E, index), row(S, index));
  mul(curve.order, V, row(R, index), row(S, index));
}

/** Records what a sum said: whether its lane was exceptional, else whether its x was r. */
export function settle(curve: Weierstrass, index: u32, exceptional: bool, equal: bool): void {
  const item = itemOf(index);
  if (exceptional) {
    item.answer = Answer.UNDECIDED;
  } else if (equal) {
    item.answer = Answer.VALID;
  } else {
    // x may also be r + n, where that is below p.
    const limbs = curve.field.limbs;
    const carry = addLimbs(U, row(R, index), curve.order.m, limbs);
    const another = carry == 0 && compare(U, curve.field.m, limbs) < 0;
    item.answer = another ? Answer.UNDECIDED : Answer.INVALID;
  }
}

/**
 * Makes the number of entries at `out` a multiple of four, for a sum that is spread over the lanes, by
 * some that sum to infinity: G - G, or with windows of w bits G + (2^w - 1)·G - 2^w·G, or both.
 * `table` is the base point's, with so many entries a window.
 */
export function fillUp(out: usize, points: u32, table: u32, entries: u32, bytes: u32): u32 {
  const rest = points & 3;
  let at = out + (<usize>points << 2);
  if (rest == 0) return points;
  if (rest != 1) {
    store<u32>(at, table);
    store<u32>(at, table | 1, 4);
    at += 8;
  }
  if (rest != 2) {
    store<u32>(at, table);
    store<u32>(at, table + (entries - 1) * bytes, 4);
    store<u32>(at, (table + entries * bytes) | 1, 8);
  }
  return points + (rest == 1 ? 3 : rest == 2 ? 2 : 5);
}
