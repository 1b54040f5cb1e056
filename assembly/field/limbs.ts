/**
 * Natural numbers as little-endian arrays of 32-bit limbs, the plain form in which every other file
 * starts and ends. Nothing here is secret: a verifier handles public values only, so time may
 * depend on them.
 */

/** The limb at `index`. */
// @ts-ignore: decorator
@inline
export function limb(a: usize, index: u32): u32 {
  return load<u32>(a + (<usize>index << 2));
}

// @ts-ignore: decorator
@inline
export function setLimb(a: usize, index: u32, value: u32): void {
  store<u32>(a + (<usize>index << 2), value);
}

export function clear(out: usize, limbs: u32): void {
  memory.fill(out, 0, <usize>limbs << 2);
}

export function copy(out: usize, a: usize, limbs: u32): void {
  memory.copy(out, a, <usize>limbs << 2);
}

export function isZero(a: usize, limbs: u32): bool {
  let any: u32 = 0;
  for (let i: u32 = 0; i < limbs; ++i) any |= limb(a, i);
  return any == 0;
}

/** -1, 0 or 1 as a is below, equal to or above b. */
export function compare(a: usize, b: usize, limbs: u32): i32 {
  for (let i: u32 = limbs; i-- > 0;) {
    const x = limb(a, i);
    const y = limb(b, i);
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

/** out = a + b; returns the carry. The operands may be one and the same. */
export function addLimbs(out: usize, a: usize, b: usize, limbs: u32): u32 {
  let carry: u64 = 0;
  for (let i: u32 = 0; i < limbs; ++i) {
    carry += <u64>limb(a, i) + <u64>limb(b, i);
    setLimb(out, i, <u32>carry);
    carry >>= 32;
  }
  return <u32>carry;
}

/** out = a - b; returns the borrow, 0 or 1. The operands may be one and the same. */
export function subLimbs(out: usize, a: usize, b: usize, limbs: u32): u32 {
  let borrow: u64 = 0;
  for (let i: u32 = 0; i < limbs; ++i) {
    const difference: u64 = <u64>limb(a, i) - <u64>limb(b, i) - borrow;
    setLimb(out, i, <u32>difference);
    borrow = difference >> 63;
  }
  return <u32>borrow;
}

/** Bit `index` of a, 0 or 1. */
// @ts-ignore: decorator
@inline
export function bitOf(a: usize, index: u32): u32 {
  return (limb(a, index >> 5) >> (index & 31)) & 1;
}

/** The number of bits of a without leading zeros; 0 for 0. */
export function bitLength(a: usize, limbs: u32): u32 {
  for (let i: u32 = limbs; i-- > 0;) {
    const top = limb(a, i);
    if (top != 0) return (i << 5) + 32 - clz<u32>(top);
  }
  return 0;
}

/** Reads `length` big-endian bytes; they must fit. */
export function fromBigEndian(out: usize, limbs: u32, bytes: usize, length: u32): void {
  assert(length <= limbs << 2);
  clear(out, limbs);
  let i: u32 = 0;
  for (; i + 4 <= length; i += 4) {
    store<u32>(out + <usize>i, bswap<u32>(load<u32>(bytes + <usize>(length - 4 - i))));
  }
  for (; i < length; ++i) {
    store<u8>(out + <usize>i, load<u8>(bytes + <usize>(length - 1 - i)));
  }
}

/** Writes the low `length` bytes of a, big-endian. */
export function toBigEndian(bytes: usize, length: u32, a: usize, limbs: u32): void {
  assert(length <= limbs << 2);
  let i: u32 = 0;
  for (; i + 4 <= length; i += 4) {
    store<u32>(bytes + <usize>(length - 4 - i), bswap<u32>(load<u32>(a + <usize>i)));
  }
  for (; i < length; ++i) {
    store<u8>(bytes + <usize>(length - 1 - i), load<u8>(a + <usize>i));
  }
}
