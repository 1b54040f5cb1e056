/**
 * Sums of points of P-384 in four lanes, without a doubling: tables as for P-256 (p256-table:
 * windows, odd digits, no zero among them), summed one entry after the other in projective
 * coordinates, x = X/Z and y = Y/Z (Cohen, Miyaji and Ono, Asiacrypt 1998, §2.2): 11
 * multiplications of vectors an entry. Where an addition is exceptional (P = Q, P = -Q, or
 * infinity) Z becomes zero and stays zero.
 */
import { invariant } from "../abi";
import { bitOf, copy, limb, setLimb, subLimbs } from "../field/limbs";
import { add as addModular, invert, mul as mulModular } from "../field/montgomery";
import { FIELD } from "../field/p384";
import {
  add,
  isZero,
  mul,
  mulSub,
  ONE,
  setLane,
  SQUARE,
  sub,
  turnOne,
  turnTwo,
  WIDE_BYTES,
  writeLimbs,
} from "../field/p384-lanes";
import { P384 } from "./p384";
import { addPoints } from "./weierstrass";

/** x and y of 60 bytes each, and 8 bytes of nothing. */
const ENTRY_BYTES: u32 = 128;
const POINT_BYTES: usize = 144;

/** Bits of a window of the base point's table, of 786 KB. */
export const BASE_WINDOW: u32 = 8;
const BASE_TABLE: usize = memory.data(48 * 128 * 128, 16);
let baseReady: bool = false;

const Y: usize = 240;
const Z: usize = 480;
const SUM: usize = memory.data(720, 16);
const OTHER: usize = memory.data(720, 16);
const GATHERED: usize = memory.data(512, 16);
const T: usize = memory.data(240, 16);
const U: usize = memory.data(240, 16);
const V: usize = memory.data(240, 16);
const W: usize = memory.data(240, 16);
const V2: usize = memory.data(240, 16);
const V3: usize = memory.data(240, 16);
const R1: usize = memory.data(240, 16);
const A: usize = memory.data(240, 16);
const S: usize = memory.data(240, 16);
const EXPECTED: usize = memory.data(240, 16);

// While a table is made: its window's multiples, products of their z, twice the base, and single
// numbers.
const MULTIPLES: usize = memory.data(128 * 144, 16);
const CHAIN: usize = memory.data(128 * 48, 16);
const TWICE: usize = memory.data(144, 16);
const INVERSE: usize = memory.data(48, 16);
const FACTOR: usize = memory.data(48, 16);
const NUMBER: usize = memory.data(48, 16);
const HALF: usize = memory.data(48, 16);

export function wideWindows(window: u32): u32 {
  return (384 + window - 1) / window;
}

export function wideTableBytes(window: u32): u32 {
  return wideWindows(window) * (<u32>1 << (window - 1)) * ENTRY_BYTES;
}

/** The base point's table; made when it is first asked for. */
export function wideBaseTable(): usize {
  if (!baseReady) {
    makeWideTable(BASE_TABLE, BASE_WINDOW, P384.table + POINT_BYTES);
    baseReady = true;
  }
  return BASE_TABLE;
}

/** Fills a table of `wideTableBytes(window)` bytes for a point (projective, as in weierstrass). */
export function makeWideTable(table: usize, window: u32, point: usize): void {
  const windows = wideWindows(window);
  const entries: u32 = <u32>1 << (window - 1);
  memory.copy(MULTIPLES, point, POINT_BYTES);
  for (let i: u32 = 0; i < windows; ++i) {
    addPoints(P384, TWICE, MULTIPLES, MULTIPLES);
    for (let j: u32 = 1; j < entries; ++j) {
      const at = MULTIPLES + <usize>j * POINT_BYTES;
      addPoints(P384, at, at - POINT_BYTES, TWICE);
    }
    writeWindow(table + <usize>(i * entries * ENTRY_BYTES), entries);
    // 2^w times the base: its double, doubled w - 1 times.
    for (let j: u32 = 1; j < window; ++j) addPoints(P384, TWICE, TWICE, TWICE);
    memory.copy(MULTIPLES, TWICE, POINT_BYTES);
  }
}

/** Writes a window's multiples as entries, with one inversion. */
function writeWindow(out: usize, entries: u32): void {
  copy(CHAIN, MULTIPLES + 96, 12);
  for (let j: u32 = 1; j < entries; ++j) {
    const at = CHAIN + <usize>j * 48;
    mulModular(FIELD, at, at - 48, MULTIPLES + <usize>j * POINT_BYTES + 96);
  }
  invert(FIELD, INVERSE, CHAIN + <usize>(entries - 1) * 48);
  for (let j = entries; j-- > 0;) {
    const at = MULTIPLES + <usize>j * POINT_BYTES;
    if (j > 0) mulModular(FIELD, FACTOR, INVERSE, CHAIN + <usize>(j - 1) * 48);
    else copy(FACTOR, INVERSE, 12);
    mulModular(FIELD, INVERSE, INVERSE, at + 96);
    const entry = out + <usize>(j * ENTRY_BYTES);
    // x·2^384 times 64 is x·2^390: the form of the lanes.
    mulModular(FIELD, NUMBER, at, FACTOR);
    writeForm(entry);
    mulModular(FIELD, NUMBER, at + 48, FACTOR);
    writeForm(entry + 60);
  }
}

/** Writes NUMBER, which is x·2^384, as x·2^390: the form of the lanes. */
function writeForm(out: usize): void {
  for (let i = 0; i < 6; ++i) addModular(FIELD, NUMBER, NUMBER, NUMBER);
  writeLimbs(out, NUMBER, 4);
}

/**
 * Writes the entries that add up to k·P, one u32 for each window: its address, and 1 more where it
 * is to be negated (p256-table explains the digits). k is 12 limbs, 0 < k < n; n are the limbs of
 * the order.
 */
export function wideEntries(out: usize, table: usize, window: u32, k: usize, n: usize): void {
  const windows = wideWindows(window);
  const entries: u32 = <u32>1 << (window - 1);
  const flip: u32 = 1 - bitOf(k, 0);
  if (flip == 1) subLimbs(HALF, n, k, 12);
  else copy(HALF, k, 12);
  for (let i: u32 = 0; i < 11; ++i) {
    setLimb(HALF, i, (limb(HALF, i) >> 1) | (limb(HALF, i + 1) << 31));
  }
  setLimb(HALF, 11, limb(HALF, 11) >> 1);
  for (let i: u32 = 0; i < windows; ++i) {
    const at = i * window;
    const word = at >> 5;
    let bits: u64 = <u64>limb(HALF, word);
    if (word < 11) bits |= <u64>limb(HALF, word + 1) << 32;
    const b = <u32>(bits >> (at & 31)) & (2 * entries - 1);
    let j: u32;
    let negative: u32 = 0;
    if (i == windows - 1) j = b;
    else if (b >= entries) j = b - entries;
    else {
      j = entries - 1 - b;
      negative = 1;
    }
    invariant(j < entries);
    store<u32>(
      out + ((<usize>i) << 2),
      (<u32>table + (i * entries + j) * ENTRY_BYTES) | (negative ^ flip),
    );
  }
}

/** Gathers four entries, one a lane. */
function gather(a: u32, b: u32, c: u32, d: u32): void {
  const signs = i32x4.neg(v128.and(i32x4(a, b, c, d), i32x4.splat(1)));
  const pa = <usize>(a & ~1);
  const pb = <usize>(b & ~1);
  const pc = <usize>(c & ~1);
  const pd = <usize>(d & ~1);
  for (let i: usize = 0; i < 128; i += 16) {
    const va = v128.load(pa + i);
    const vb = v128.load(pb + i);
    const vc = v128.load(pc + i);
    const vd = v128.load(pd + i);
    const lowAB = v128.shuffle<u32>(va, vb, 0, 4, 1, 5);
    const lowCD = v128.shuffle<u32>(vc, vd, 0, 4, 1, 5);
    const highAB = v128.shuffle<u32>(va, vb, 2, 6, 3, 7);
    const highCD = v128.shuffle<u32>(vc, vd, 2, 6, 3, 7);
    const out = GATHERED + (i << 2);
    v128.store(out, v128.shuffle<u64>(lowAB, lowCD, 0, 2));
    v128.store(out, v128.shuffle<u64>(lowAB, lowCD, 1, 3), 16);
    v128.store(out, v128.shuffle<u64>(highAB, highCD, 0, 2), 32);
    v128.store(out, v128.shuffle<u64>(highAB, highCD, 1, 3), 48);
  }
  for (let i: usize = GATHERED + Y; i < GATHERED + 2 * Y; i += 16) {
    v128.store(i, i16x8.sub(v128.xor(v128.load(i), signs), signs));
  }
}

/** Ends an addition: SUM from u, v, X1·Z2 (in R1), Y1·Z2 (in T) and Z1·Z2 (at w). */
function finish(w: usize): void {
  mul(V2, V, V);
  mul(V3, V2, V);
  mul(R1, V2, R1);
  // A = u^2·Z1·Z2 - v^3 - 2·r with r = v^2·X1·Z2
  add(S, R1, R1);
  add(S, S, V3);
  mul(A, U, U);
  mulSub(A, A, w, S);
  // X = v·A, Y = u·(r - A) - v^3·Y1·Z2, Z = v^3·Z1·Z2
  mul(T, V3, T);
  sub(S, R1, A);
  mulSub(SUM + Y, S, U, T);
  mul(SUM, V, A);
  mul(SUM + Z, V3, w);
}

/** SUM += the gathered entries, whose Z is 1. */
function addGathered(): void {
  mulSub(U, GATHERED + Y, SUM + Z, SUM + Y);
  mulSub(V, GATHERED, SUM + Z, SUM);
  memory.copy(T, SUM + Y, WIDE_BYTES);
  memory.copy(R1, SUM, WIDE_BYTES);
  finish(SUM + Z);
}

/** SUM += OTHER. */
function addOther(): void {
  mul(T, SUM + Y, OTHER + Z);
  mulSub(U, OTHER + Y, SUM + Z, T);
  mul(R1, SUM, OTHER + Z);
  mulSub(V, OTHER, SUM + Z, R1);
  mul(W, SUM + Z, OTHER + Z);
  finish(W);
}

/**
 * Adds up `count` entries in each lane: those of lane l at entries + l·stride + step·i (in bytes),
 * i from 0.
 */
export function sumWide(entries: usize, count: u32, stride: u32, step: u32): void {
  for (let i: u32 = 0; i < count; ++i) {
    const at = entries + <usize>(i * step);
    gather(
      load<u32>(at),
      load<u32>(at + <usize>stride),
      load<u32>(at + <usize>(2 * stride)),
      load<u32>(at + <usize>(3 * stride)),
    );
    if (i > 0) addGathered();
    else {
      memory.copy(SUM, GATHERED, 2 * WIDE_BYTES);
      memory.copy(SUM + Z, ONE, WIDE_BYTES);
    }
  }
}

/** Makes every lane of the sum the sum of all four. */
export function sumWideAcross(): void {
  turnTwo(OTHER, SUM, 720);
  addOther();
  turnOne(OTHER, SUM, 720);
  addOther();
}

/** Whether an addition of this lane was exceptional. */
export function isExceptional(lane: u32): bool {
  return isZero(SUM + Z, lane);
}

/** Sets the number, 12 limbs, that x of a lane is to be compared with. */
export function setExpected(lane: u32, r: usize): void {
  setLane(EXPECTED, lane, r);
}

/** Prepares `isExpected`: X less the expected number times Z. */
export function compareExpected(): void {
  mul(EXPECTED, SQUARE, EXPECTED);
  mulSub(EXPECTED, EXPECTED, SUM + Z, SUM);
}

export function isExpected(lane: u32): bool {
  return isZero(EXPECTED, lane);
}
