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
import { sumAcross, sumWhole, xOf, zOf } from "../curve/p256-top";
import { clearMarks, GROUPS_MAX, marksOf, pointOf } from "../curve/tree";
import { readPoint } from "../curve/weierstrass";
import { touchEntries } from "../field/lanes";
import {
  isZero as isZeroLane,
  mul as mulLanes,
  P256Lanes,
  setLane,
  SQUARE,
  sub,
} from "../field/p256-lanes";
import {
  fillUp,
  invertAll,
  itemOf,
  liveItem,
  readScalars,
  scalarR,
  setLive,
  setScalars,
  settle,
  trimLive,
  U,
  V,
} from "./ecdsa-items";

/** Signatures at once. */
export const BATCH_MAX: u32 = 64;
const ENTRIES_MAX: u32 = 84;

const BASE_ENTRIES: u32 = (256 + BASE_WINDOW - 1) / BASE_WINDOW;
const BASE_WINDOW_ENTRIES: u32 = 1 << (BASE_WINDOW - 1);
/** Odd multiples of keys that have no table. */
const UNSEEN: usize = memory.data(64 * 16 * 80, 16);
const POINT: usize = memory.data(96, 16);

let live: u32 = 0;
/** Whether each signature has a group of its own, spread over its lanes. */
let spread: bool = false;

/** Entries of the four lanes of a group. */
const ENTRIES: usize = memory.data(4 * 84 * 4, 16);
const EXPECTED: usize = memory.data(160, 16);

/**
 * Verifies items 0 to `items` - 1, all of whose keys have tables of this window; window 0: they
 * have none.
 */
export function verifyItems(items: u32, window: u32): void {
  assert(items <= BATCH_MAX);
  baseTable(); // made before the points are laid out, as making it uses their room
  live = readScalars(P256, items);
  if (window == 0) live = readKeys();
  if (live == 0) return;
  invertAll(P256);
  clearMarks();
  spread = window == 0 ? live == 1 : live < 4;
  if (window == 0 && !spread) sumUnseen();
  else if (spread) sumApart(window);
  else sumTogether(window);
}

/** Reads the keys of the live items, which have no table; those that are no points settle theirs. */
function readKeys(): u32 {
  let kept: u32 = 0;
  for (let k: u32 = 0; k < live; ++k) {
    const index = liveItem(k);
    if (!readPoint(P256, POINT, itemOf(index).key)) continue;
    setRow(kept, POINT);
    setLive(kept++, index);
  }
  trimLive(kept);
  return kept;
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
  setScalars(P256, index);
  chooseEntries(out, baseTable(), BASE_WINDOW, BASE_WINDOW_ENTRIES, U, P256.order.m);
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
    const point = pointOf<P256Lanes>(group, BASE_ENTRIES);
    multiplyLanes(point, from, ENTRIES_MAX * 4, windows);
  }
  sumWhole(groups, BASE_ENTRIES + 1);
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
  sumWhole(groups, points);
  compareGroups(groups);
}

/** Gathers the first entries of the four lanes as points of a group. */
function gatherGroup(group: u32, points: u32): void {
  for (let i: u32 = 0; i < points; ++i) {
    const at = ENTRIES + ((<usize>i) << 2);
    gather(
      pointOf<P256Lanes>(group, i),
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
    const some = chooseBoth(ENTRIES, liveItem(group), window);
    const points = fillUp(ENTRIES, some, <u32>baseTable(), BASE_WINDOW_ENTRIES, ENTRY_BYTES);
    touchEntries(ENTRIES, points);
    slots = points >> 2;
    for (let i: u32 = 0; i < slots; ++i) {
      const at = ENTRIES + ((<usize>i) << 4);
      gather(pointOf<P256Lanes>(group, i), load<u32>(at), load<u32>(at, 4), load<u32>(at, 8), load<u32>(at, 12));
    }
  }
  sumWhole(live, slots);
  for (let group: u32 = 0; group < live; ++group) sumAcross(group);
  for (let group: u32 = 0; group < live; ++group) compareX(group, group, 1);
}

/** Compares x of the first lanes of a group with r of as many live items. */
function compareX(group: u32, first: u32, members: u32): void {
  for (let lane: u32 = 0; lane < 4; ++lane) setLane(EXPECTED, lane, scalarR(liveItem(first + lane)));
  const z = zOf(group);
  mulLanes(EXPECTED, EXPECTED, SQUARE);
  mulLanes(EXPECTED, EXPECTED, z);
  sub(EXPECTED, xOf(group), EXPECTED);
  let marks = marksOf(group);
  // A signature that is alone in its group is worth nothing with any of its lanes marked.
  if (spread && marks != 0) marks = 15;
  for (let lane: u32 = 0; lane < members; ++lane) {
    const exceptional = ((marks >> lane) & 1) != 0 || isZeroLane(z, lane);
    settle(P256, liveItem(first + lane), exceptional, isZeroLane(EXPECTED, lane));
  }
}
