/**
 * Tables of multiples of a point of P-384, and sums taken from them without a doubling (windows
 * explains them). An entry is x then y, each 30 balanced limbs of 13 bits in the form of
 * field/p384-lanes, and 8 bytes of nothing.
 */
import { invariant } from "../abi";
import { copy } from "../field/limbs";
import { add as addModular } from "../field/montgomery";
import { FIELD } from "../field/p384";
import { P384Lanes, setLane, WIDE_BYTES } from "../field/p384-lanes";
import { P384 } from "./p384";
import { addPairs, pointOf, setJob } from "./tree";
import { addPoints, toAffine } from "./weierstrass";
import { chooseDigits, entriesOf, gatherLanes, negateLanes, windowsOf } from "./windows";

export const WIDE_ENTRY_BYTES: u32 = 128;
const POINT_BYTES: usize = 144;
/** Of four points in lanes. */
const POINT_LANES_BYTES: u32 = 2 * WIDE_BYTES;
const WINDOWS_MAX: u32 = 128;

/** Bits of a window of the base point's table, of 4.6 MB (10 bits, 2.6 MB, are a thirtieth slower). */
export const BASE_WINDOW: u32 = 11;
const BASE_TABLE: usize = memory.data(35 * 1024 * 128, 64);
let baseReady: bool = false;

// For each window 2^(w·i)·P and its double, in projective and then in affine coordinates.
const BASES: usize = memory.data(2 * 128 * 144, 16);
const CURRENT: usize = memory.data(144, 16);
const SHIFTED: usize = memory.data(48, 16);

/** Windows of a scalar. */
export function wideWindows(window: u32): u32 {
  return windowsOf(12, window);
}

export function wideTableBytes(window: u32): u32 {
  return wideWindows(window) * entriesOf(window) * WIDE_ENTRY_BYTES;
}

/** The base point's table; made when it is first asked for, which takes some milliseconds. */
export function wideBaseTable(): usize {
  if (!baseReady) {
    makeWideTable(BASE_TABLE, BASE_WINDOW, P384.table + POINT_BYTES);
    baseReady = true;
  }
  return BASE_TABLE;
}

// @ts-ignore: decorator
@inline
function base(index: u32): usize {
  return BASES + <usize>index * POINT_BYTES;
}

/** Points while a table is made: the entry at hand of four windows, and twice their first ones. */
// @ts-ignore: decorator
@inline
function current(group: u32): usize {
  return pointOf<P384Lanes>(0, 0) + <usize>(2 * group * POINT_LANES_BYTES);
}

// @ts-ignore: decorator
@inline
function twice(group: u32): usize {
  return current(group) + POINT_LANES_BYTES;
}

/** Fills a table of `wideTableBytes(window)` bytes for a point (projective, as in weierstrass). */
export function makeWideTable(table: usize, window: u32, point: usize): void {
  const windows = wideWindows(window);
  invariant(windows <= WINDOWS_MAX);
  const entries = entriesOf(window);
  memory.copy(CURRENT, point, POINT_BYTES);
  for (let i: u32 = 0; i < windows; ++i) {
    memory.copy(base(2 * i), CURRENT, POINT_BYTES);
    addPoints(P384, CURRENT, CURRENT, CURRENT);
    memory.copy(base(2 * i + 1), CURRENT, POINT_BYTES);
    for (let j: u32 = 1; j < window; ++j) addPoints(P384, CURRENT, CURRENT, CURRENT);
  }
  toAffine(P384, base(0), 2 * windows);
  const groups = (windows + 3) >> 2;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const i = min<u32>(group * 4 + lane, windows - 1);
      setPoint(current(group), lane, base(2 * i));
      setPoint(twice(group), lane, base(2 * i + 1));
    }
  }
  for (let j: u32 = 0; j < entries; ++j) {
    if (j > 0) {
      for (let group: u32 = 0; group < groups; ++group) {
        setJob(group, current(group), twice(group), current(group), 0);
      }
      // Small odd multiples of P never meet 2·P or its negative: the order of P is a large prime.
      assert(addPairs<P384Lanes>(groups));
    }
    for (let i: u32 = 0; i < windows; ++i) {
      writeEntry(table + <usize>((i * entries + j) * WIDE_ENTRY_BYTES), current(i >> 2), i & 3);
    }
  }
}

/** Writes affine coordinates into a lane. */
function setPoint(point: usize, lane: u32, affine: usize): void {
  setForm(point, lane, affine);
  setForm(point + WIDE_BYTES, lane, affine + 48);
}

/** Writes x·2^384 into a lane as x·2^390: the form of the lanes. */
function setForm(out: usize, lane: u32, a: usize): void {
  copy(SHIFTED, a, 12);
  for (let i = 0; i < 6; ++i) addModular(FIELD, SHIFTED, SHIFTED, SHIFTED);
  setLane(out, lane, SHIFTED);
}

function writeEntry(entry: usize, point: usize, lane: u32): void {
  const from = point + (<usize>lane << 2);
  for (let word: usize = 0; word < 30; ++word) {
    store<u32>(entry + (word << 2), load<u32>(from + (word << 4)));
  }
}

/** Writes the entries that add up to k·P (see windows). */
export function wideEntries(out: usize, table: usize, window: u32, k: usize, n: usize): void {
  const apart = entriesOf(window) * WIDE_ENTRY_BYTES;
  chooseDigits(out, table, window, WIDE_ENTRY_BYTES, apart, k, n, 12);
}

/** Gathers four entries, one a lane, into a vector point; 32 bytes behind it are overwritten. */
export function gatherWide(point: usize, a: u32, b: u32, c: u32, d: u32): void {
  const negative = gatherLanes(point, WIDE_ENTRY_BYTES, a, b, c, d);
  negateLanes(point + WIDE_BYTES, WIDE_BYTES, negative);
}
