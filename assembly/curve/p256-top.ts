/**
 * The upper levels of small trees (curve/tree), where so few additions are left that an inversion
 * shared by them costs more than it saves: projective coordinates, x = X/Z and y = Y/Z, without any
 * inversion. An addition (H. Cohen, A. Miyaji, T. Ono, Efficient elliptic curve exponentiation
 * using mixed coordinates, Asiacrypt 1998, §2.2) takes 14 multiplications of vectors, in the first of
 * these levels, where both points are affine, seven. Where it is exceptional (P = Q, P = -Q, or
 * infinity) Z becomes zero, and stays zero in every sum it enters.
 */
import { invariant } from "../abi";
import {
  add,
  copyLanes,
  LANES_BYTES,
  mul,
  mulDifferenceSub,
  mulSub,
  ONE,
  P256Lanes,
  sqr,
  sqrSub,
  sub,
  turnOne,
  turnTwo,
} from "../field/p256-lanes";
import { pointOf as treePoint, sumGroups } from "./tree";

/** Additions of one level up to which this form is the faster one (measured). */
const JOBS_MAX: u32 = 6;
/** Points of a group, and groups, when a level has no more additions than that. */
const POINTS_MAX: u32 = 13;
const GROUPS_MAX: u32 = 6;

const POINT_BYTES: u32 = 480;
const Y: usize = 160;
const Z: usize = 320;
const POINTS: usize = memory.data(6 * 13 * 480, 16);

const T: usize = memory.data(160, 16);
const U: usize = memory.data(160, 16);
const V: usize = memory.data(160, 16);
const W: usize = memory.data(160, 16);
const V2: usize = memory.data(160, 16);
const V3: usize = memory.data(160, 16);
const X1: usize = memory.data(160, 16);
const A: usize = memory.data(160, 16);
const S: usize = memory.data(160, 16);

/** Whether the sums are in projective form. */
let onTop: bool = false;

// @ts-ignore: decorator
@inline
function pointOf(group: u32, index: u32): usize {
  return POINTS + <usize>((group * POINTS_MAX + index) * POINT_BYTES);
}

/** Takes an affine vector point (x then y) in. */
function setTop(group: u32, index: u32, affine: usize): void {
  invariant(group < GROUPS_MAX && index < POINTS_MAX);
  const point = pointOf(group, index);
  memory.copy(point, affine, 2 * LANES_BYTES);
  copyLanes(point + Z, ONE);
}

/** out = P + Q for two points with Z = 1; out may be either. */
function addFirst(out: usize, p: usize, q: usize): void {
  sub(U, q + Y, p + Y);
  sub(V, q, p);
  sqr(V2, V);
  mul(V3, V2, V);
  mul(X1, V2, p);
  mul(T, V3, p + Y);
  add(S, X1, X1);
  add(S, S, V3);
  sqrSub(A, U, S);
  mul(out, V, A);
  mulDifferenceSub(out + Y, U, X1, A, T);
  copyLanes(out + Z, V3);
}

/** out = P + Q; out may be either. */
function addTop(out: usize, p: usize, q: usize): void {
  mul(T, p + Y, q + Z);
  mulSub(U, q + Y, p + Z, T); // u = Y2·Z1 - Y1·Z2
  mul(X1, p, q + Z);
  mulSub(V, q, p + Z, X1); // v = X2·Z1 - X1·Z2
  mul(W, p + Z, q + Z);
  sqr(V2, V);
  mul(V3, V2, V);
  mul(X1, V2, X1); // r = v^2·X1·Z2
  // A = u^2·Z1·Z2 - v^3 - 2·r
  add(S, X1, X1);
  add(S, S, V3);
  sqr(A, U);
  mulSub(A, A, W, S);
  // X = v·A, Y = u·(r - A) - v^3·Y1·Z2, Z = v^3·Z1·Z2
  mul(out, V, A);
  mul(T, V3, T);
  mulDifferenceSub(out + Y, U, X1, A, T);
  mul(out + Z, V3, W);
}

/**
 * Adds up the first `points` vector points of each group of the tree. The sums are then at `xOf` and
 * `zOf`; a lane that met an exceptional case is marked there, or has Z = 0.
 */
export function sumWhole(groups: u32, points: u32): void {
  const left = sumGroups<P256Lanes>(groups, points, JOBS_MAX);
  onTop = left > 1;
  if (!onTop) return;
  for (let group: u32 = 0; group < groups; ++group) {
    for (let i: u32 = 0; i < left; ++i) setTop(group, i, treePoint<P256Lanes>(group, i));
  }
  sumTops(groups, left);
}

/** The sum of a group, x = X/Z. */
export function xOf(group: u32): usize {
  return onTop ? pointOf(group, 0) : treePoint<P256Lanes>(group, 0);
}

export function zOf(group: u32): usize {
  return onTop ? pointOf(group, 0) + Z : ONE;
}

/** Adds up the first `points` points of each group into its point 0. */
function sumTops(groups: u32, points: u32): void {
  for (let left = points; left > 1; left = (left + 1) >> 1) {
    const pairs = left >> 1;
    for (let group: u32 = 0; group < groups; ++group) {
      for (let i: u32 = 0; i < pairs; ++i) {
        const p = pointOf(group, 2 * i);
        const q = pointOf(group, 2 * i + 1);
        if (left == points) addFirst(pointOf(group, i), p, q);
        else addTop(pointOf(group, i), p, q);
      }
      if ((left & 1) == 0) continue;
      memory.copy(pointOf(group, pairs), pointOf(group, left - 1), POINT_BYTES);
    }
  }
}

/** Makes every lane of a group's sum the sum of all four. */
export function sumAcross(group: u32): void {
  const p = pointOf(group, 0);
  const q = pointOf(group, 1);
  for (let i: usize = 0; i < <usize>POINT_BYTES; i += <usize>LANES_BYTES) turnTwo(q + i, p + i);
  addTop(p, p, q);
  for (let i: usize = 0; i < <usize>POINT_BYTES; i += <usize>LANES_BYTES) turnOne(q + i, p + i);
  addTop(p, p, q);
}
