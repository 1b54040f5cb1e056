/**
 * 1/x modulo an odd m by division steps: D. J. Bernstein and B.-Y. Yang, Fast constant-time gcd
 * computation and modular inversion, CHES 2019 (2019/266), in the half-delta variant and in
 * variable time, 30 steps at a time. About twenty times faster than Fermat's power.
 *
 * Numbers are signed: limbs of 30 bits, little-endian, all but the topmost in [0, 2^30).
 */
import { invariant } from "../abi";
import { compare, limb } from "./limbs";

const LIMBS_MAX: i32 = 14;
const MASK: i64 = 0x3fffffff;

const D: usize = memory.data(14 * 4, 16);
const E: usize = memory.data(14 * 4, 16);
const F: usize = memory.data(14 * 4, 16);
const G: usize = memory.data(14 * 4, 16);
const M: usize = memory.data(14 * 4, 16);

// The matrix of 30 steps: 2^30·(f', g') = (u·f + v·g, q·f + r·g).
let u: i32 = 0;
let v: i32 = 0;
let q: i32 = 0;
let r: i32 = 0;

/** Repacks `limbs` 32-bit limbs as `count` limbs of 30 bits. */
function unpack(out: usize, count: i32, a: usize, limbs: u32): void {
  let held: u64 = 0;
  let bits: u32 = 0;
  let next: u32 = 0;
  for (let i = 0; i < count; ++i) {
    if (bits < 30 && next < limbs) {
      held |= <u64>limb(a, next++) << bits;
      bits += 32;
    }
    store<u32>(out + ((<usize>i) << 2), <u32>(held & MASK));
    held >>= 30;
    bits = bits < 30 ? 0 : bits - 30;
  }
}

/** Packs a number in [0, 2^(32·limbs)). */
function pack(out: usize, limbs: u32, a: usize, count: i32): void {
  let held: u64 = 0;
  let bits: u32 = 0;
  let next: usize = 0;
  for (let i: u32 = 0; i < limbs; ++i) {
    while (bits < 32 && next < <usize>count) {
      held |= <u64>load<u32>(a + (next++ << 2)) << bits;
      bits += 30;
    }
    store<u32>(out + ((<usize>i) << 2), <u32>held);
    held >>= 32;
    bits = bits < 32 ? 0 : bits - 32;
  }
}

/** 30 steps on the low words; returns the new eta and sets the matrix. */
function steps(eta: i32, f: i32, g: i32): i32 {
  let u0: i32 = 1;
  let v0: i32 = 0;
  let q0: i32 = 0;
  let r0: i32 = 1;
  let left: i32 = 30;
  while (true) {
    // Steps with an even g only halve it.
    const zeros = ctz<i32>(g | (-1 << left));
    g >>= zeros;
    u0 <<= zeros;
    v0 <<= zeros;
    eta -= zeros;
    left -= zeros;
    if (left == 0) break;
    if (eta < 0) {
      eta = -eta;
      let t = f;
      f = g;
      g = -t;
      t = u0;
      u0 = q0;
      q0 = -t;
      t = v0;
      v0 = r0;
      r0 = -t;
    }
    // Up to six steps at once: add the multiple of f that clears as many low bits of g.
    const limit = min<i32>(min<i32>(eta + 1, left), 6);
    const w = (f * g * (f * f - 2)) & ((1 << limit) - 1);
    g += f * w;
    q0 += u0 * w;
    r0 += v0 * w;
  }
  u = u0;
  v = v0;
  q = q0;
  r = r0;
  return eta;
}

/** (F, G) = the matrix times (F, G) / 2^30, which is exact. */
function updateFG(count: i32): void {
  let f = <i64>u * <i64>load<i32>(F) + <i64>v * <i64>load<i32>(G);
  let g = <i64>q * <i64>load<i32>(F) + <i64>r * <i64>load<i32>(G);
  invariant((f & MASK) == 0 && (g & MASK) == 0);
  f >>= 30;
  g >>= 30;
  const end = (<usize>count) << 2;
  for (let i: usize = 4; i < end; i += 4) {
    const fi = <i64>load<i32>(F + i);
    const gi = <i64>load<i32>(G + i);
    f += <i64>u * fi + <i64>v * gi;
    g += <i64>q * fi + <i64>r * gi;
    store<i32>(F + i - 4, <i32>(f & MASK));
    store<i32>(G + i - 4, <i32>(g & MASK));
    f >>= 30;
    g >>= 30;
  }
  store<i32>(F + end - 4, <i32>f);
  store<i32>(G + end - 4, <i32>g);
}

/** (D, E) = the matrix times (D, E) / 2^30 modulo m, both kept in (-2m, m). */
function updateDE(count: i32, inverse: u32): void {
  const end = (<usize>count) << 2;
  const signD = load<i32>(D + end - 4) >> 31;
  const signE = load<i32>(E + end - 4) >> 31;
  const d0 = <i64>load<i32>(D);
  const e0 = <i64>load<i32>(E);
  let d = <i64>u * d0 + <i64>v * e0;
  let e = <i64>q * d0 + <i64>r * e0;
  // The multiples of m that make both divisible by 2^30, after one is added for each negative
  // operand.
  let kd = (u & signD) + (v & signE);
  let ke = (q & signD) + (r & signE);
  kd -= <i32>((inverse * <u32>d + <u32>kd) & <u32>MASK);
  ke -= <i32>((inverse * <u32>e + <u32>ke) & <u32>MASK);
  d += <i64>load<i32>(M) * <i64>kd;
  e += <i64>load<i32>(M) * <i64>ke;
  invariant((d & MASK) == 0 && (e & MASK) == 0);
  d >>= 30;
  e >>= 30;
  for (let i: usize = 4; i < end; i += 4) {
    const di = <i64>load<i32>(D + i);
    const ei = <i64>load<i32>(E + i);
    const mi = <i64>load<i32>(M + i);
    d += <i64>u * di + <i64>v * ei + mi * <i64>kd;
    e += <i64>q * di + <i64>r * ei + mi * <i64>ke;
    store<i32>(D + i - 4, <i32>(d & MASK));
    store<i32>(E + i - 4, <i32>(e & MASK));
    d >>= 30;
    e >>= 30;
  }
  store<i32>(D + end - 4, <i32>d);
  store<i32>(E + end - 4, <i32>e);
}

function isZeroG(count: i32): bool {
  let any: i32 = 0;
  for (let i = 0; i < count; ++i) any |= load<i32>(G + ((<usize>i) << 2));
  return any == 0;
}

/** D = sign·D + addend, where the addend is m or nothing. */
function changeD(count: i32, sign: i64, addend: i64): void {
  const end = (<usize>count) << 2;
  let carry: i64 = 0;
  for (let i: usize = 0; i < end; i += 4) {
    carry += sign * <i64>load<i32>(D + i) + addend * <i64>load<i32>(M + i);
    store<i32>(D + i, <i32>(i + 4 < end ? carry & MASK : carry));
    carry >>= 30;
  }
}

/** D = D or -D, brought from (-2m, m) into [0, m). */
function normalize(count: i32, negate: bool): void {
  const top = D + ((<usize>(count - 1)) << 2);
  if (load<i32>(top) < 0) changeD(count, 1, 1);
  if (negate) changeD(count, -1, 0);
  if (load<i32>(top) < 0) changeD(count, 1, 1);
}

/**
 * out = 1/a mod m for plain numbers of `limbs` 32-bit limbs, m odd and a below m; 0 where a has no
 * inverse, as 0 has none. The number of rounds is bounded: (49·bits + 57)/17 steps are always
 * enough (2019/266, theorem 11.2).
 */
export function invertOdd(out: usize, a: usize, m: usize, limbs: u32): void {
  const count = <i32>((limbs * 32 + 2 + 29) / 30);
  invariant(count <= LIMBS_MAX);
  const end = (<usize>count) << 2;
  unpack(M, count, m, limbs);
  unpack(F, count, m, limbs);
  unpack(G, count, a, limbs);
  memory.fill(D, 0, end);
  memory.fill(E, 0, end);
  store<i32>(E, 1);
  let inverse: u32 = load<u32>(M);
  for (let i = 0; i < 4; ++i) inverse *= 2 - load<u32>(M) * inverse;
  const rounds = <i32>((49 * (limbs * 32) + 57) / 17 / 30) + 1;
  let eta: i32 = -1;
  for (let round = 0; !isZeroG(count); ++round) {
    assert(round < rounds);
    eta = steps(eta, load<i32>(F) | (load<i32>(F + 4) << 30), load<i32>(G) | (load<i32>(G + 4) << 30));
    updateDE(count, inverse);
    updateFG(count);
  }
  // F is now plus or minus the greatest common divisor.
  const negative = load<i32>(F + end - 4) < 0;
  normalize(count, negative);
  pack(out, limbs, D, count);
  invariant(compare(out, m, limbs) < 0);
}
