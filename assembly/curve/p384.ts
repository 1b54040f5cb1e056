/** The curve P-384: SP 800-186 §3.2.1.4. Numbers are little-endian 32-bit limbs. */
import { PRIME } from "../field/p384";
import { defineCurve, ROOM_BYTES_12, Weierstrass } from "./weierstrass";

/** n, the order of G. */
const ORDER: usize = memory.data<u32>([
  0xccc52973, 0xecec196a, 0x48b0a77a, 0x581a0db2,
  0xf4372ddf, 0xc7634d81, 0xffffffff, 0xffffffff,
  0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
]);

const B: usize = memory.data<u32>([
  0xd3ec2aef, 0x2a85c8ed, 0x8a2ed19d, 0xc656398d,
  0x5013875a, 0x0314088f, 0xfe814112, 0x181d9c6e,
  0xe3f82d19, 0x988e056b, 0xe23ee7e4, 0xb3312fa7,
]);

/** G, x then y. */
const BASE: usize = memory.data<u32>([
  0x72760ab7, 0x3a545e38, 0xbf55296c, 0x5502f25d,
  0x82542a38, 0x59f741e0, 0x8ba79b98, 0x6e1d3b62,
  0xf320ad74, 0x8eb1c71e, 0xbe8b0537, 0xaa87ca22,
  0x90ea0e5f, 0x7a431d7c, 0x1d7e819d, 0x0a60b1ce,
  0xb5f0b8c0, 0xe9da3113, 0x289a147c, 0xf8f41dbd,
  0x9292dc29, 0x5d9e98bf, 0x96262c6f, 0x3617de4a,
]);

const ROOM: usize = memory.data(ROOM_BYTES_12, 16);

export const P384: Weierstrass = defineCurve(12, PRIME, ORDER, B, BASE, ROOM);
