/**
 * Four numbers modulo p = 2^255 - 19 at once, in plain form: all but multiplication, which
 * scripts/kernel-25519.ts writes and explains. Only the SIMD build has this file.
 */
import { reduce } from "./f25519-lanes.generated";
import { fill, toLimbs as toLimbsModulo, turnOne, turnTwo } from "./lanes";
import { isZero } from "./limbs";
import { multiply, multiplyDifference } from "./products.generated";
import { invertPlain } from "./lehmer";

export { add, fill, LANES_BYTES, sub, turnOne, turnTwo } from "./lanes";

/** p. */
const PRIME: usize = memory.data<u32>([
  0xffffffed, 0xffffffff, 0xffffffff, 0xffffffff,
  0xffffffff, 0xffffffff, 0xffffffff, 0x7fffffff,
]);

const PLAIN: usize = memory.data(32, 16);
const TURNED: usize = memory.data(160, 16);
const PRODUCT: usize = memory.data(160, 16);
const OTHERS: usize = memory.data(160, 16);

/** out = a·b in every lane, within 0.51·p. out may be an operand. */
// @ts-ignore: decorator
@inline
export function mul(out: usize, a: usize, b: usize): void {
  multiply(a, b);
  reduce(out);
}

/** out = a·(b - c). */
// @ts-ignore: decorator
@inline
export function mulDifference(out: usize, a: usize, b: usize, c: usize): void {
  multiplyDifference(a, b, c);
  reduce(out);
}

/** out = one lane as 8 limbs in [0, p). */
export function toLimbs(out: usize, a: usize, lane: u32): void {
  toLimbsModulo(out, a, lane, PRIME);
}

/**
 * out = 1/a in every lane, none of which may be zero, by one inversion of the product of all four.
 */
export function invertLanes(out: usize, a: usize): void {
  turnTwo(TURNED, a);
  mul(PRODUCT, a, TURNED);
  turnOne(OTHERS, PRODUCT);
  mul(PRODUCT, PRODUCT, OTHERS);
  mul(OTHERS, OTHERS, TURNED);
  toLimbs(PLAIN, PRODUCT, 0);
  assert(!isZero(PLAIN, 8));
  invertPlain(PLAIN, PLAIN, PRIME, 8);
  fill(TURNED, PLAIN);
  mul(out, OTHERS, TURNED);
}
