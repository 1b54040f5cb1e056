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
import { clearMarks, marksOf, pointOf, sumGroups } from "../curve/tree";
import { touchEntries } from "../field/lanes";
import { P384Lanes } from "../field/p384-lanes";
import {
  fillUp,
  invertAll,
  itemOf,
  liveItem,
  readScalars,
  scalarR,
  setScalars,
  settle,
  U,
  V,
} from "./ecdsa-items";

/** Signatures at once. */
export const WIDE_BATCH_MAX: u32 = 32;
/** Entries of one signature: 35 windows of the base point and 128 of a key, and some to fill up. */
const ENTRIES_MAX: u32 = 176;
const ENTRIES: usize = memory.data(4 * 176 * 4, 16);
/** Additions of one level up to which projective coordinates are the faster ones (measured). */
const JOBS_TOP_MAX: u32 = 3;
const BASE_ENTRIES: u32 = 1 << (BASE_WINDOW - 1);
let live: u32 = 0;

/** Verifies items 0 to `items` - 1, all of whose keys have tables of this window. */
export function verifyWideItems(items: u32, window: u32): void {
  assert(items <= WIDE_BATCH_MAX);
  live = readScalars(P384, items);
  if (live == 0) return;
  wideBaseTable(); // made before the points are laid out, as making it uses their room
  invertAll(P384);
  clearMarks();
  if (live < 4) sumApart(window);
  else sumTogether(window);
}

/** Writes the entries that add up to u·G + v·Q, u = e/s and v = r/s; returns how many. */
function chooseBoth(out: usize, index: u32, window: u32): u32 {
  const n = P384.order.m;
  setScalars(P384, index);
  wideEntries(out, wideBaseTable(), BASE_WINDOW, U, n);
  const first = wideWindows(BASE_WINDOW);
  wideEntries(out + (<usize>first << 2), itemOf(index).table, window, V, n);
  return first + wideWindows(window);
}

/** Four signatures in the lanes of a group; the last one fills up the last group. */
function sumTogether(window: u32): void {
  const groups = (live + 3) >> 2;
  let points: u32 = 0;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const at = ENTRIES + <usize>(lane * ENTRIES_MAX * 4);
      points = chooseBoth(at, liveItem(group * 4 + lane), window);
      touchEntries(at, points);
    }
    for (let i: u32 = 0; i < points; ++i) {
      const at = ENTRIES + (<usize>i << 2);
      gatherWide(
        pointOf<P384Lanes>(group, i),
        load<u32>(at),
        load<u32>(at, 176 * 4),
        load<u32>(at, 2 * 176 * 4),
        load<u32>(at, 3 * 176 * 4),
      );
    }
  }
  const left = sumGroups<P384Lanes>(groups, points, JOBS_TOP_MAX);
  for (let group: u32 = 0; group < groups; ++group) {
    sumWide(pointOf<P384Lanes>(group, 0), left);
    for (let lane: u32 = 0; lane < 4; ++lane) {
      setExpected(lane, scalarR(liveItem(group * 4 + lane)));
    }
    compareExpected();
    const members = min<u32>(live - group * 4, 4);
    const marks = marksOf(group);
    for (let lane: u32 = 0; lane < members; ++lane) {
      settleLane(liveItem(group * 4 + lane), lane, ((marks >> lane) & 1) != 0);
    }
  }
}

/** One signature a group, its points spread over the four lanes, whose sums are then added up. */
function sumApart(window: u32): void {
  let slots: u32 = 0;
  for (let group: u32 = 0; group < live; ++group) {
    const some = chooseBoth(ENTRIES, liveItem(group), window);
    const points = fillUp(ENTRIES, some, <u32>wideBaseTable(), BASE_ENTRIES, WIDE_ENTRY_BYTES);
    touchEntries(ENTRIES, points);
    slots = points >> 2;
    for (let i: u32 = 0; i < slots; ++i) {
      const at = ENTRIES + (<usize>i << 4);
      gatherWide(
        pointOf<P384Lanes>(group, i),
        load<u32>(at),
        load<u32>(at, 4),
        load<u32>(at, 8),
        load<u32>(at, 12),
      );
    }
  }
  const left = sumGroups<P384Lanes>(live, slots, JOBS_TOP_MAX);
  for (let group: u32 = 0; group < live; ++group) {
    sumWide(pointOf<P384Lanes>(group, 0), left);
    sumWideAcross();
    for (let lane: u32 = 0; lane < 4; ++lane) setExpected(lane, scalarR(liveItem(group)));
    compareExpected();
    // A signature that is alone in its group is worth nothing with any of its lanes marked.
    settleLane(liveItem(group), 0, marksOf(group) != 0);
  }
}

/** Records what a lane of the sum says. */
function settleLane(index: u32, lane: u32, marked: bool): void {
  settle(P384, index, marked || isExceptional(lane), isExpected(lane));
}
