/**
 * Sums of many points of P-384, four sums at a time, in affine coordinates: the tree of p256-tree,
 * with its shared inversions and its treatment of exceptional additions (P = Q or P = -Q: such
 * lanes are marked and go on with another point), for numbers of fifteen vectors. The last levels
 * are left to p384-lanes.
 */
import { invariant } from "../abi";
import {
  add,
  choose,
  copyWide,
  invertLanes,
  isZero,
  mul,
  mulSub,
  ONE,
  sub,
  WIDE_BYTES,
} from "../field/p384-lanes";

/** Bytes of a vector point, x then y of four points. */
export const WIDE_POINT_BYTES: i32 = 480;
const Y: usize = 240;

/** Vector sums at once: 32 signatures in four lanes. */
export const WIDE_GROUPS_MAX: u32 = 8;
/** Points of one sum: 39 windows of the base point and 128 of a key, and one more for even. */
export const WIDE_POINTS_MAX: u32 = 168;
/** Additions of one level up to which projective coordinates are the faster ones (measured). */
const JOBS_TOP_MAX: u32 = 6;

// A job is one addition of vector points: addresses of both and of the sum, and the number of its
// group.
const JOBS: usize = memory.data(8 * 84 * 16, 16);
const PRODUCTS: usize = memory.data((8 * 84 + 1) * 240, 16);
const POINTS: usize = memory.data(8 * 168 * 480 + 32, 16);
/** For each group, the lanes (bits 0 to 3) that met an exceptional case. */
const MARKS: usize = memory.data(8, 16);

const DIFFERENCE: usize = memory.data(240, 16);
const INVERSE: usize = memory.data(240, 16);
const SLOPE: usize = memory.data(240, 16);
const SUM_X: usize = memory.data(240, 16);

/** Vector point `index` of a group. */
// @ts-ignore: decorator
@inline
export function widePointOf(group: u32, index: u32): usize {
  return POINTS + <usize>((group * WIDE_POINTS_MAX + index) * WIDE_POINT_BYTES);
}

/** The lanes of a group (bits 0 to 3) whose sums are worth nothing. */
export function wideMarksOf(group: u32): u32 {
  return <u32>load<u8>(MARKS + <usize>group);
}

export function setWideJob(job: u32, p: usize, q: usize, sum: usize, group: u32): void {
  invariant(job < WIDE_GROUPS_MAX * (WIDE_POINTS_MAX >> 1));
  const at = JOBS + (<usize>job << 4);
  store<u32>(at, <u32>p);
  store<u32>(at, <u32>q, 4);
  store<u32>(at, <u32>sum, 8);
  store<u32>(at, group, 12);
}

/**
 * PRODUCTS[i] = the product of the denominators of jobs i and up; false when it is zero in a lane.
 */
function multiplyUp(jobs: u32): bool {
  copyWide(PRODUCTS + <usize>(jobs * WIDE_BYTES), ONE);
  for (let job = jobs; job-- > 0;) {
    const at = JOBS + (<usize>job << 4);
    sub(DIFFERENCE, <usize>load<u32>(at, 4), <usize>load<u32>(at));
    const product = PRODUCTS + <usize>(job * WIDE_BYTES);
    mul(product, DIFFERENCE, product + WIDE_BYTES);
  }
  return invertLanes(INVERSE, PRODUCTS);
}

/**
 * Does all jobs, in order (a sum may take the place of points of its own or an earlier job); false,
 * with nothing done, when a denominator is zero.
 */
export function addWidePairs(jobs: u32): bool {
  if (!multiplyUp(jobs)) return false;
  for (let job: u32 = 0; job < jobs; ++job) {
    const at = JOBS + (<usize>job << 4);
    const p = <usize>load<u32>(at);
    const q = <usize>load<u32>(at, 4);
    const sum = <usize>load<u32>(at, 8);
    mul(SLOPE, INVERSE, PRODUCTS + <usize>((job + 1) * WIDE_BYTES));
    sub(DIFFERENCE, q, p);
    mul(INVERSE, DIFFERENCE, INVERSE);
    sub(DIFFERENCE, q + Y, p + Y);
    mul(SLOPE, DIFFERENCE, SLOPE);
    // x = slope^2 - (x1 + x2), y = slope·(x1 - x) - y1
    add(DIFFERENCE, p, q);
    mulSub(SUM_X, SLOPE, SLOPE, DIFFERENCE);
    sub(DIFFERENCE, p, SUM_X);
    mulSub(sum + Y, DIFFERENCE, SLOPE, p + Y);
    copyWide(sum, SUM_X);
  }
  return true;
}

/** Marks the lanes whose denominator is zero, and gives them another: x2 = x1 + 1. */
function markZeros(jobs: u32): void {
  for (let job: u32 = 0; job < jobs; ++job) {
    const at = JOBS + (<usize>job << 4);
    const p = <usize>load<u32>(at);
    const q = <usize>load<u32>(at, 4);
    sub(DIFFERENCE, q, p);
    let lanes: u32 = 0;
    for (let lane: u32 = 0; lane < 4; ++lane) {
      if (isZero(DIFFERENCE, lane)) lanes |= 1 << lane;
    }
    if (lanes == 0) continue;
    const mark = MARKS + <usize>load<u32>(at, 12);
    store<u8>(mark, load<u8>(mark) | <u8>lanes);
    add(DIFFERENCE, p, ONE);
    // As a product, so that its limbs are balanced again.
    mul(DIFFERENCE, DIFFERENCE, ONE);
    choose(q, DIFFERENCE, lanes);
  }
}

/**
 * Adds up the first `points` vector points of each group, until few are left, the first ones of
 * each: how many. A lane that met an exceptional case is marked.
 */
export function sumWideGroups(groups: u32, points: u32): u32 {
  invariant(groups <= WIDE_GROUPS_MAX && points <= WIDE_POINTS_MAX);
  memory.fill(MARKS, 0, WIDE_GROUPS_MAX);
  let left = points;
  for (; left > 1 && groups * (left >> 1) > JOBS_TOP_MAX; left = (left + 1) >> 1) {
    addLevel(groups, left);
  }
  return left;
}

/** One level: points 2i and 2i + 1 of each group become point i. */
function addLevel(groups: u32, left: u32): void {
  const pairs = left >> 1;
  let jobs: u32 = 0;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let i: u32 = 0; i < pairs; ++i) {
      const p = widePointOf(group, 2 * i);
      setWideJob(jobs++, p, p + WIDE_POINT_BYTES, widePointOf(group, i), group);
    }
  }
  if (!addWidePairs(jobs)) {
    markZeros(jobs);
    assert(addWidePairs(jobs));
  }
  if ((left & 1) == 0) return;
  for (let group: u32 = 0; group < groups; ++group) {
    memory.copy(widePointOf(group, pairs), widePointOf(group, left - 1), WIDE_POINT_BYTES);
  }
}
