/**
 * Four numbers modulo the prime of P-256 at once, one in each lane of ten vectors: all but
 * multiplication, which scripts/kernel-p256.ts writes and explains. Only the SIMD build has this
 * file.
 *
 * Numbers are held loosely, as any of x + k·p with a small k, positive or negative, in Montgomery's
 * form with R = 2^260; `toLimbs` makes them plain again.
 */
import { add, choose, copyLanes, fill, sub, toLimbs as toLimbsModulo, turnOne, turnTwo } from "./lanes";
import { clear, isZero as isZeroNumber, setLimb } from "./limbs";
import { add as addModular } from "./montgomery";
import { FIELD, PRIME } from "./p256";
import { reduce, reduceLess } from "./p256-lanes.generated";
import { multiply, multiplyDifference, square } from "./products.generated";
import { invertPlain } from "./lehmer";

export { add, choose, copyLanes, LANES_BYTES, setLane, sub, turnOne, turnTwo } from "./lanes";
export { scaledDifference } from "./products.generated";

/**
 * 1, and what multiplies into and out of Montgomery's form: R, R^2 and R^3 mod p, in every lane.
 */
export const ONE: usize = memory.data(160, 16);
/** R/2, which is 1/2. */
export const HALF: usize = memory.data(160, 16);
export const SQUARE: usize = memory.data(160, 16);
const CUBE: usize = memory.data(160, 16);

const PLAIN: usize = memory.data(32, 16);
const TURNED: usize = memory.data(160, 16);
const PRODUCT: usize = memory.data(160, 16);
const OTHERS: usize = memory.data(160, 16);

defineConstants();

// The outputs of all products may be operands. Without a subtrahend they lie between -p/8 and 9p/8,
// with one within p/2 and a little.

/** out = a·b. */
// @ts-ignore: decorator
@inline
export function mul(out: usize, a: usize, b: usize): void {
  multiply(a, b);
  reduce(out);
}

/** out = a·b - c. */
// @ts-ignore: decorator
@inline
export function mulSub(out: usize, a: usize, b: usize, c: usize): void {
  multiply(a, b);
  reduceLess(out, c);
}

/** out = a·(b - c). */
// @ts-ignore: decorator
@inline
export function mulDifference(out: usize, a: usize, b: usize, c: usize): void {
  multiplyDifference(a, b, c);
  reduce(out);
}

/** out = a·(b - c) - d. */
// @ts-ignore: decorator
@inline
export function mulDifferenceSub(out: usize, a: usize, b: usize, c: usize, d: usize): void {
  multiplyDifference(a, b, c);
  reduceLess(out, d);
}

/** out = a·a. */
// @ts-ignore: decorator
@inline
export function sqr(out: usize, a: usize): void {
  square(a);
  reduce(out);
}

/** out = a·a - c. */
// @ts-ignore: decorator
@inline
export function sqrSub(out: usize, a: usize, c: usize): void {
  square(a);
  reduceLess(out, c);
}

function defineConstants(): void {
  clear(PLAIN, 8);
  setLimb(PLAIN, 0, 1);
  for (let power: u32 = 1; power <= 780; ++power) {
    addModular(FIELD, PLAIN, PLAIN, PLAIN);
    if (power == 259) fill(HALF, PLAIN);
    else if (power == 260) fill(ONE, PLAIN);
    else if (power == 520) fill(SQUARE, PLAIN);
    else if (power == 780) fill(CUBE, PLAIN);
  }
}

/** out = one lane as 8 limbs in [0, p), still in Montgomery's form if it was. */
export function toLimbs(out: usize, a: usize, lane: u32): void {
  toLimbsModulo(out, a, lane, PRIME);
}

/** Whether one lane is a multiple of p. */
export function isZero(a: usize, lane: u32): bool {
  toLimbs(PLAIN, a, lane);
  return isZeroNumber(PLAIN, 8);
}

/**
 * out = 1/a in every lane, by one inversion of the product of all four; false, without a result,
 * when one of them is zero.
 */
export function invertLanes(out: usize, a: usize): bool {
  turnTwo(TURNED, a);
  mul(PRODUCT, a, TURNED);
  turnOne(OTHERS, PRODUCT);
  mul(PRODUCT, PRODUCT, OTHERS);
  mul(OTHERS, OTHERS, TURNED);
  toLimbs(PLAIN, PRODUCT, 0);
  if (isZeroNumber(PLAIN, 8)) return false;
  invertPlain(PLAIN, PLAIN, PRIME, 8);
  fill(TURNED, PLAIN);
  mul(TURNED, TURNED, CUBE);
  mul(out, OTHERS, TURNED);
  return true;
}

/** The field as curve/tree wants it: the operations above, as methods. */
@unmanaged
@final
export class P256Lanes {
  /** Bytes of four numbers. */
  @inline get bytes(): usize {
    return 160;
  }

  @inline get one(): usize {
    return ONE;
  }

  @inline copy(out: usize, a: usize): void {
    copyLanes(out, a);
  }

  @inline add(out: usize, a: usize, b: usize): void {
    add(out, a, b);
  }

  @inline sub(out: usize, a: usize, b: usize): void {
    sub(out, a, b);
  }

  @inline mul(out: usize, a: usize, b: usize): void {
    mul(out, a, b);
  }

  @inline mulDifference(out: usize, a: usize, b: usize, c: usize): void {
    mulDifference(out, a, b, c);
  }

  @inline mulDifferenceSub(out: usize, a: usize, b: usize, c: usize, d: usize): void {
    mulDifferenceSub(out, a, b, c, d);
  }

  @inline sqrSub(out: usize, a: usize, c: usize): void {
    sqrSub(out, a, c);
  }

  @inline choose(out: usize, chosen: usize, lanes: u32): void {
    choose(out, chosen, lanes);
  }

  @inline isZero(a: usize, lane: u32): bool {
    return isZero(a, lane);
  }

  @inline invert(out: usize, a: usize): bool {
    return invertLanes(out, a);
  }
}
