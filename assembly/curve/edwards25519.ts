/**
 * Points of edwards25519, -x^2 + y^2 = 1 + d·x^2·y^2 over 2^255 - 19: RFC 8032 §5.1. Since -1 is a
 * square and d is not, the addition of §5.1.4 is complete: one formula for all points. Numbers are
 * little-endian 32-bit limbs.
 *
 * A point is X, Y, Z, T (x = X/Z, y = Y/Z, xy = T/Z), each 8 limbs in Montgomery's form, one after
 * another.
 */
import { bitOf, clear, compare, copy, isZero, limb, setLimb } from "../field/limbs";
import {
  add,
  fromMontgomery,
  invert,
  Modulus,
  mul,
  pow,
  prepare,
  sub,
  toMontgomery,
} from "../field/montgomery";

/** p = 2^255 - 19. */
const P: usize = memory.data<u32>([
  0xffffffed, 0xffffffff, 0xffffffff, 0xffffffff,
  0xffffffff, 0xffffffff, 0xffffffff, 0x7fffffff,
]);

/** L, the order of the base point. */
const L: usize = memory.data<u32>([
  0x5cf5d3ed, 0x5812631a, 0xa2f79cd6, 0x14def9de,
  0x00000000, 0x00000000, 0x00000000, 0x10000000,
]);

/** d = -121665/121666. */
const D: usize = memory.data<u32>([
  0x135978a3, 0x75eb4dca, 0x4141d8ab, 0x00700a4d,
  0x7779e898, 0x8cc74079, 0x2b6ffe73, 0x52036cee,
]);

/** A square root of -1: 2^((p-1)/4). */
const ROOT: usize = memory.data<u32>([
  0x4a0ea0b0, 0xc4ee1b27, 0xad2fe478, 0x2f431806,
  0x3dfbd7a7, 0x2b4d0099, 0x4fc1df0b, 0x2b832480,
]);

/** (p-5)/8. */
const ROOT_EXPONENT: usize = memory.data<u32>([
  0xfffffffd, 0xffffffff, 0xffffffff, 0xffffffff,
  0xffffffff, 0xffffffff, 0xffffffff, 0x0fffffff,
]);

/** The base point, x then y. */
const BASE: usize = memory.data<u32>([
  0x8f25d51a, 0xc9562d60, 0x9525a7b2, 0x692cc760,
  0xfdd6dc5c, 0xc0a4e231, 0xcd6e53fe, 0x216936d3,
  0x66666658, 0x66666666, 0x66666666, 0x66666666,
  0x66666666, 0x66666666, 0x66666666, 0x66666666,
]);

const LIMBS: u32 = 8;
/** Bytes of a point, and offsets of its coordinates. */
export const POINT_BYTES: i32 = 128;
const Y: usize = 32;
const Z: usize = 64;
const T: usize = 96;

const FIELD_ROOM: usize = memory.data(32 + 2 * 32, 16);
const ORDER_ROOM: usize = memory.data(32 + 2 * 32, 16);
/** Arithmetic modulo p. */
export const FIELD: Modulus = define(FIELD_ROOM, P);
/** Arithmetic modulo L. */
export const ORDER: Modulus = define(ORDER_ROOM, L);

/** d, 2d and the root, in Montgomery's form. */
export const D1: usize = memory.data(32, 16);
const D2: usize = memory.data(32, 16);
const ROOT1: usize = memory.data(32, 16);

/** 0 to 15 times the base point, and times another. */
const BASE_TABLE: usize = memory.data(16 * 128, 16);
/** The base point. */
export const BASE_POINT: usize = BASE_TABLE + 128;
const TABLE: usize = memory.data(16 * 128, 16);

const A: usize = memory.data(32, 16);
const B: usize = memory.data(32, 16);
const C: usize = memory.data(32, 16);
const E: usize = memory.data(32, 16);
const F: usize = memory.data(32, 16);
const G: usize = memory.data(32, 16);
const H: usize = memory.data(32, 16);
const POINT: usize = memory.data(128, 16);

defineConstants();

function define(room: usize, m: usize): Modulus {
  const modulus = changetype<Modulus>(room);
  prepare(modulus, LIMBS, m, room + 32, room + 64);
  return modulus;
}

function defineConstants(): void {
  toMontgomery(FIELD, D1, D);
  add(FIELD, D2, D1, D1);
  toMontgomery(FIELD, ROOT1, ROOT);
  toMontgomery(FIELD, POINT, BASE);
  toMontgomery(FIELD, POINT + Y, BASE + 32);
  copy(POINT + Z, FIELD.one, LIMBS);
  mul(FIELD, POINT + T, POINT, POINT + Y);
  fillTable(BASE_TABLE, POINT);
}

function setNeutral(point: usize): void {
  clear(point, LIMBS);
  copy(point + Y, FIELD.one, LIMBS);
  copy(point + Z, FIELD.one, LIMBS);
  clear(point + T, LIMBS);
}

/** out = P + Q for any two points (RFC 8032 §5.1.4); the three may be one and the same. */
export function addPoints(out: usize, p: usize, q: usize): void {
  sub(FIELD, A, p + Y, p);
  sub(FIELD, E, q + Y, q);
  mul(FIELD, A, A, E);
  add(FIELD, B, p + Y, p);
  add(FIELD, E, q + Y, q);
  mul(FIELD, B, B, E);
  mul(FIELD, C, p + T, D2);
  mul(FIELD, C, C, q + T);
  mul(FIELD, G, p + Z, q + Z);
  add(FIELD, G, G, G);
  sub(FIELD, E, B, A);
  sub(FIELD, F, G, C);
  add(FIELD, G, G, C);
  add(FIELD, H, B, A);
  mul(FIELD, out, E, F);
  mul(FIELD, out + Y, G, H);
  mul(FIELD, out + T, E, H);
  mul(FIELD, out + Z, F, G);
}

/** point = -point. */
export function negate(point: usize): void {
  clear(A, LIMBS);
  sub(FIELD, point, A, point);
  sub(FIELD, point + T, A, point + T);
}

/**
 * Decodes a point, RFC 8032 §5.1.3; false when y >= p, when no x belongs to y, or for x = 0 with
 * its sign set. So every point has one encoding only.
 */
export function decodePoint(point: usize, encoding: usize): bool {
  const y = point + Y;
  copy(y, encoding, LIMBS);
  const sign = bitOf(y, 255);
  setLimb(y, 7, limb(y, 7) & 0x7fffffff);
  if (compare(y, P, LIMBS) >= 0) return false;
  toMontgomery(FIELD, y, y);
  // A = y^2 - 1, B = d·y^2 + 1, x = sqrt(A/B) = A·B^3·(A·B^7)^((p-5)/8), perhaps times the root of
  // -1.
  mul(FIELD, A, y, y);
  mul(FIELD, B, A, D1);
  sub(FIELD, A, A, FIELD.one);
  add(FIELD, B, B, FIELD.one);
  mul(FIELD, C, B, B);
  mul(FIELD, C, C, B);
  mul(FIELD, E, C, C);
  mul(FIELD, E, E, B);
  mul(FIELD, E, E, A);
  pow(FIELD, F, E, ROOT_EXPONENT, LIMBS);
  mul(FIELD, F, F, C);
  mul(FIELD, F, F, A);
  mul(FIELD, C, F, F);
  mul(FIELD, C, C, B);
  if (compare(C, A, LIMBS) != 0) {
    mul(FIELD, F, F, ROOT1);
    mul(FIELD, C, F, F);
    mul(FIELD, C, C, B);
    if (compare(C, A, LIMBS) != 0) return false;
  }
  fromMontgomery(FIELD, E, F);
  if (isZero(E, LIMBS) && sign == 1) return false;
  copy(point, F, LIMBS);
  if (bitOf(E, 0) != sign) {
    clear(A, LIMBS);
    sub(FIELD, point, A, point);
  }
  copy(point + Z, FIELD.one, LIMBS);
  mul(FIELD, point + T, point, y);
  return true;
}

/** Writes the encoding of a point, RFC 8032 §5.1.2: y, with the lowest bit of x on top. */
export function encodePoint(encoding: usize, point: usize): void {
  invert(FIELD, A, point + Z);
  mul(FIELD, B, point, A);
  fromMontgomery(FIELD, B, B);
  mul(FIELD, A, point + Y, A);
  fromMontgomery(FIELD, A, A);
  copy(encoding, A, LIMBS);
  setLimb(encoding, 7, limb(encoding, 7) | (bitOf(B, 0) << 31));
}

/** Whether 8·P is the neutral element: P is one of the eight points of small order. */
export function isSmallOrder(point: usize): bool {
  addPoints(POINT, point, point);
  addPoints(POINT, POINT, POINT);
  addPoints(POINT, POINT, POINT);
  return isZero(POINT, LIMBS) && compare(POINT + Y, POINT + Z, LIMBS) == 0;
}

/** table[i] = i·P for 0 <= i < 16. */
function fillTable(table: usize, point: usize): void {
  const size: usize = POINT_BYTES;
  setNeutral(table);
  for (let i: usize = 1; i < 16; ++i) {
    addPoints(table + i * size, table + (i - 1) * size, point);
  }
}

/** out = u·B + v·P, for plain scalars of 8 limbs, four bits of both at a time. */
export function doubleMultiply(out: usize, u: usize, v: usize, point: usize): void {
  const size: usize = POINT_BYTES;
  fillTable(TABLE, point);
  setNeutral(out);
  for (let i: u32 = 64; i-- > 0;) {
    for (let j = 0; j < 4; ++j) addPoints(out, out, out);
    addPoints(out, out, BASE_TABLE + size * <usize>digit(u, i));
    addPoints(out, out, TABLE + size * <usize>digit(v, i));
  }
}

/** The four bits of `a` from bit 4·index on. */
// @ts-ignore: decorator
@inline
function digit(a: usize, index: u32): u32 {
  return (limb(a, index >> 3) >> ((index & 7) << 2)) & 15;
}
