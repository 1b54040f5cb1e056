/**
 * Sums of a few points of P-384 in four lanes, in projective coordinates, x = X/Z and y = Y/Z
 * (Cohen, Miyaji and Ono, Asiacrypt 1998, §2.2): the end of what curve/tree begins, 11
 * multiplications of vectors a point. Where an addition is exceptional (P = Q, P = -Q, or infinity)
 * Z becomes zero and stays zero.
 */
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
} from "../field/p384-lanes";

const Y: usize = 240;
const Z: usize = 480;
const SUM: usize = memory.data(720, 16);
const OTHER: usize = memory.data(720, 16);
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

/** SUM += affine points. */
function addAffine(point: usize): void {
  mulSub(U, point + Y, SUM + Z, SUM + Y);
  mulSub(V, point, SUM + Z, SUM);
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

/** Adds up `count` affine vector points, one behind another. */
export function sumWide(points: usize, count: u32): void {
  memory.copy(SUM, points, 2 * WIDE_BYTES);
  memory.copy(SUM + Z, ONE, WIDE_BYTES);
  for (let i: u32 = 1; i < count; ++i) addAffine(points + <usize>i * Z);
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
