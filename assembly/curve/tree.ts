/**
 * Sums of many points, four sums at a time, in affine coordinates. The points of a sum are added as
 * a tree, and all additions of one level share an inversion (Montgomery's trick), so that an
 * addition costs six multiplications of vectors and a sum of 54 points waits for six inversions,
 * however many sums there are. The last levels of a small tree are left to p256-top and p384-lanes.
 *
 * A vector point is x then y of four points, one a lane; it is never infinity. Adding a point to
 * itself or to its negative makes a denominator zero, and only that does; it happens by chance to
 * nobody, but the holder of a private key can force it. Such lanes are found, marked, and go on
 * with another point, so that they harm no other sum; the caller verifies the marked signatures in
 * plain form.
 *
 * F is the field: P256Lanes or P384Lanes (field/), which say how long a number is.
 */
import { invariant } from "../abi";

/** Vector sums at once: 64 signatures of P-256 in four lanes, or half as many of P-384. */
export const GROUPS_MAX: u32 = 16;
/** Points of one sum of P-384: 35 windows of the base point, 128 of a key, and some to fill up. */
export const POINTS_MAX: u32 = 168;
const JOBS_MAX: u32 = 672;

// A job is one addition of vector points: addresses of both and of the sum, and the number of its
// group.
const JOBS: usize = memory.data(672 * 16, 16);
const PRODUCTS: usize = memory.data((672 + 1) * 240, 16);
const POINTS: usize = memory.data(16 * 168 * 320, 16);
const POINTS_BYTES: usize = 16 * 168 * 320;
/** For each group, the lanes (bits 0 to 3) that met an exceptional case. */
const MARKS: usize = memory.data(16, 16);

const DIFFERENCE: usize = memory.data(240, 16);
const INVERSE: usize = memory.data(240, 16);
const SLOPE: usize = memory.data(240, 16);
const SUM_X: usize = memory.data(240, 16);

/** The field, whose methods are known when this is compiled: nothing is called through a table. */
// @ts-ignore: decorator
@inline
function field<F>(): F {
  return changetype<F>(0);
}

/** Vector point `index` of a group. */
// @ts-ignore: decorator
@inline
export function pointOf<F>(group: u32, index: u32): usize {
  return POINTS + <usize>(group * POINTS_MAX + index) * 2 * field<F>().bytes;
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
function multiplyUp<F>(jobs: u32): bool {
  const f = field<F>();
  f.copy(PRODUCTS + <usize>jobs * f.bytes, f.one);
  for (let job = jobs; job-- > 0;) {
    const at = JOBS + ((<usize>job) << 4);
    const product = PRODUCTS + <usize>job * f.bytes;
    const p = <usize>load<u32>(at);
    f.mulDifference(product, product + f.bytes, <usize>load<u32>(at, 4), p);
  }
  return f.invert(INVERSE, PRODUCTS);
}

/**
 * Does all jobs, in order (a sum may take the place of points of its own or an earlier job); false,
 * with nothing done, when a denominator is zero.
 */
export function addPairs<F>(jobs: u32): bool {
  const f = field<F>();
  if (!multiplyUp<F>(jobs)) return false;
  for (let job: u32 = 0; job < jobs; ++job) {
    const at = JOBS + ((<usize>job) << 4);
    const p = <usize>load<u32>(at);
    const q = <usize>load<u32>(at, 4);
    const sum = <usize>load<u32>(at, 8);
    const y = f.bytes;
    f.mul(SLOPE, INVERSE, PRODUCTS + <usize>(job + 1) * f.bytes);
    f.mulDifference(INVERSE, INVERSE, q, p);
    f.mulDifference(SLOPE, SLOPE, q + y, p + y);
    // x = slope^2 - (x1 + x2), y = slope·(x1 - x) - y1
    f.add(SUM_X, p, q);
    f.sqrSub(SUM_X, SLOPE, SUM_X);
    f.mulDifferenceSub(sum + y, SLOPE, p, SUM_X, p + y);
    f.copy(sum, SUM_X);
  }
  return true;
}

/** Marks the lanes whose denominator is zero, and gives them another: x2 = x1 + 1. */
function markZeros<F>(jobs: u32): void {
  const f = field<F>();
  for (let job: u32 = 0; job < jobs; ++job) {
    const at = JOBS + ((<usize>job) << 4);
    const p = <usize>load<u32>(at);
    const q = <usize>load<u32>(at, 4);
    f.sub(DIFFERENCE, q, p);
    let lanes: u32 = 0;
    for (let lane: u32 = 0; lane < 4; ++lane) {
      if (f.isZero(DIFFERENCE, lane)) lanes |= 1 << lane;
    }
    if (lanes == 0) continue;
    const mark = MARKS + <usize>load<u32>(at, 12);
    store<u8>(mark, load<u8>(mark) | <u8>lanes);
    f.add(DIFFERENCE, p, f.one);
    // As a product, so that its limbs are as small again as those of a point.
    f.mul(DIFFERENCE, DIFFERENCE, f.one);
    f.choose(q, DIFFERENCE, lanes);
  }
}

export function clearMarks(): void {
  memory.fill(MARKS, 0, GROUPS_MAX);
}

/**
 * Adds up the first `points` vector points of each group, until a level has no more than `few`
 * additions: the first ones of each group are left, and how many is returned. A lane that met an
 * exceptional case is marked. Marks accumulate.
 */
export function sumGroups<F>(groups: u32, points: u32, few: u32): u32 {
  invariant(points <= POINTS_MAX && pointOf<F>(groups, 0) <= POINTS + POINTS_BYTES);
  let left = points;
  for (; left > 1 && groups * (left >> 1) > few; left = (left + 1) >> 1) addLevel<F>(groups, left);
  return left;
}

/** One level: points 2i and 2i + 1 of each group become point i. */
function addLevel<F>(groups: u32, left: u32): void {
  const f = field<F>();
  const pairs = left >> 1;
  let jobs: u32 = 0;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let i: u32 = 0; i < pairs; ++i) {
      const p = pointOf<F>(group, 2 * i);
      setJob(jobs++, p, p + 2 * f.bytes, pointOf<F>(group, i), group);
    }
  }
  if (!addPairs<F>(jobs)) {
    markZeros<F>(jobs);
    assert(addPairs<F>(jobs));
  }
  if ((left & 1) == 0) return;
  for (let group: u32 = 0; group < groups; ++group) {
    f.copy(pointOf<F>(group, pairs), pointOf<F>(group, left - 1));
    f.copy(pointOf<F>(group, pairs) + f.bytes, pointOf<F>(group, left - 1) + f.bytes);
  }
}
