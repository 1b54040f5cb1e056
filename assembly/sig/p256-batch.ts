/**
 * ECDSA over P-256 for keys that have a table: up to 64 signatures at once, without a doubling,
 * sharing inversions and lanes (FIPS 186-5 §6.4.2, as sig/ecdsa). What is rare is left to
 * sig/ecdsa, so that the answer is always the same: e = 0 modulo n, an exceptional addition, and an
 * r for which r + n is also below p.
 */
import { invariant } from "../abi";
import { P256 } from "../curve/p256";
import { chainEntries } from "../curve/p256-chain";
import { multiplyLanes, UNSEEN_WINDOW } from "../curve/p256-jacobian";
import {
  BASE_WINDOW,
  baseTable,
  chooseEntries,
  entriesOf,
  ENTRY_BYTES,
  gather,
  makeRows,
  rowOf,
  setRow,
  windowsOf,
} from "../curve/p256-table";
import {
  clearMarks,
  GROUPS_MAX,
  marksOf,
  pointOf,
  sumGroups,
  xOf,
  zOf,
} from "../curve/p256-tree";
import { sumAcross } from "../curve/p256-top";
import { readPoint } from "../curve/weierstrass";
import { touchEntries } from "../field/lanes";
import { addLimbs, compare, copy, fromBigEndian, isZero, subLimbs } from "../field/limbs";
import { invert, mul, toMontgomery } from "../field/montgomery";
import { PRIME } from "../field/p256";
import {
  isZero as isZeroLane,
  mul as mulLanes,
  setLane,
  SQUARE,
  sub,
} from "../field/p256-lanes";

/** Signatures at once. */
export const BATCH_MAX: u32 = 64;
const ENTRIES_MAX: u32 = 84;

/** One signature to verify. */
@unmanaged
export class Item {
  /** The key's table. */
  table: usize;
  digest: usize;
  digestBytes: u32;
  /** r||s, 64 bytes. */
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

const BASE_ENTRIES: u32 = (256 + BASE_WINDOW - 1) / BASE_WINDOW;
/** Odd multiples of keys that have no table. */
const UNSEEN: usize = memory.data(64 * 16 * 80, 16);
const POINT: usize = memory.data(96, 16);

const ITEMS: usize = memory.data(64 * 32, 16);
const ITEM_BYTES: usize = 32;
let count: u32 = 0;

// Scalars of each item, 32 bytes each, and the numbers of the items that go on to the points.
const R: usize = memory.data(64 * 32, 16);
const S: usize = memory.data(64 * 32, 16);
const E: usize = memory.data(64 * 32, 16);
const CHAIN: usize = memory.data(64 * 32, 16);
const LIVE: usize = memory.data(64 * 4, 16);
let live: u32 = 0;
/** Whether each signature has a group of its own, spread over its lanes. */
let spread: bool = false;

const INVERSE: usize = memory.data(32, 16);
const FACTOR: usize = memory.data(32, 16);
const U: usize = memory.data(32, 16);
const V: usize = memory.data(32, 16);
/** Entries of the four lanes of a group. */
const ENTRIES: usize = memory.data(4 * 84 * 4, 16);
const EXPECTED: usize = memory.data(160, 16);

// @ts-ignore: decorator
@inline
export function itemOf(index: u32): Item {
  return changetype<Item>(ITEMS + <usize>index * ITEM_BYTES);
}

// @ts-ignore: decorator
@inline
function row(array: usize, index: u32): usize {
  return array + ((<usize>index) << 5);
}

/** The item that an index into LIVE means; beyond the last, the last. */
function liveItem(index: u32): u32 {
  return load<u32>(LIVE + ((<usize>min<u32>(index, live - 1)) << 2));
}

/**
 * Verifies items 0 to `items` - 1, all of whose keys have tables of this window; window 0: they
 * have none.
 */
export function verifyItems(items: u32, window: u32): void {
  assert(items <= BATCH_MAX);
  count = items;
  baseTable(); // made before the points are laid out, as making it uses their room
  readScalars(window == 0);
  if (live == 0) return;
  invertAll();
  clearMarks();
  spread = window == 0 ? live == 1 : live < 4;
  if (window == 0 && !spread) sumUnseen();
  else if (spread) sumApart(window);
  else sumTogether(window);
}

/** Reads r, s and e, and keys that have no table; what is no such thing is settled here. */
function readScalars(keys: bool): void {
  const n = P256.order;
  live = 0;
  for (let i: u32 = 0; i < count; ++i) {
    const item = itemOf(i);
    item.answer = Answer.INVALID;
    const r = row(R, i);
    const s = row(S, i);
    const e = row(E, i);
    fromBigEndian(r, 8, item.signature, 32);
    fromBigEndian(s, 8, item.signature + 32, 32);
    if (isZero(r, 8) || compare(r, n.m, 8) >= 0) continue;
    if (isZero(s, 8) || compare(s, n.m, 8) >= 0) continue;
    fromBigEndian(e, 8, item.digest, min<u32>(item.digestBytes, 32));
    if (compare(e, n.m, 8) >= 0) subLimbs(e, e, n.m, 8);
    if (isZero(e, 8)) {
      item.answer = Answer.UNDECIDED;
      continue;
    }
    if (keys) {
      if (!readPoint(P256, POINT, item.key)) continue;
      setRow(live, POINT);
    }
    store<u32>(LIVE + ((<usize>live) << 2), i);
    ++live;
  }
}

/** S = 1/S for all live items, in Montgomery's form, with one inversion. */
function invertAll(): void {
  const n = P256.order;
  for (let k: u32 = 0; k < live; ++k) {
    const s = row(S, liveItem(k));
    toMontgomery(n, s, s);
    if (k == 0) copy(CHAIN, s, 8);
    else mul(n, row(CHAIN, k), row(CHAIN, k - 1), s);
  }
  invert(n, INVERSE, row(CHAIN, live - 1));
  for (let k = live; k-- > 0;) {
    const s = row(S, liveItem(k));
    if (k == 0) copy(FACTOR, INVERSE, 8);
    else mul(n, FACTOR, INVERSE, row(CHAIN, k - 1));
    mul(n, INVERSE, INVERSE, s);
    copy(s, FACTOR, 8);
  }
}

/** Writes the entries that add up to u·G + v·Q, u = e/s and v = r/s; returns how many. */
function chooseBoth(out: usize, index: u32, window: u32): u32 {
  chooseBase(out, index);
  const from = out + ((<usize>BASE_ENTRIES) << 2);
  if (window == 0) return BASE_ENTRIES + chainEntries(from, V, rowOf(0));
  chooseEntries(from, itemOf(index).table, window, entriesOf(window), V, P256.order.m);
  return BASE_ENTRIES + windowsOf(window);
}

/** Sets U and V of an item and writes the entries that add up to u·G. */
function chooseBase(out: usize, index: u32): void {
  const n = P256.order;
  mul(n, U, row(E, index), row(S, index));
  mul(n, V, row(R, index), row(S, index));
  chooseEntries(out, baseTable(), BASE_WINDOW, entriesOf(BASE_WINDOW), U, n.m);
}

/**
 * As sumTogether, for keys without a table: v·Q by doublings is one more point beside those of u·G.
 */
function sumUnseen(): void {
  const apart = entriesOf(UNSEEN_WINDOW);
  makeRows(UNSEEN, live, UNSEEN_WINDOW);
  const groups = (live + 3) >> 2;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const k = min<u32>(group * 4 + lane, live - 1);
      const at = ENTRIES + <usize>(lane * ENTRIES_MAX * 4);
      chooseBase(at, liveItem(k));
      touchEntries(at, BASE_ENTRIES);
      const own = UNSEEN + <usize>(k * apart * ENTRY_BYTES);
      chooseEntries(at + ((<usize>BASE_ENTRIES) << 2), own, UNSEEN_WINDOW, 0, V, P256.order.m);
    }
    gatherGroup(group, BASE_ENTRIES);
    const from = ENTRIES + ((<usize>BASE_ENTRIES) << 2);
    const windows = windowsOf(UNSEEN_WINDOW);
    const point = pointOf(group, BASE_ENTRIES);
    multiplyLanes(point, from, ENTRIES_MAX * 4, windows);
  }
  sumGroups(groups, BASE_ENTRIES + 1);
  compareGroups(groups);
}

/** Four signatures in the lanes of a group; the last one fills up the last group. */
function sumTogether(window: u32): void {
  const groups = (live + 3) >> 2;
  invariant(groups <= GROUPS_MAX);
  let points: u32 = 0;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const at = ENTRIES + <usize>(lane * ENTRIES_MAX * 4);
      points = chooseBoth(at, liveItem(group * 4 + lane), window);
      touchEntries(at, points);
    }
    gatherGroup(group, points);
  }
  sumGroups(groups, points);
  compareGroups(groups);
}

/** Gathers the first entries of the four lanes as points of a group. */
function gatherGroup(group: u32, points: u32): void {
  for (let i: u32 = 0; i < points; ++i) {
    const at = ENTRIES + ((<usize>i) << 2);
    gather(
      pointOf(group, i),
      load<u32>(at),
      load<u32>(at, 84 * 4),
      load<u32>(at, 2 * 84 * 4),
      load<u32>(at, 3 * 84 * 4),
    );
  }
}

function compareGroups(groups: u32): void {
  for (let group: u32 = 0; group < groups; ++group) {
    compareX(group, group * 4, min<u32>(live - group * 4, 4));
  }
}

/** One signature a group, its points spread over the four lanes, whose sums are then added up. */
function sumApart(window: u32): void {
  let slots: u32 = 0;
  for (let group: u32 = 0; group < live; ++group) {
    const points = fillUp(chooseBoth(ENTRIES, liveItem(group), window));
    touchEntries(ENTRIES, points);
    slots = points >> 2;
    for (let i: u32 = 0; i < slots; ++i) {
      const at = ENTRIES + ((<usize>i) << 4);
      gather(pointOf(group, i), load<u32>(at), load<u32>(at, 4), load<u32>(at, 8), load<u32>(at, 12));
    }
  }
  sumGroups(live, slots);
  for (let group: u32 = 0; group < live; ++group) sumAcross(group);
  for (let group: u32 = 0; group < live; ++group) compareX(group, group, 1);
}

/**
 * Adds entries that sum to infinity, each for another lane: G - G for two lanes, or
 * G + (2^w - 1)·G - 2^w·G for three.
 */
function fillUp(points: u32): u32 {
  if ((points & 3) == 0) return points;
  assert((points & 3) != 3);
  const base = <u32>baseTable();
  const at = ENTRIES + ((<usize>points) << 2);
  store<u32>(at, base);
  if ((points & 3) == 2) {
    store<u32>(at, base | 1, 4);
    return points + 2;
  }
  const entries = entriesOf(BASE_WINDOW);
  store<u32>(at, base + (entries - 1) * ENTRY_BYTES, 4);
  store<u32>(at, (base + entries * ENTRY_BYTES) | 1, 8);
  return points + 3;
}

/** Compares x of the first lanes of a group with r of as many live items. */
function compareX(group: u32, first: u32, members: u32): void {
  for (let lane: u32 = 0; lane < 4; ++lane) setLane(EXPECTED, lane, row(R, liveItem(first + lane)));
  const z = zOf(group);
  mulLanes(EXPECTED, EXPECTED, SQUARE);
  mulLanes(EXPECTED, EXPECTED, z);
  sub(EXPECTED, xOf(group), EXPECTED);
  let marks = marksOf(group);
  // A signature that is alone in its group is worth nothing with any of its lanes marked.
  if (spread && marks != 0) marks = 15;
  for (let lane: u32 = 0; lane < members; ++lane) {
    const exceptional = ((marks >> lane) & 1) != 0 || isZeroLane(z, lane);
    settle(liveItem(first + lane), exceptional, isZeroLane(EXPECTED, lane));
  }
}

/** Records what the sum said: whether x was marked, else whether it was r. */
function settle(index: u32, marked: bool, equal: bool): void {
  const item = itemOf(index);
  if (marked) {
    item.answer = Answer.UNDECIDED;
  } else if (equal) {
    item.answer = Answer.VALID;
  } else {
    // x may also be r + n, where that is below p.
    const carry = addLimbs(U, row(R, index), P256.order.m, 8);
    const another = carry == 0 && compare(U, PRIME, 8) < 0;
    item.answer = another ? Answer.UNDECIDED : Answer.INVALID;
  }
}
