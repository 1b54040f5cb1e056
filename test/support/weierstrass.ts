/** Signatures made to measure, for the cases of ECDSA that random ones never reach. */
import { p256, p384 } from "@noble/curves/nist.js";
import { type Curve, concat, numberBytes } from "./signatures.ts";

const NOBLE = { "P-256": p256, "P-384": p384 };

export type Point = InstanceType<typeof p256.Point>;
export const baseOf = (curve: Curve): typeof p256.Point => NOBLE[curve].Point;
export const widthOf = (curve: Curve): number => (curve === "P-256" ? 32 : 48);
export const fieldOf = (curve: Curve): bigint => NOBLE[curve].Point.Fp.ORDER;
export const orderOf = (curve: Curve): bigint => NOBLE[curve].Point.Fn.ORDER;

export const mod = (value: bigint, m: bigint): bigint => ((value % m) + m) % m;

/** 1/value mod a prime. */
export function inverse(value: bigint, prime: bigint): bigint {
  let [a, b, x, y] = [mod(value, prime), prime, 1n, 0n];
  while (a !== 0n) {
    const q = b / a;
    [a, b] = [b - q * a, a];
    [x, y] = [y - q * x, x];
  }
  return mod(y, prime);
}

export interface Triple {
  key: Uint8Array;
  digest: Uint8Array;
  signature: Uint8Array;
}

/** x||y. */
export function keyBytes(curve: Curve, point: Point): Uint8Array {
  const { x, y } = point.toAffine();
  return concat(numberBytes(x, widthOf(curve)), numberBytes(y, widthOf(curve)));
}

/** The signature r||s and digest for which verification computes u·G + v·Q: s = r/v, e = u·s. */
export function forge(curve: Curve, q: Point, u: bigint, v: bigint, r: bigint): Triple {
  const [n, width] = [orderOf(curve), widthOf(curve)];
  const s = mod(r * inverse(v, n), n);
  return {
    key: keyBytes(curve, q),
    digest: numberBytes(mod(u * s, n), width),
    signature: concat(numberBytes(r, width), numberBytes(s, width)),
  };
}

/** A key, u and v for which u·G + v·Q is the given point. */
export function reach(curve: Curve, target: Point, u: bigint, v: bigint): Point {
  const n = orderOf(curve);
  const rest = u === 0n ? target : target.subtract(baseOf(curve).BASE.multiply(u));
  return rest.multiply(inverse(v, n));
}

/** The first point with an x at or above `from`. */
export function pointAbove(curve: Curve, from: bigint): Point {
  const prefix = "02";
  for (let x = from; ; x++) {
    try {
      return baseOf(curve).fromHex(prefix + x.toString(16).padStart(widthOf(curve) * 2, "0"));
    } catch (error) {
      if (x > from + 200n) throw error;
    }
  }
}
