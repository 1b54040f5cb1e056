/**
 * Sums of many points of P-256, four sums at a time, in affine coordinates. The points of a sum are
 * added as a tree, and all additions of one level share an inversion (Montgomery's trick), so that
 * an addition costs six multiplications of vectors and a sum of 69 points waits for seven
 * inversions, however many sums there are. The last levels of a small tree are left to p256-top.
 *
 * A vector point is x then y of four points, one a lane; it is never infinity. Adding a point to
 * itself or to its negative makes a denominator zero, and only that does; it happens by chance to
 * nobody, but the holder of a private key can force it. Such lanes are found, marked, and go on
 * with another point, so that they harm no other sum; the caller verifies the marked signatures in
 * plain form.
 */
import { invariant } from "../abi";
import {
  add,
  choose,
  copyLanes,
  invertLanes,
  isZero,
  LANES_BYTES,
  mul,
  mulDifference,
  mulDifferenceSub,
  ONE,
  sqrSub,
  sub,
} from "../field/p256-lanes";
import { JOBS_TOP_MAX, setTop, sumTops, topX, topZ } from "./p256-top";

/** Bytes of a vector point, and the offset of y. */
export const VECTOR_POINT_BYTES: i32 = 320;
const Y: usize = 160;

/** Vector sums at once: 64 signatures in four lanes. */
export const GROUPS_MAX: u32 = 16;
/** Points of one sum: 32 windows of the base point and 52 of a key. */
export const POINTS_MAX: u32 = 84;
const JOBS_MAX: u32 = 16 * 42;

// A job is one addition of vector points: addresses of both and of the sum, and the number of its
// group.
const JOBS: usize = memory.data(16 * 42 * 16, 16);
const PRODUCTS: usize = memory.data((16 * 42 + 1) * 160, 16);
const POINTS: usize = memory.data(16 * 84 * 320, 16);
/** For each group, the lanes (bits 0 to 3) that met an exceptional case. */
const MARKS: usize = memory.data(16, 16);

const DIFFERENCE: usize = memory.data(160, 16);
const INVERSE: usize = memory.data(160, 16);
const SLOPE: usize = memory.data(160, 16);
const SUM_X: usize = memory.data(160, 16);
/** Whether the sums are in projective form (p256-top). */
let onTop: bool = false;

/** Vector point `index` of a group. */
// @ts-ignore: decorator
@inline
export function pointOf(group: u32, index: u32): usize {
  return POINTS + <usize>((group * POINTS_MAX + index) * VECTOR_POINT_BYTES);
}

/**
 * The lanes of a group (bits 0 to 3) whose sums met an exceptional case, and so are worth nothing.
 */
export function marksOf(group: u32): u32 {
  return <u32>load<u8>(MARKS + <usize>group);
}

export function setJob(job: u32, p: usize, q: usize, sum: usize, group: u32): void {
  invariant(job < JOBS_MAX);
  const at = JOBS + ((<usize>job) << 4);
  store<u32>(at, <u32>p);
  store<u32>(at, <u32>q, 4);
  store<u32>(at, <u32>sum, 8);
  store<u32>(at, group, 12);
}

/**
 * PRODUCTS[i] = the product of the denominators of jobs i and up; false when it is zero in a lane.
 */
function multiplyUp(jobs: u32): bool {
  copyLanes(PRODUCTS + <usize>(jobs * LANES_BYTES), ONE);
  for (let job = jobs; job-- > 0;) {
    const at = JOBS + ((<usize>job) << 4);
    const product = PRODUCTS + <usize>(job * LANES_BYTES);
    const p = <usize>load<u32>(at);
    mulDifference(product, product + LANES_BYTES, <usize>load<u32>(at, 4), p);
  }
  return invertLanes(INVERSE, PRODUCTS);
}

/**
 * Does all jobs, in order (a sum may take the place of points of its own or an earlier job); false,
 * with nothing done, when a denominator is zero.
 */
export function addPairs(jobs: u32): bool {
  if (!multiplyUp(jobs)) return false;
  for (let job: u32 = 0; job < jobs; ++job) {
    const at = JOBS + ((<usize>job) << 4);
    const p = <usize>load<u32>(at);
    const q = <usize>load<u32>(at, 4);
    const sum = <usize>load<u32>(at, 8);
    mul(SLOPE, INVERSE, PRODUCTS + <usize>((job + 1) * LANES_BYTES));
    mulDifference(INVERSE, INVERSE, q, p);
    mulDifference(SLOPE, SLOPE, q + Y, p + Y);
    // x = slope^2 - (x1 + x2), y = slope·(x1 - x) - y1
    add(SUM_X, p, q);
    sqrSub(SUM_X, SLOPE, SUM_X);
    mulDifferenceSub(sum + Y, SLOPE, p, SUM_X, p + Y);
    copyLanes(sum, SUM_X);
  }
  return true;
}

/** Marks the lanes whose denominator is zero, and gives them another: x2 = x1 + 1. */
function markZeros(jobs: u32): void {
  for (let job: u32 = 0; job < jobs; ++job) {
    const at = JOBS + ((<usize>job) << 4);
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
    choose(q, DIFFERENCE, lanes);
  }
}

export function clearMarks(): void {
  memory.fill(MARKS, 0, GROUPS_MAX);
}

/**
 * Adds up the first `points` vector points of each group. The sums are then at `xOf` and `zOf`, as
 * X/Z; a lane that met an exceptional case is marked, or has Z = 0. Marks accumulate.
 */
export function sumGroups(groups: u32, points: u32): void {
  invariant(groups <= GROUPS_MAX && points <= POINTS_MAX);
  let left = points;
  for (; left > 1 && groups * (left >> 1) > JOBS_TOP_MAX; left = (left + 1) >> 1) {
    addLevel(groups, left);
  }
  onTop = left > 1;
  if (!onTop) return;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let i: u32 = 0; i < left; ++i) setTop(group, i, pointOf(group, i));
  }
  sumTops(groups, left);
}

/** The sum of a group, x = X/Z. */
export function xOf(group: u32): usize {
  return onTop ? topX(group) : pointOf(group, 0);
}

export function zOf(group: u32): usize {
  return onTop ? topZ(group) : ONE;
}

/** One level: points 2i and 2i + 1 of each group become point i. */
function addLevel(groups: u32, left: u32): void {
  const pairs = left >> 1;
  let jobs: u32 = 0;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let i: u32 = 0; i < pairs; ++i) {
      const p = pointOf(group, 2 * i);
      setJob(jobs++, p, p + VECTOR_POINT_BYTES, pointOf(group, i), group);
    }
  }
  if (!addPairs(jobs)) {
    markZeros(jobs);
    assert(addPairs(jobs));
  }
  if ((left & 1) == 0) return;
  for (let group: u32 = 0; group < groups; ++group) {
    copyLanes(pointOf(group, pairs), pointOf(group, left - 1));
    copyLanes(pointOf(group, pairs) + Y, pointOf(group, left - 1) + Y);
  }
}
