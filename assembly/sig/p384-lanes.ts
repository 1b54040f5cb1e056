/**
 * ECDSA over P-384 for keys that have a table: four signatures at once, or one spread over four
 * lanes, without a doubling. As in p256-batch, what is rare is left to sig/ecdsa.
 */
import { P384 } from "../curve/p384";
import {
  BASE_WINDOW,
  compareExpected,
  isExceptional,
  isExpected,
  setExpected,
  sumWide,
  sumWideAcross,
  wideBaseTable,
  wideEntries,
  wideWindows,
} from "../curve/p384-lanes";
import { addLimbs, compare, fromBigEndian, isZero, subLimbs } from "../field/limbs";
import { invert, mul, toMontgomery } from "../field/montgomery";
import { PRIME } from "../field/p384";
import { Answer, Item } from "./p256-batch";

/** Entries of one signature: 48 windows of the base point and 128 of a key. */
const STRIDE: u32 = 176 * 4;
const ENTRIES: usize = memory.data(4 * 176 * 4, 16);
const ITEMS: usize = memory.data(4 * 32, 16);
const R: usize = memory.data(4 * 48, 16);
const S: usize = memory.data(48, 16);
const E: usize = memory.data(48, 16);
const U: usize = memory.data(48, 16);
const V: usize = memory.data(48, 16);

export function wideItemOf(index: u32): Item {
  return changetype<Item>(ITEMS + (<usize>index << 5));
}

/** Verifies the first `count` items, 1 to 4, all of whose keys have tables of this window. */
export function verifyWideItems(count: u32, window: u32): void {
  assert(count >= 1 && count <= 4);
  wideBaseTable();
  // Three together take as long as four; two take longer than one after the other.
  if (count >= 3) verifyTogether(count, window);
  else for (let i: u32 = 0; i < count; ++i) verifyApart(i, window);
}

// @ts-ignore: decorator
@inline
function scalarR(index: u32): usize {
  return R + <usize>index * 48;
}

/**
 * Reads the signature, and writes the entries that add up to e/s·G + r/s·Q; false when the answer
 * is settled.
 */
function prepareItem(index: u32, window: u32, out: usize): bool {
  const n = P384.order;
  const item = wideItemOf(index);
  const r = scalarR(index);
  item.answer = Answer.INVALID;
  fromBigEndian(r, 12, item.signature, 48);
  fromBigEndian(S, 12, item.signature + 48, 48);
  if (isZero(r, 12) || compare(r, n.m, 12) >= 0) return false;
  if (isZero(S, 12) || compare(S, n.m, 12) >= 0) return false;
  fromBigEndian(E, 12, item.digest, min<u32>(item.digestBytes, 48));
  if (compare(E, n.m, 12) >= 0) subLimbs(E, E, n.m, 12);
  if (isZero(E, 12)) {
    item.answer = Answer.UNDECIDED;
    return false;
  }
  toMontgomery(n, S, S);
  invert(n, S, S);
  mul(n, U, E, S);
  mul(n, V, r, S);
  wideEntries(out, wideBaseTable(), BASE_WINDOW, U, n.m);
  wideEntries(out + ((<usize>wideWindows(BASE_WINDOW)) << 2), item.table, window, V, n.m);
  return true;
}

/** Records what a lane says: whether it is worth something, else whether its x is r. */
function settle(index: u32, lane: u32): void {
  const item = wideItemOf(index);
  if (isExceptional(lane)) {
    item.answer = Answer.UNDECIDED;
  } else if (isExpected(lane)) {
    item.answer = Answer.VALID;
  } else {
    // x may also be r + n, where that is below p.
    const carry = addLimbs(U, scalarR(index), P384.order.m, 12);
    const another = carry == 0 && compare(U, PRIME, 12) < 0;
    item.answer = another ? Answer.UNDECIDED : Answer.INVALID;
  }
}

/** One signature a lane; a lane without one repeats that of another. */
function verifyTogether(count: u32, window: u32): void {
  const points = wideWindows(BASE_WINDOW) + wideWindows(window);
  let ready: u32 = 0;
  let last: u32 = 0;
  for (let lane: u32 = 0; lane < count; ++lane) {
    if (!prepareItem(lane, window, ENTRIES + <usize>(lane * STRIDE))) continue;
    ready |= 1 << lane;
    last = lane;
  }
  if (ready == 0) return;
  for (let lane: u32 = 0; lane < 4; ++lane) {
    const real = ((ready >> lane) & 1) != 0;
    setExpected(lane, scalarR(real ? lane : last));
    if (real) continue;
    const from = ENTRIES + <usize>(last * STRIDE);
    memory.copy(ENTRIES + <usize>(lane * STRIDE), from, <usize>(points << 2));
  }
  sumWide(ENTRIES, points, STRIDE, 4);
  compareAll(ready);
}

function compareAll(ready: u32): void {
  compareExpected();
  for (let lane: u32 = 0; lane < 4; ++lane) {
    if (((ready >> lane) & 1) != 0) settle(lane, lane);
  }
}

/** One signature, its entries dealt out to the lanes. */
function verifyApart(index: u32, window: u32): void {
  if (!prepareItem(index, window, ENTRIES)) return;
  let points = wideWindows(BASE_WINDOW) + wideWindows(window);
  if ((points & 3) != 0) points = fillUp(points);
  sumWide(ENTRIES, points >> 2, 4, 16);
  sumWideAcross();
  for (let lane: u32 = 0; lane < 4; ++lane) setExpected(lane, scalarR(index));
  compareExpected();
  settle(index, 0);
}

/**
 * Adds three entries that sum to infinity, G + (2^w - 1)·G - 2^w·G, one for each of the three last
 * lanes.
 */
function fillUp(points: u32): u32 {
  assert((points & 3) == 1);
  const base = <u32>wideBaseTable();
  const at = ENTRIES + ((<usize>points) << 2);
  const window = (<u32>1 << (BASE_WINDOW - 1)) * 128;
  store<u32>(at, base);
  store<u32>(at, base + window - 128, 4);
  store<u32>(at, (base + window) | 1, 8);
  return points + 3;
}
