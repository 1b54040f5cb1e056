/** The curves of ECDSA by number. */
import { P256 } from "./p256";
import { P384 } from "./p384";
import { Weierstrass } from "./weierstrass";

export const enum Curve {
  P256 = 1,
  P384 = 2,
}

/** Bytes of a coordinate, and of r and s; 0 for a number that names no curve. */
export function curveBytes(curve: u32): u32 {
  return curve == <u32>Curve.P256 ? 32 : curve == <u32>Curve.P384 ? 48 : 0;
}

/** The curve of that number; traps when there is none. */
export function curveOf(curve: u32): Weierstrass {
  assert(curveBytes(curve) != 0);
  return curve == <u32>Curve.P256 ? P256 : P384;
}
