/**
 * SHA-1, FIPS 180-4 §6.1. Only for what a TPM or an old log still measures with it; it is never
 * chosen here.
 */

const SCHEDULE: usize = memory.data(80 * 4, 16);

/** FIPS 180-4 §5.3.1. */
const INITIAL: usize = memory.data<u32>([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]);

export function beginSha1(state: usize): void {
  memory.copy(state, INITIAL, 20);
}

/** Absorbs `blocks` blocks of 64 bytes. */
export function compressSha1(state: usize, block: usize, blocks: u32): void {
  for (; blocks > 0; --blocks, block += 64) compress(state, block);
}

function compress(state: usize, block: usize): void {
  for (let t: usize = 0; t < 64; t += 4) store<u32>(SCHEDULE + t, bswap<u32>(load<u32>(block + t)));
  for (let t: usize = SCHEDULE + 64; t < SCHEDULE + 320; t += 4) {
    const w = load<u32>(t - 12) ^ load<u32>(t - 32) ^ load<u32>(t - 56) ^ load<u32>(t - 64);
    store<u32>(t, rotl<u32>(w, 1));
  }
  let a = load<u32>(state);
  let b = load<u32>(state, 4);
  let c = load<u32>(state, 8);
  let d = load<u32>(state, 12);
  let e = load<u32>(state, 16);
  for (let t: u32 = 0; t < 80; ++t) {
    let f: u32;
    let k: u32; // FIPS 180-4 §4.1.1 and §4.2.1
    if (t < 20) {
      f = (b & c) ^ (~b & d);
      k = 0x5a827999;
    } else if (t < 40) {
      f = b ^ c ^ d;
      k = 0x6ed9eba1;
    } else if (t < 60) {
      f = (b & c) ^ (b & d) ^ (c & d);
      k = 0x8f1bbcdc;
    } else {
      f = b ^ c ^ d;
      k = 0xca62c1d6;
    }
    const next = rotl<u32>(a, 5) + f + e + k + load<u32>(SCHEDULE + (<usize>t << 2));
    e = d;
    d = c;
    c = rotl<u32>(b, 30);
    b = a;
    a = next;
  }
  store<u32>(state, load<u32>(state) + a);
  store<u32>(state, load<u32>(state, 4) + b, 4);
  store<u32>(state, load<u32>(state, 8) + c, 8);
  store<u32>(state, load<u32>(state, 12) + d, 12);
  store<u32>(state, load<u32>(state, 16) + e, 16);
}
