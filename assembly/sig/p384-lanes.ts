/**
 * ECDSA over P-384 for keys that have a table: up to 32 signatures at once, without a doubling, as
 * p256-batch does it for P-256: four in the lanes of a group, or fewer than four apart, each spread
 * over the lanes. What is rare is left to sig/ecdsa.
 */
import { P384 } from "../curve/p384";
import {
  compareExpected,
  isExceptional,
  isExpected,
  setExpected,
  sumWide,
  sumWideAcross,
} from "../curve/p384-lanes";
import {
  BASE_WINDOW,
  gatherWide,
  WIDE_ENTRY_BYTES,
  wideBaseTable,
  wideEntries,
  wideWindows,
} from "../curve/p384-table";
import { sumWideGroups, wideMarksOf, widePointOf } from "../curve/p384-tree";
import { touchEntries } from "../field/lanes";
import { addLimbs, compare, copy, fromBigEndian, isZero, subLimbs } from "../field/limbs";
import { invert, mul, toMontgomery } from "../field/montgomery";
import { PRIME } from "../field/p384";
import { Answer, Item } from "./p256-batch";

/** Signatures at once. */
export const WIDE_BATCH_MAX: u32 = 32;
/** Entries of one signature: 39 windows of the base point and 128 of a key, and some to fill up. */
const ENTRIES_MAX: u32 = 176;
const ENTRIES: usize = memory.data(4 * 176 * 4, 16);
const ITEMS: usize = memory.data(32 * 32, 16);
let count: u32 = 0;

// Scalars of each item, 48 bytes each, and the numbers of the items that go on to the points.
const R: usize = memory.data(32 * 48, 16);
const S: usize = memory.data(32 * 48, 16);
const E: usize = memory.data(32 * 48, 16);
const CHAIN: usize = memory.data(32 * 48, 16);
const LIVE: usize = memory.data(32 * 4, 16);
let live: u32 = 0;

const INVERSE: usize = memory.data(48, 16);
const FACTOR: usize = memory.data(48, 16);
const U: usize = memory.data(48, 16);
const V: usize = memory.data(48, 16);

export function wideItemOf(index: u32): Item {
  return changetype<Item>(ITEMS + (<usize>index << 5));
}

// @ts-ignore: decorator
@inline
function row(array: usize, index: u32): usize {
  return array + <usize>index * 48;
}

/** The item that an index into LIVE means; beyond the last, the last. */
function liveItem(index: u32): u32 {
  return load<u32>(LIVE + (<usize>min<u32>(index, live - 1) << 2));
}

/** Verifies items 0 to `items` - 1, all of whose keys have tables of this window. */
export function verifyWideItems(items: u32, window: u32): void {
  assert(items <= WIDE_BATCH_MAX);
  count = items;
  readScalars();
  if (live == 0) return;
  wideBaseTable(); // made before the points are laid out, as making it uses their room
  invertAll();
  if (live < 4) sumApart(window);
  else sumTogether(window);
}

/** Reads r, s and e; what is out of range is settled here. */
function readScalars(): void {
  const n = P384.order;
  live = 0;
  for (let i: u32 = 0; i < count; ++i) {
    const item = wideItemOf(i);
    item.answer = Answer.INVALID;
    const r = row(R, i);
    const s = row(S, i);
    const e = row(E, i);
    fromBigEndian(r, 12, item.signature, 48);
    fromBigEndian(s, 12, item.signature + 48, 48);
    if (isZero(r, 12) || compare(r, n.m, 12) >= 0) continue;
    if (isZero(s, 12) || compare(s, n.m, 12) >= 0) continue;
    fromBigEndian(e, 12, item.digest, min<u32>(item.digestBytes, 48));
    if (compare(e, n.m, 12) >= 0) subLimbs(e, e, n.m, 12);
    if (isZero(e, 12)) {
      item.answer = Answer.UNDECIDED;
      continue;
    }
    store<u32>(LIVE + (<usize>live << 2), i);
    ++live;
  }
}

/** S = 1/S for all live items, in Montgomery's form, with one inversion. */
function invertAll(): void {
  const n = P384.order;
  for (let k: u32 = 0; k < live; ++k) {
    const s = row(S, liveItem(k));
    toMontgomery(n, s, s);
    if (k == 0) copy(CHAIN, s, 12);
    else mul(n, row(CHAIN, k), row(CHAIN, k - 1), s);
  }
  invert(n, INVERSE, row(CHAIN, live - 1));
  for (let k = live; k-- > 0;) {
    const s = row(S, liveItem(k));
    if (k == 0) copy(FACTOR, INVERSE, 12);
    else mul(n, FACTOR, INVERSE, row(CHAIN, k - 1));
    mul(n, INVERSE, INVERSE, s);
    copy(s, FACTOR, 12);
  }
}

/** Writes the entries that add up to u·G + v·Q, u = e/s and v = r/s; returns how many. */
function entriesOf(out: usize, index: u32, window: u32): u32 {
  const n = P384.order;
  mul(n, U, row(E, index), row(S, index));
  mul(n, V, row(R, index), row(S, index));
  wideEntries(out, wideBaseTable(), BASE_WINDOW, U, n.m);
  const first = wideWindows(BASE_WINDOW);
  wideEntries(out + (<usize>first << 2), wideItemOf(index).table, window, V, n.m);
  return first + wideWindows(window);
}

/** Four signatures in the lanes of a group; the last one fills up the last group. */
function sumTogether(window: u32): void {
  const groups = (live + 3) >> 2;
  let points: u32 = 0;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const at = ENTRIES + <usize>(lane * ENTRIES_MAX * 4);
      points = entriesOf(at, liveItem(group * 4 + lane), window);
      touchEntries(at, points);
    }
    for (let i: u32 = 0; i < points; ++i) {
      const at = ENTRIES + (<usize>i << 2);
      gatherWide(
        widePointOf(group, i),
        load<u32>(at),
        load<u32>(at, 176 * 4),
        load<u32>(at, 2 * 176 * 4),
        load<u32>(at, 3 * 176 * 4),
      );
    }
  }
  const left = sumWideGroups(groups, points);
  for (let group: u32 = 0; group < groups; ++group) {
    sumWide(widePointOf(group, 0), left);
    for (let lane: u32 = 0; lane < 4; ++lane) {
      setExpected(lane, row(R, liveItem(group * 4 + lane)));
    }
    compareExpected();
    const members = min<u32>(live - group * 4, 4);
    const marks = wideMarksOf(group);
    for (let lane: u32 = 0; lane < members; ++lane) {
      settle(liveItem(group * 4 + lane), lane, ((marks >> lane) & 1) != 0);
    }
  }
}

/** One signature a group, its points spread over the four lanes, whose sums are then added up. */
function sumApart(window: u32): void {
  let slots: u32 = 0;
  for (let group: u32 = 0; group < live; ++group) {
    const points = fillUp(entriesOf(ENTRIES, liveItem(group), window));
    touchEntries(ENTRIES, points);
    slots = points >> 2;
    for (let i: u32 = 0; i < slots; ++i) {
      const at = ENTRIES + (<usize>i << 4);
      gatherWide(
        widePointOf(group, i),
        load<u32>(at),
        load<u32>(at, 4),
        load<u32>(at, 8),
        load<u32>(at, 12),
      );
    }
  }
  const left = sumWideGroups(live, slots);
  for (let group: u32 = 0; group < live; ++group) {
    sumWide(widePointOf(group, 0), left);
    sumWideAcross();
    for (let lane: u32 = 0; lane < 4; ++lane) setExpected(lane, row(R, liveItem(group)));
    compareExpected();
    // A signature that is alone in its group is worth nothing with any of its lanes marked.
    settle(liveItem(group), 0, wideMarksOf(group) != 0);
  }
}

/**
 * Makes the number of entries a multiple of four, by two that sum to infinity, G - G, or by five:
 * G + 3·G + 5·G + (2^w - 9)·G - 2^w·G.
 */
function fillUp(points: u32): u32 {
  if ((points & 3) == 0) return points;
  const base = <u32>wideBaseTable();
  const at = ENTRIES + (<usize>points << 2);
  if ((points & 3) == 2) {
    store<u32>(at, base);
    store<u32>(at, base | 1, 4);
    return points + 2;
  }
  assert((points & 3) == 3);
  const entries: u32 = <u32>1 << (BASE_WINDOW - 1);
  store<u32>(at, base);
  store<u32>(at, base + WIDE_ENTRY_BYTES, 4);
  store<u32>(at, base + 2 * WIDE_ENTRY_BYTES, 8);
  store<u32>(at, base + (entries - 5) * WIDE_ENTRY_BYTES, 12);
  store<u32>(at, (base + entries * WIDE_ENTRY_BYTES) | 1, 16);
  return points + 5;
}

/** Records what a lane says: whether it is worth something, else whether its x is r. */
function settle(index: u32, lane: u32, marked: bool): void {
  const item = wideItemOf(index);
  if (marked || isExceptional(lane)) {
    item.answer = Answer.UNDECIDED;
  } else if (isExpected(lane)) {
    item.answer = Answer.VALID;
  } else {
    // x may also be r + n, where that is below p.
    const carry = addLimbs(U, row(R, index), P384.order.m, 12);
    const another = carry == 0 && compare(U, PRIME, 12) < 0;
    item.answer = another ? Answer.UNDECIDED : Answer.INVALID;
  }
}
