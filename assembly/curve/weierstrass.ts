/**
 * Points of y^2 = x^3 - 3x + b over a prime field, with the complete formulas of Renes, Costello
 * and Batina (Complete addition formulas for prime order elliptic curves, 2015/1060, algorithm 4):
 * right for every pair of points, P = Q, P = -Q and infinity included, so that nothing here has a
 * special case.
 *
 * A point is three coordinates X, Y, Z (x = X/Z, y = Y/Z; infinity has Z = 0), each `limbs` limbs
 * in Montgomery's form, one after another.
 */
import { invariant } from "../abi";
import { clear, compare, copy, fromBigEndian, isZero, limb } from "../field/limbs";
import { add, invert, Modulus, mul, prepare, sub, toMontgomery } from "../field/montgomery";

/** A curve: its field, the order of its base point, b, and 0 to 15 times the base point. */
@unmanaged
export class Weierstrass {
  field: Modulus;
  order: Modulus;
  b: usize;
  table: usize;
}

/** Multiples in a table: one for each value of four bits. */
const ENTRIES: u32 = 16;
const HEADER: i32 = 96;
/** Static memory that `defineCurve` wants for a curve of 8 or 12 limbs. */
export const ROOM_BYTES_8: i32 = 96 + (5 + 16 * 3) * 32;
export const ROOM_BYTES_12: i32 = 96 + (5 + 16 * 3) * 48;

const T0: usize = memory.data(48, 16);
const T1: usize = memory.data(48, 16);
const T2: usize = memory.data(48, 16);
const T3: usize = memory.data(48, 16);
const T4: usize = memory.data(48, 16);
const X3: usize = memory.data(48, 16);
const Y3: usize = memory.data(48, 16);
const Z3: usize = memory.data(48, 16);
const TABLE: usize = memory.data(16 * 144, 16);

/** Makes a curve of plain numbers (limbs; `base` is x then y) in `room`. */
export function defineCurve(
  limbs: u32,
  p: usize,
  n: usize,
  b: usize,
  base: usize,
  room: usize,
): Weierstrass {
  const size = <usize>limbs << 2;
  const curve = changetype<Weierstrass>(room);
  curve.field = changetype<Modulus>(room + 32);
  curve.order = changetype<Modulus>(room + 64);
  let next = room + HEADER;
  prepare(curve.field, limbs, p, next, next + size);
  prepare(curve.order, limbs, n, next + 2 * size, next + 3 * size);
  curve.b = next + 4 * size;
  curve.table = next + 5 * size;
  toMontgomery(curve.field, curve.b, b);
  setAffine(curve, curve.table, base);
  fillTable(curve, curve.table, curve.table);
  return curve;
}

/** Sets `point` to the affine x||y, plain limbs below p. */
function setAffine(curve: Weierstrass, point: usize, affine: usize): void {
  const size = <usize>curve.field.limbs << 2;
  toMontgomery(curve.field, point, affine);
  toMontgomery(curve.field, point + size, affine + size);
  copy(point + 2 * size, curve.field.one, curve.field.limbs);
}

function setInfinity(curve: Weierstrass, point: usize): void {
  const size = <usize>curve.field.limbs << 2;
  clear(point, curve.field.limbs);
  copy(point + size, curve.field.one, curve.field.limbs);
  clear(point + 2 * size, curve.field.limbs);
}

export function isInfinity(curve: Weierstrass, point: usize): bool {
  return isZero(point + (<usize>curve.field.limbs << 3), curve.field.limbs);
}

/**
 * Reads big-endian x||y; false unless both are below p and the point lies on the curve. The
 * cofactor is 1.
 */
export function readPoint(curve: Weierstrass, point: usize, bytes: usize): bool {
  const field = curve.field;
  const limbs = field.limbs;
  const size = <usize>limbs << 2;
  fromBigEndian(X3, limbs, bytes, <u32>size);
  fromBigEndian(Y3, limbs, bytes + size, <u32>size);
  if (compare(X3, field.m, limbs) >= 0 || compare(Y3, field.m, limbs) >= 0) return false;
  toMontgomery(field, point, X3);
  toMontgomery(field, point + size, Y3);
  copy(point + 2 * size, field.one, limbs);
  // y^2 = (x^2 - 3)·x + b
  mul(field, T0, point, point);
  sub(field, T0, T0, field.one);
  sub(field, T0, T0, field.one);
  sub(field, T0, T0, field.one);
  mul(field, T0, T0, point);
  add(field, T0, T0, curve.b);
  mul(field, T1, point + size, point + size);
  return compare(T0, T1, limbs) == 0;
}

/** out = P + Q for any two points; the three may be one and the same. */
export function addPoints(curve: Weierstrass, out: usize, p: usize, q: usize): void {
  const f = curve.field;
  const b = curve.b;
  const size = <usize>f.limbs << 2;
  const x1 = p;
  const y1 = p + size;
  const z1 = p + 2 * size;
  const x2 = q;
  const y2 = q + size;
  const z2 = q + 2 * size;
  // The steps of algorithm 4, in its order and with its names.
  mul(f, T0, x1, x2);
  mul(f, T1, y1, y2);
  mul(f, T2, z1, z2);
  add(f, T3, x1, y1);
  add(f, T4, x2, y2);
  mul(f, T3, T3, T4);
  add(f, T4, T0, T1);
  sub(f, T3, T3, T4);
  add(f, T4, y1, z1);
  add(f, X3, y2, z2);
  mul(f, T4, T4, X3);
  add(f, X3, T1, T2);
  sub(f, T4, T4, X3);
  add(f, X3, x1, z1);
  add(f, Y3, x2, z2);
  mul(f, X3, X3, Y3);
  add(f, Y3, T0, T2);
  sub(f, Y3, X3, Y3);
  mul(f, Z3, b, T2);
  sub(f, X3, Y3, Z3);
  add(f, Z3, X3, X3);
  add(f, X3, X3, Z3);
  sub(f, Z3, T1, X3);
  add(f, X3, T1, X3);
  mul(f, Y3, b, Y3);
  add(f, T1, T2, T2);
  add(f, T2, T1, T2);
  sub(f, Y3, Y3, T2);
  sub(f, Y3, Y3, T0);
  add(f, T1, Y3, Y3);
  add(f, Y3, T1, Y3);
  add(f, T1, T0, T0);
  add(f, T0, T1, T0);
  sub(f, T0, T0, T2);
  mul(f, T1, T4, Y3);
  mul(f, T2, T0, Y3);
  mul(f, Y3, X3, Z3);
  add(f, Y3, Y3, T2);
  mul(f, X3, T3, X3);
  sub(f, X3, X3, T1);
  mul(f, Z3, T4, Z3);
  mul(f, T1, T3, T0);
  add(f, Z3, Z3, T1);
  copy(out, X3, f.limbs);
  copy(out + size, Y3, f.limbs);
  copy(out + 2 * size, Z3, f.limbs);
}

const AFFINE_MAX: u32 = 256;
const CHAIN: usize = memory.data(256 * 48, 16);
const INVERSE: usize = memory.data(48, 16);
const FACTOR: usize = memory.data(48, 16);

/**
 * Divides x and y of `count` points, one behind another and none of them infinity, by z, with one
 * inversion.
 */
export function toAffine(curve: Weierstrass, points: usize, count: u32): void {
  invariant(count <= AFFINE_MAX);
  const f = curve.field;
  const size = <usize>f.limbs << 2;
  for (let i: usize = 0; i < <usize>count; ++i) {
    const z = points + (3 * i + 2) * size;
    if (i == 0) copy(CHAIN, z, f.limbs);
    else mul(f, CHAIN + i * size, CHAIN + (i - 1) * size, z);
  }
  invert(f, INVERSE, CHAIN + <usize>(count - 1) * size);
  for (let i = <usize>count; i-- > 0;) {
    const x = points + 3 * i * size;
    if (i == 0) copy(FACTOR, INVERSE, f.limbs);
    else mul(f, FACTOR, INVERSE, CHAIN + (i - 1) * size);
    mul(f, INVERSE, INVERSE, x + 2 * size);
    mul(f, x, x, FACTOR);
    mul(f, x + size, x + size, FACTOR);
  }
}

/** table[i] = i·P for 0 <= i < 16; P may lie where the table begins. */
function fillTable(curve: Weierstrass, table: usize, point: usize): void {
  const size = <usize>(curve.field.limbs * 12);
  memory.copy(table + size, point, size);
  setInfinity(curve, table);
  for (let i: usize = 2; i < <usize>ENTRIES; ++i) {
    addPoints(curve, table + i * size, table + (i - 1) * size, table + size);
  }
}

/** out = u·G + v·Q, for plain scalars below 2^(32·limbs), four bits of both at a time. */
export function doubleMultiply(
  curve: Weierstrass,
  out: usize,
  u: usize,
  v: usize,
  q: usize,
): void {
  const limbs = curve.field.limbs;
  const size = <usize>(limbs * 12);
  invariant(limbs <= 12);
  fillTable(curve, TABLE, q);
  setInfinity(curve, out);
  for (let i: u32 = limbs << 3; i-- > 0;) {
    for (let j = 0; j < 4; ++j) addPoints(curve, out, out, out);
    addPoints(curve, out, out, curve.table + size * <usize>digit(u, i));
    addPoints(curve, out, out, TABLE + size * <usize>digit(v, i));
  }
}

/** The four bits of `a` from bit 4·index on. */
// @ts-ignore: decorator
@inline
function digit(a: usize, index: u32): u32 {
  return (limb(a, index >> 3) >> ((index & 7) << 2)) & 15;
}
