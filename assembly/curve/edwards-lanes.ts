/**
 * Sums of points of edwards25519 in four lanes, without a doubling. For windows of w bits, entry j
 * of window i of a table is j·2^(w·i)·P, 1 <= j <= 2^(w-1), as (y - x)/2, (y + x)/2 and d·x·y: the
 * mixed addition of H. Hisil, K. Wong, G. Carter and E. Dawson (Twisted Edwards curves revisited,
 * 2008/522, §3.1) then takes seven multiplications, and with everything halved no sum grows too
 * large for the next one. The formulas are complete: nothing is exceptional.
 *
 * A vector point is X, Y, Z, T of four points, one a lane.
 */
import { invariant } from "../abi";
import {
  add,
  fill,
  invertLanes,
  LANES_BYTES,
  mul,
  mulDifference,
  sub,
  toLimbs,
  turnOne,
  turnTwo,
} from "../field/f25519-lanes";
import { copyLanes, touchEntries } from "../field/lanes";
import { addLimbs, clear, copy, limb, setLimb } from "../field/limbs";
import {
  add as addModular,
  fromMontgomery,
  invert,
  mul as mulModular,
  sub as subModular,
} from "../field/montgomery";
import { addPoints, BASE_POINT, D1, FIELD, POINT_BYTES } from "./edwards25519";
import { gatherLanes } from "./windows";

/** Three coordinates of 40 bytes, and 8 bytes of nothing. */
const ENTRY_BYTES: u32 = 128;
/** Bits of a window of the base point's table, of 1.7 MB. */
export const BASE_WINDOW: u32 = 10;
const BASE_TABLE: usize = memory.data(26 * 512 * 128, 64);
let baseReady: bool = false;

const Y: usize = 160;
const Z: usize = 320;
const T: usize = 480;

/** The sum at hand, another, and entries gathered. */
const SUM: usize = memory.data(640, 16);
const OTHER: usize = memory.data(640, 16);
const GATHERED: usize = memory.data(512, 16);
/** Groups of four sums at once. */
export const ED_GROUPS_MAX: u32 = 16;
/** X, Y and Z of each group's sum, and the products of each Z with those before. */
const SUMS: usize = memory.data(16 * 480, 16);
const PRODUCTS: usize = memory.data(16 * 160, 16);
const NEUTRAL: usize = memory.data(128, 16);
const TWICE_D: usize = memory.data(160, 16);
const A: usize = memory.data(160, 16);
const B: usize = memory.data(160, 16);
const C: usize = memory.data(160, 16);
const E: usize = memory.data(160, 16);
const F: usize = memory.data(160, 16);
const G: usize = memory.data(160, 16);
const H: usize = memory.data(160, 16);

// While a table is made: its window's multiples of the base, products of their z, and single
// numbers.
const MULTIPLES: usize = memory.data(512 * 128, 16);
const CHAIN: usize = memory.data(512 * 32, 16);
const INVERSE: usize = memory.data(32, 16);
const FACTOR: usize = memory.data(32, 16);
const AX: usize = memory.data(32, 16);
const AY: usize = memory.data(32, 16);
const NUMBER: usize = memory.data(32, 16);
const BASE: usize = memory.data(128, 16);
const BIASED: usize = memory.data(40, 16);
const BIAS: usize = memory.data(40, 16);

/** 1/2. */
const HALF: usize = memory.data<u32>([
  0xfffffff7, 0xffffffff, 0xffffffff, 0xffffffff,
  0xffffffff, 0xffffffff, 0xffffffff, 0x3fffffff,
]);

/** 2·d. */
const DOUBLE_D: usize = memory.data<u32>([
  0x26b2f159, 0xebd69b94, 0x8283b156, 0x00e0149a,
  0xeef3d130, 0x198e80f2, 0x56dffce7, 0x2406d9dc,
]);

const ZERO_ONE: usize = memory.data<u32>([1, 0, 0, 0, 0, 0, 0, 0]);

// @ts-ignore: decorator
@inline
function sumOf(group: u32): usize {
  return SUMS + <usize>(group * 480);
}

export function edWindows(window: u32): u32 {
  return (253 + window) / window;
}

export function edTableBytes(window: u32): u32 {
  return edWindows(window) * (<u32>1 << (window - 1)) * ENTRY_BYTES;
}

/** The base point's table; made, with all constants, when it is first asked for. */
export function edBaseTable(): usize {
  if (!baseReady) {
    writeLimbs(NEUTRAL, HALF);
    writeLimbs(NEUTRAL + 40, HALF);
    memory.fill(NEUTRAL + 80, 0, 40);
    fill(TWICE_D, DOUBLE_D);
    makeEdTable(BASE_TABLE, BASE_WINDOW, BASE_POINT);
    baseReady = true;
  }
  return BASE_TABLE;
}

/** Fills a table of `edTableBytes(window)` bytes for a point, as edwards25519 has it. */
export function makeEdTable(table: usize, window: u32, point: usize): void {
  const windows = edWindows(window);
  const entries: u32 = <u32>1 << (window - 1);
  const size: usize = POINT_BYTES;
  memory.copy(BASE, point, size);
  for (let i: u32 = 0; i < windows; ++i) {
    memory.copy(MULTIPLES, BASE, size);
    for (let j: u32 = 1; j < entries; ++j) {
      addPoints(MULTIPLES + <usize>j * size, MULTIPLES + <usize>(j - 1) * size, BASE);
    }
    writeWindow(table + <usize>(i * entries * ENTRY_BYTES), entries);
    // The last multiple is 2^(w-1) times the base: twice that is the next base.
    const last = MULTIPLES + <usize>(entries - 1) * size;
    addPoints(BASE, last, last);
  }
}

/** Writes a window's multiples as entries, with one inversion. */
function writeWindow(out: usize, entries: u32): void {
  const size: usize = POINT_BYTES;
  copy(CHAIN, MULTIPLES + 64, 8);
  for (let j: u32 = 1; j < entries; ++j) {
    const at = CHAIN + ((<usize>j) << 5);
    mulModular(FIELD, at, at - 32, MULTIPLES + <usize>j * size + 64);
  }
  invert(FIELD, INVERSE, CHAIN + ((<usize>(entries - 1)) << 5));
  for (let j = entries; j-- > 0;) {
    const point = MULTIPLES + <usize>j * size;
    if (j > 0) mulModular(FIELD, FACTOR, INVERSE, CHAIN + ((<usize>(j - 1)) << 5));
    else copy(FACTOR, INVERSE, 8);
    mulModular(FIELD, INVERSE, INVERSE, point + 64);
    mulModular(FIELD, AX, point, FACTOR);
    mulModular(FIELD, AY, point + 32, FACTOR);
    const entry = out + <usize>(j * ENTRY_BYTES);
    // Plain numbers come of a product of one number in Montgomery's form and one in plain form.
    subModular(FIELD, NUMBER, AY, AX);
    mulModular(FIELD, NUMBER, HALF, NUMBER);
    writeLimbs(entry, NUMBER);
    addModular(FIELD, NUMBER, AY, AX);
    mulModular(FIELD, NUMBER, HALF, NUMBER);
    writeLimbs(entry + 40, NUMBER);
    mulModular(FIELD, NUMBER, AX, AY);
    mulModular(FIELD, NUMBER, NUMBER, D1);
    fromMontgomery(FIELD, NUMBER, NUMBER);
    writeLimbs(entry + 80, NUMBER);
  }
}

/** Writes a number below 2^256 as 20 limbs of 13 bits, balanced in [-2^12, 2^12). */
function writeLimbs(out: usize, a: usize): void {
  let held: i64 = 0;
  let bits: u32 = 0;
  let next: u32 = 0;
  for (let k: usize = 0; k < 20; ++k) {
    if (bits < 13 && next < 8) {
      held += <i64>limb(a, next++) << bits;
      bits += 32;
    }
    const carry = k < 19 ? (held + 4096) >> 13 : 0;
    store<i16>(out + (k << 1), <i16>(held - (carry << 13)));
    held = carry;
    bits = bits < 13 ? 0 : bits - 13;
  }
}

/**
 * Writes the entries that add up to k·P, or to -k·P: for each window an address, and 1 more where
 * it is to be negated. k is 8 limbs, below 2^253. Its digits are those of k + 2^(w-1)·(1 + 2^w +
 * ...), each less 2^(w-1).
 */
export function edEntries(out: usize, table: usize, window: u32, k: usize, negate: u32): void {
  const windows = edWindows(window);
  const entries: u32 = <u32>1 << (window - 1);
  clear(BIAS, 9);
  for (let i: u32 = 0; i < windows; ++i) {
    const bit = i * window + window - 1;
    setLimb(BIAS, bit >> 5, limb(BIAS, bit >> 5) | (<u32>1 << (bit & 31)));
  }
  copy(BIASED, k, 8);
  setLimb(BIASED, 8, 0);
  const carry = addLimbs(BIASED, BIASED, BIAS, 9);
  invariant(carry == 0);
  for (let i: u32 = 0; i < windows; ++i) {
    const at = i * window;
    const word = at >> 5;
    let bits: u64 = <u64>limb(BIASED, word);
    if (word < 8) bits |= <u64>limb(BIASED, word + 1) << 32;
    const digit = <i32>(<u32>(bits >> (at & 31)) & (2 * entries - 1)) - <i32>entries;
    let entry = <u32>NEUTRAL;
    if (digit != 0) {
      const j = <u32>(digit < 0 ? -digit : digit) - 1;
      entry = <u32>table + (i * entries + j) * ENTRY_BYTES;
      entry |= <u32>(digit < 0) ^ negate;
    }
    store<u32>(out + ((<usize>i) << 2), entry);
  }
}

/** An entry that changes no sum. */
export function neutralEntry(): u32 {
  return <u32>NEUTRAL;
}

/**
 * Gathers four entries, one a lane; the negative of a point swaps its first two coordinates and
 * negates the third.
 */
function gather(a: u32, b: u32, c: u32, d: u32): void {
  const signs = gatherLanes(GATHERED, ENTRY_BYTES, a, b, c, d);
  for (let i: usize = GATHERED; i < GATHERED + 160; i += 16) {
    const minus = v128.load(i);
    const plus = v128.load(i, 160);
    const product = v128.load(i, 320);
    v128.store(i, v128.bitselect(plus, minus, signs));
    v128.store(i, v128.bitselect(minus, plus, signs), 160);
    v128.store(i, i16x8.sub(v128.xor(product, signs), signs), 320);
  }
}

/** SUM = the products of E to H, which end every addition. */
function finish(): void {
  mul(SUM, E, F);
  mul(SUM + Y, G, H);
  mul(SUM + T, E, H);
  mul(SUM + Z, F, G);
}

/** SUM += the gathered entries. */
function addGathered(): void {
  mulDifference(A, GATHERED, SUM + Y, SUM);
  add(B, SUM + Y, SUM);
  mul(B, B, GATHERED + 160);
  mul(C, SUM + T, GATHERED + 320);
  sub(E, B, A);
  sub(F, SUM + Z, C);
  add(G, SUM + Z, C);
  add(H, B, A);
  finish();
}

/** SUM += OTHER (RFC 8032 §5.1.4). */
function addOther(): void {
  sub(A, SUM + Y, SUM);
  sub(E, OTHER + Y, OTHER);
  mul(A, A, E);
  add(B, SUM + Y, SUM);
  add(E, OTHER + Y, OTHER);
  mul(B, B, E);
  mul(C, SUM + T, TWICE_D);
  mul(C, C, OTHER + T);
  add(G, SUM + Z, SUM + Z);
  mul(G, G, OTHER + Z);
  sub(E, B, A);
  sub(F, G, C);
  add(H, B, A);
  add(G, G, C);
  finish();
}

/**
 * Adds up `count` entries in each lane: those of lane l at entries + l·stride + step·i (in bytes),
 * i from 0.
 */
export function sumEntries(entries: usize, count: u32, stride: u32, step: u32): void {
  memory.fill(SUM, 0, 640);
  fill(SUM + Y, ZERO_ONE);
  fill(SUM + Z, ZERO_ONE);
  for (let lane: u32 = 0; lane < 4 && step == 4; ++lane) {
    touchEntries(entries + <usize>(lane * stride), count);
  }
  if (step != 4) touchEntries(entries, 4 * count);
  for (let i: u32 = 0; i < count; ++i) {
    const at = entries + <usize>(i * step);
    gather(
      load<u32>(at),
      load<u32>(at + <usize>stride),
      load<u32>(at + <usize>(2 * stride)),
      load<u32>(at + <usize>(3 * stride)),
    );
    addGathered();
  }
}

/** Makes every lane of the sum the sum of all four. */
export function sumAcrossLanes(): void {
  for (let i: usize = 0; i < 640; i += <usize>LANES_BYTES) turnTwo(OTHER + i, SUM + i);
  addOther();
  for (let i: usize = 0; i < 640; i += <usize>LANES_BYTES) turnOne(OTHER + i, SUM + i);
  addOther();
}

/** Keeps the sum at hand as that of a group, 0 and up in order, for `toAffineGroups`. */
export function keepSum(group: u32): void {
  invariant(group < ED_GROUPS_MAX);
  const product = PRODUCTS + <usize>(group * LANES_BYTES);
  if (group == 0) copyLanes(product, SUM + Z);
  else mul(product, product - LANES_BYTES, SUM + Z);
  for (let i: usize = 0; i < 480; i += <usize>LANES_BYTES) copyLanes(sumOf(group) + i, SUM + i);
}

/** Divides the kept sums by Z, with one inversion: then `encodeLane` gives the points. */
export function toAffineGroups(groups: u32): void {
  invertLanes(B, PRODUCTS + <usize>((groups - 1) * LANES_BYTES));
  for (let group = groups; group-- > 0;) {
    const sum = sumOf(group);
    if (group == 0) copyLanes(A, B);
    else mul(A, B, PRODUCTS + <usize>((group - 1) * LANES_BYTES));
    mul(B, B, sum + Z);
    mul(sum, sum, A);
    mul(sum + Y, sum + Y, A);
  }
}

/** Writes the encoding of the point in a group's lane, RFC 8032 §5.1.2. */
export function encodeLane(out: usize, group: u32, lane: u32): void {
  toLimbs(NUMBER, sumOf(group), lane);
  toLimbs(out, sumOf(group) + Y, lane);
  setLimb(out, 7, limb(out, 7) | (limb(NUMBER, 0) << 31));
}
