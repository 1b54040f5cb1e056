/**
 * Arithmetic modulo an odd number m of 1 to 128 limbs, in Montgomery's form: x stands as x·R mod m,
 * R = 2^(32·limbs). (P. L. Montgomery, Modular multiplication without trial division, Math. Comp.
 * 44, 1985.) It serves the prime fields and group orders of all curves and the moduli of RSA; it is
 * the reference for every faster kernel.
 *
 * All values are reduced, in [0, m), unless a function says otherwise. Outputs may be operands.
 */
import { invariant } from "../abi";
import { addLimbs, bitLength, bitOf, clear, compare, copy, limb, setLimb, subLimbs } from "./limbs";
import { add12, add8, mul12, mul8, sub12, sub8 } from "./montgomery.generated";
import { invertPlain } from "./lehmer";

/** 4096 bits. */
export const LIMBS_MAX: u32 = 128;

/** A modulus with what multiplication needs; `prepare` fills it. */
@unmanaged
export class Modulus {
  limbs: u32;
  /** -1/m mod 2^32. */
  inverse: u32;
  m: usize;
  /** R mod m, which is 1 in Montgomery's form. */
  one: usize;
  /** R^2 mod m. */
  square: usize;
}

const PRODUCT: usize = memory.data((128 + 1) * 4, 16);
const REDUCED: usize = memory.data(128 * 4, 16);
const POWER: usize = memory.data(128 * 4, 16);

/**
 * Fills `modulus` for the odd number at `m`; `one` and `square` are room for `limbs` limbs each.
 */
export function prepare(modulus: Modulus, limbs: u32, m: usize, one: usize, square: usize): void {
  assert(limbs >= 1 && limbs <= LIMBS_MAX);
  assert((limb(m, 0) & 1) == 1);
  modulus.limbs = limbs;
  modulus.m = m;
  modulus.one = one;
  modulus.square = square;
  // Newton's iteration for 1/m mod 2^32: each step doubles the correct bits, and m itself is right
  // to 3.
  let inverse: u32 = limb(m, 0);
  for (let i = 0; i < 4; ++i) inverse *= 2 - limb(m, 0) * inverse;
  invariant(inverse * limb(m, 0) == 1);
  modulus.inverse = 0 - inverse;
  // The highest power of two below m, doubled until it is R; then 2 to the power of R's bits, in
  // Montgomery's form.
  const length = bitLength(m, limbs);
  assert(length >= 2);
  clear(one, limbs);
  setLimb(one, (length - 1) >> 5, <u32>1 << ((length - 1) & 31));
  const bits = limbs << 5;
  for (let i = length - 1; i < bits; ++i) add(modulus, one, one, one);
  // (The leading six bits of that exponent by doubling, which is cheap, the others by squaring.)
  const rest = max<i32>(26 - clz(bits), 0);
  copy(square, one, limbs);
  for (let i = bits >> rest; i-- > 0;) add(modulus, square, square, square);
  for (let i = <u32>rest; i-- > 0;) {
    mul(modulus, square, square, square);
    if (((bits >> i) & 1) != 0) add(modulus, square, square, square);
  }
}

/** out = a + b. */
export function add(modulus: Modulus, out: usize, a: usize, b: usize): void {
  const limbs = modulus.limbs;
  if (limbs == 8) return add8(out, a, b, modulus.m);
  if (limbs == 12) return add12(out, a, b, modulus.m);
  const carry = addLimbs(out, a, b, limbs);
  if (carry != 0 || compare(out, modulus.m, limbs) >= 0) subLimbs(out, out, modulus.m, limbs);
}

/** out = a - b. */
export function sub(modulus: Modulus, out: usize, a: usize, b: usize): void {
  const limbs = modulus.limbs;
  if (limbs == 8) return sub8(out, a, b, modulus.m);
  if (limbs == 12) return sub12(out, a, b, modulus.m);
  if (subLimbs(out, a, b, limbs) != 0) addLimbs(out, out, modulus.m, limbs);
}

/**
 * out = a·b/R. `a` may be any number below R, `b` must be reduced: then the sum before the last
 * step stays below 2m.
 */
export function mul(modulus: Modulus, out: usize, a: usize, b: usize): void {
  const limbs = modulus.limbs;
  const m = modulus.m;
  const inverse = modulus.inverse;
  if (limbs == 8) return mul8(out, a, b, m, inverse);
  if (limbs == 12) return mul12(out, a, b, m, inverse);
  mulAny(limbs, m, inverse, out, a, b);
  invariant(compare(out, m, limbs) < 0);
}

/** `mul` for any number of limbs. */
function mulAny(limbs: u32, m: usize, inverse: u32, out: usize, a: usize, b: usize): void {
  const t = PRODUCT;
  clear(t, limbs + 1);
  const bytes = <usize>limbs << 2;
  for (let i: usize = 0; i < bytes; i += 4) {
    const ai = <u64>load<u32>(a + i);
    // One row of the product and one of the reduction together; each carry stays below 2^32.
    let high: u64 = <u64>load<u32>(t) + ai * <u64>load<u32>(b);
    const q = <u64>(<u32>high * inverse);
    let low: u64 = <u64>(<u32>high) + q * <u64>load<u32>(m);
    for (let j: usize = 4; j < bytes; j += 4) {
      high = (high >> 32) + <u64>load<u32>(t + j) + ai * <u64>load<u32>(b + j);
      low = (low >> 32) + <u64>(<u32>high) + q * <u64>load<u32>(m + j);
      store<u32>(t + j - 4, <u32>low);
    }
    const top: u64 = (high >> 32) + (low >> 32) + <u64>load<u32>(t + bytes);
    store<u32>(t + bytes - 4, <u32>top);
    store<u32>(t + bytes, <u32>(top >> 32));
  }
  if (limb(t, limbs) != 0 || compare(t, m, limbs) >= 0) subLimbs(out, t, m, limbs);
  else copy(out, t, limbs);
}

/** out = a·R mod m, into Montgomery's form; `a` may be any number below R. */
export function toMontgomery(modulus: Modulus, out: usize, a: usize): void {
  mul(modulus, out, a, modulus.square);
}

/** out = a/R mod m, out of Montgomery's form. */
export function fromMontgomery(modulus: Modulus, out: usize, a: usize): void {
  clear(REDUCED, modulus.limbs);
  setLimb(REDUCED, 0, 1);
  mul(modulus, out, REDUCED, a);
}

/** out = a^exponent, both in Montgomery's form; the exponent is a plain number and at least 1. */
export function pow(modulus: Modulus, out: usize, a: usize, exponent: usize, limbs: u32): void {
  const bits = bitLength(exponent, limbs);
  assert(bits >= 1);
  copy(POWER, a, modulus.limbs);
  copy(out, a, modulus.limbs);
  for (let i: u32 = bits - 1; i-- > 0;) {
    mul(modulus, out, out, out);
    if (bitOf(exponent, i) == 1) mul(modulus, out, out, POWER);
  }
}

/** out = 1/a, in Montgomery's form; 0 where a has no inverse, as 0 has none. */
export function invert(modulus: Modulus, out: usize, a: usize): void {
  // 1/(a·R), then twice times R.
  invertPlain(out, a, modulus.m, modulus.limbs);
  mul(modulus, out, out, modulus.square);
  mul(modulus, out, out, modulus.square);
}
