/**
 * Tables of multiples of a point of P-256, and sums taken from them without a doubling (windows
 * explains them). Entries are x then y, each 20 signed limbs of 13 bits, balanced in [-2^12, 2^12],
 * in the form of field/p256-lanes.
 */
import { invariant } from "../abi";
import { fromMontgomery } from "../field/montgomery";
import { FIELD } from "../field/p256";
import { LANES_BYTES, mul, P256Lanes, setLane, SQUARE } from "../field/p256-lanes";
import { P256 } from "./p256";
import { addPairs, pointOf, setJob } from "./tree";
import { addPoints, toAffine } from "./weierstrass";
import {
  chooseDigits,
  entriesOf,
  gatherLanes,
  negateLanes,
  windowsOf as windowsOfLimbs,
} from "./windows";

export { entriesOf } from "./windows";

/** Bytes of an entry. */
export const ENTRY_BYTES: u32 = 80;
const WINDOWS_MAX: u32 = 52;
/** Rows at once: the windows of one point, or 64 points. */
const ROWS_MAX: u32 = 64;
const POINT_BYTES: usize = 96;

/**
 * Bits of a window of the base point's table: 3.6 MB, made once (11 bits, 2 MB, are a fortieth
 * slower, 8 bits an eighth).
 */
export const BASE_WINDOW: u32 = 12;
const BASE_TABLE: usize = memory.data(22 * 2048 * 80, 64);
let baseReady: bool = false;

// For each row its point and its double, in projective and then in affine coordinates.
const BASES: usize = memory.data(2 * 64 * 96, 16);
const PLAIN: usize = memory.data(32, 16);
const CURRENT: usize = memory.data(96, 16);
const BALANCED: usize = memory.data(320, 16);

/** Windows of a scalar. */
export function windowsOf(window: u32): u32 {
  return windowsOfLimbs(8, window);
}

export function tableBytes(window: u32): u32 {
  return windowsOf(window) * entriesOf(window) * ENTRY_BYTES;
}

/** The base point's table; made when it is first asked for, which takes a few milliseconds. */
export function baseTable(): usize {
  if (!baseReady) {
    makeTable(BASE_TABLE, BASE_WINDOW, P256.table + POINT_BYTES);
    baseReady = true;
  }
  return BASE_TABLE;
}

/** Whether the base point has its table already. */
export function hasBaseTable(): bool {
  return baseReady;
}

/**
 * Fills a table of `tableBytes(window)` bytes for a point of the curve (projective, as in
 * weierstrass).
 */
export function makeTable(table: usize, window: u32, point: usize): void {
  const windows = windowsOf(window);
  invariant(windows <= WINDOWS_MAX);
  memory.copy(CURRENT, point, POINT_BYTES);
  for (let i: u32 = 0; i < windows; ++i) {
    setRow(i, CURRENT);
    memory.copy(CURRENT, base(2 * i + 1), POINT_BYTES);
    for (let j: u32 = 1; j < window; ++j) addPoints(P256, CURRENT, CURRENT, CURRENT);
  }
  makeRows(table, windows, window);
}

/** Sets the point of a row for `makeRows`. */
export function setRow(row: u32, point: usize): void {
  invariant(row < ROWS_MAX);
  memory.copy(base(2 * row), point, POINT_BYTES);
  addPoints(P256, base(2 * row + 1), point, point);
}

/** The point that was set for a row. */
export function rowOf(row: u32): usize {
  return base(2 * row);
}

/** Writes rows of odd multiples, 1 to 2^window - 1, of the points that were set. */
export function makeRows(table: usize, rows: u32, window: u32): void {
  const entries = entriesOf(window);
  toAffine(P256, base(0), 2 * rows);
  // Four rows a vector point: group's point 0 is the entry at hand, point 1 twice the first one.
  const groups = (rows + 3) >> 2;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const i = min<u32>(group * 4 + lane, rows - 1);
      setPoint(pointOf<P256Lanes>(group, 0), lane, base(2 * i));
      setPoint(pointOf<P256Lanes>(group, 1), lane, base(2 * i + 1));
    }
    enterForm(pointOf<P256Lanes>(group, 0));
    enterForm(pointOf<P256Lanes>(group, 1));
  }
  for (let j: u32 = 0; j < entries; ++j) {
    if (j > 0) {
      for (let group: u32 = 0; group < groups; ++group) {
        const p = pointOf<P256Lanes>(group, 0);
        setJob(group, p, pointOf<P256Lanes>(group, 1), p, group);
      }
      // Odd multiples of P below 2^11 never meet 2·P or its negative: the order of P is a large
      // prime.
      assert(addPairs<P256Lanes>(groups));
    }
    for (let group: u32 = 0; group < groups; ++group) {
      writeEntries(pointOf<P256Lanes>(group, 0), table, rows, entries, group, j);
    }
  }
}

// @ts-ignore: decorator
@inline
function base(index: u32): usize {
  return BASES + <usize>index * POINT_BYTES;
}

/** Writes affine coordinates into a lane, plain. */
function setPoint(point: usize, lane: u32, affine: usize): void {
  setPlain(point, lane, affine);
  setPlain(point + LANES_BYTES, lane, affine + 32);
}

function setPlain(out: usize, lane: u32, a: usize): void {
  fromMontgomery(FIELD, PLAIN, a);
  setLane(out, lane, PLAIN);
}

function enterForm(point: usize): void {
  mul(point, point, SQUARE);
  mul(point + LANES_BYTES, point + LANES_BYTES, SQUARE);
}

/** Writes a vector point as entry j of the four rows of a group. */
export function writeEntries(
  point: usize,
  table: usize,
  rows: u32,
  entries: u32,
  group: u32,
  j: u32,
): void {
  balance(BALANCED, point);
  balance(BALANCED + LANES_BYTES, point + LANES_BYTES);
  for (let lane: u32 = 0; lane < 4; ++lane) {
    const row = group * 4 + lane;
    if (row >= rows) return;
    const entry = table + <usize>((row * entries + j) * ENTRY_BYTES);
    const from = BALANCED + ((<usize>lane) << 2);
    for (let word: usize = 0; word < 20; ++word) {
      store<u32>(entry + (word << 2), load<u32>(from + (word << 4)));
    }
  }
}

/** out = a with every limb but the topmost in [-2^12, 2^12). */
function balance(out: usize, a: usize): void {
  let carry = i32x4.splat(0);
  const half = i32x4.splat(4096);
  for (let i: usize = 0; i < <usize>LANES_BYTES; i += 16) {
    const pair = v128.load(a + i);
    let low = i32x4.add(i32x4.shr_s(i32x4.shl(pair, 16), 16), carry);
    carry = i32x4.shr_s(i32x4.add(low, half), 13);
    low = i32x4.sub(low, i32x4.shl(carry, 13));
    let high = i32x4.add(i32x4.shr_s(pair, 16), carry);
    if (i < <usize>(LANES_BYTES - 16)) {
      carry = i32x4.shr_s(i32x4.add(high, half), 13);
      high = i32x4.sub(high, i32x4.shl(carry, 13));
    }
    v128.store(out + i, v128.or(v128.and(low, i32x4.splat(0xffff)), i32x4.shl(high, 16)));
  }
}

/**
 * Writes the entries that add up to k·P (see windows); those of a window begin `apart` entries
 * behind those of the one before.
 */
export function chooseEntries(
  out: usize,
  table: usize,
  window: u32,
  apart: u32,
  k: usize,
  n: usize,
): void {
  chooseDigits(out, table, window, ENTRY_BYTES, apart * ENTRY_BYTES, k, n, 8);
}

/** Gathers four entries, each as `chooseEntries` writes it, into a vector point. */
export function gather(point: usize, a: u32, b: u32, c: u32, d: u32): void {
  const negative = gatherLanes(point, ENTRY_BYTES, a, b, c, d);
  negateLanes(point + LANES_BYTES, LANES_BYTES, negative);
}
