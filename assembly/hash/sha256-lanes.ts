/**
 * SHA-256 (FIPS 180-4 §6.2) of four messages at once, one in each 32-bit lane. Only the SIMD build
 * has this file. Lanes whose message has ended go on over padding that nobody reads: each digest is
 * taken when its own blocks end.
 */
import { invariant } from "../abi";
import { INITIAL256, K256 } from "./sha256";

/** Blocks of the longest message that is worth a lane. */
const BLOCKS_MAX: u32 = 16;
/** Bytes of the longest message that `hashFour` takes. */
export const LANE_BYTES_MAX: u32 = 16 * 64 - 9;

const SCHEDULE: usize = memory.data(64 * 16, 16);
const STATE: usize = memory.data(8 * 16, 16);
/** The last blocks of each message, padded: two at most. */
const TAILS: usize = memory.data(4 * 128, 16);

// Of each lane: the message, whole blocks of it in place, and all its blocks.
const SOURCES: usize = memory.data(4 * 4, 16);
const WHOLE: usize = memory.data(4 * 4, 16);
const BLOCKS: usize = memory.data(4 * 4, 16);

/** Sets the message of a lane, and pads its end (§5.1.1). */
export function setMessage(lane: u32, source: usize, length: u32): void {
  assert(lane < 4 && length <= LANE_BYTES_MAX);
  const at = (<usize>lane) << 2;
  const tail = TAILS + (<usize>lane << 7);
  const whole = length >> 6;
  const rest = length & 63;
  const tailBytes: u32 = rest + 9 > 64 ? 128 : 64;
  store<u32>(SOURCES + at, <u32>source);
  store<u32>(WHOLE + at, whole);
  store<u32>(BLOCKS + at, whole + (tailBytes >> 6));
  memory.copy(tail, source + <usize>(whole << 6), <usize>rest);
  store<u8>(tail + <usize>rest, 0x80);
  memory.fill(tail + <usize>(rest + 1), 0, <usize>(tailBytes - rest - 1));
  store<u64>(tail + <usize>(tailBytes - 8), bswap<u64>(<u64>length << 3));
}

/** Address of a block of a lane; its last one where it has no more. */
function blockOf(lane: u32, block: u32): usize {
  const at = (<usize>lane) << 2;
  const whole = load<u32>(WHOLE + at);
  if (block < whole) return <usize>load<u32>(SOURCES + at) + <usize>(block << 6);
  const tail = min<u32>(block, load<u32>(BLOCKS + at) - 1) - whole;
  return TAILS + (<usize>lane << 7) + <usize>(tail << 6);
}

// @ts-ignore: decorator
@inline
function rotr(x: v128, bits: i32): v128 {
  return v128.or(i32x4.shr_u(x, bits), i32x4.shl(x, 32 - bits));
}

// @ts-ignore: decorator
@inline
function swap(x: v128): v128 {
  return v128.shuffle<u8>(x, x, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}

/** §6.2.2 step 1, from four blocks. */
function expand(block: u32): void {
  const pa = blockOf(0, block);
  const pb = blockOf(1, block);
  const pc = blockOf(2, block);
  const pd = blockOf(3, block);
  for (let i: usize = 0; i < 64; i += 16) {
    const a = swap(v128.load(pa + i));
    const b = swap(v128.load(pb + i));
    const c = swap(v128.load(pc + i));
    const d = swap(v128.load(pd + i));
    const lowAB = v128.shuffle<u32>(a, b, 0, 4, 1, 5);
    const lowCD = v128.shuffle<u32>(c, d, 0, 4, 1, 5);
    const highAB = v128.shuffle<u32>(a, b, 2, 6, 3, 7);
    const highCD = v128.shuffle<u32>(c, d, 2, 6, 3, 7);
    const out = SCHEDULE + (i << 2);
    v128.store(out, v128.shuffle<u64>(lowAB, lowCD, 0, 2));
    v128.store(out, v128.shuffle<u64>(lowAB, lowCD, 1, 3), 16);
    v128.store(out, v128.shuffle<u64>(highAB, highCD, 0, 2), 32);
    v128.store(out, v128.shuffle<u64>(highAB, highCD, 1, 3), 48);
  }
  for (let t: usize = SCHEDULE + 256; t < SCHEDULE + 1024; t += 16) {
    const x = v128.load(t - 240);
    const y = v128.load(t - 32);
    const s0 = v128.xor(v128.xor(rotr(x, 7), rotr(x, 18)), i32x4.shr_u(x, 3));
    const s1 = v128.xor(v128.xor(rotr(y, 17), rotr(y, 19)), i32x4.shr_u(y, 10));
    const sum = i32x4.add(i32x4.add(v128.load(t - 256), v128.load(t - 112)), s0);
    v128.store(t, i32x4.add(sum, s1));
  }
}

/** §6.2.2 steps 2 to 4. */
function compress(): void {
  let a = v128.load(STATE);
  let b = v128.load(STATE, 16);
  let c = v128.load(STATE, 32);
  let d = v128.load(STATE, 48);
  let e = v128.load(STATE, 64);
  let f = v128.load(STATE, 80);
  let g = v128.load(STATE, 96);
  let h = v128.load(STATE, 112);
  for (let t: usize = 0; t < 64; ++t) {
    const s1 = v128.xor(v128.xor(rotr(e, 6), rotr(e, 11)), rotr(e, 25));
    const choice = v128.xor(g, v128.and(e, v128.xor(f, g)));
    const k = v128.load32_splat(K256 + (t << 2));
    const w = i32x4.add(k, v128.load(SCHEDULE + (t << 4)));
    const t1 = i32x4.add(i32x4.add(i32x4.add(h, w), choice), s1);
    const s0 = v128.xor(v128.xor(rotr(a, 2), rotr(a, 13)), rotr(a, 22));
    const majority = v128.or(v128.and(a, b), v128.and(c, v128.or(a, b)));
    h = g;
    g = f;
    f = e;
    e = i32x4.add(d, t1);
    d = c;
    c = b;
    b = a;
    a = i32x4.add(t1, i32x4.add(s0, majority));
  }
  v128.store(STATE, i32x4.add(a, v128.load(STATE)));
  v128.store(STATE, i32x4.add(b, v128.load(STATE, 16)), 16);
  v128.store(STATE, i32x4.add(c, v128.load(STATE, 32)), 32);
  v128.store(STATE, i32x4.add(d, v128.load(STATE, 48)), 48);
  v128.store(STATE, i32x4.add(e, v128.load(STATE, 64)), 64);
  v128.store(STATE, i32x4.add(f, v128.load(STATE, 80)), 80);
  v128.store(STATE, i32x4.add(g, v128.load(STATE, 96)), 96);
  v128.store(STATE, i32x4.add(h, v128.load(STATE, 112)), 112);
}

/**
 * Hashes the four messages that were set; their digests, 32 bytes each, go to `out` and each
 * `stride` bytes on.
 */
export function hashFour(out: usize, stride: u32): void {
  let blocks: u32 = 0;
  for (let lane: usize = 0; lane < 16; lane += 4) blocks = max(blocks, load<u32>(BLOCKS + lane));
  invariant(blocks <= BLOCKS_MAX);
  for (let i: usize = 0; i < 8; ++i) {
    v128.store(STATE + (i << 4), v128.load32_splat(INITIAL256 + (i << 2)));
  }
  for (let block: u32 = 0; block < blocks; ++block) {
    expand(block);
    compress();
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const at = (<usize>lane) << 2;
      if (load<u32>(BLOCKS + at) != block + 1) continue;
      const digest = out + <usize>(lane * stride);
      for (let i: usize = 0; i < 8; ++i) {
        store<u32>(digest + (i << 2), bswap<u32>(load<u32>(STATE + (i << 4) + at)));
      }
    }
  }
}
