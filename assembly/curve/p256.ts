/** The curve P-256: SP 800-186 §3.2.1.3. Numbers are little-endian 32-bit limbs. */
import { PRIME } from "../field/p256";
import { defineCurve, ROOM_BYTES_8, Weierstrass } from "./weierstrass";

/** n, the order of G. */
const ORDER: usize = memory.data<u32>([
  0xfc632551, 0xf3b9cac2, 0xa7179e84, 0xbce6faad,
  0xffffffff, 0xffffffff, 0x00000000, 0xffffffff,
]);

const B: usize = memory.data<u32>([
  0x27d2604b, 0x3bce3c3e, 0xcc53b0f6, 0x651d06b0,
  0x769886bc, 0xb3ebbd55, 0xaa3a93e7, 0x5ac635d8,
]);

/** G, x then y. */
const BASE: usize = memory.data<u32>([
  0xd898c296, 0xf4a13945, 0x2deb33a0, 0x77037d81,
  0x63a440f2, 0xf8bce6e5, 0xe12c4247, 0x6b17d1f2,
  0x37bf51f5, 0xcbb64068, 0x6b315ece, 0x2bce3357,
  0x7c0f9e16, 0x8ee7eb4a, 0xfe1a7f9b, 0x4fe342e2,
]);

const ROOM: usize = memory.data(ROOM_BYTES_8, 16);

export const P256: Weierstrass = defineCurve(8, PRIME, ORDER, B, BASE, ROOM);
