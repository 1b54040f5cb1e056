/**
 * The four hash functions behind one interface: at once with `hash`, or piece by piece with
 * `begin`, `update`, `finish` over a context in the caller's own static memory (so that several can
 * be open).
 */
import { beginSha1, compressSha1 } from "./sha1";
import { beginSha256, compressSha256 } from "./sha256";
import { beginSha384, beginSha512, compressSha512 } from "./sha512";

export const enum HashId {
  SHA1 = 1,
  SHA256 = 2,
  SHA384 = 3,
  SHA512 = 4,
}

/** Size of a context, which wants 16-byte alignment: `memory.data(HASH_CONTEXT_BYTES, 16)`. */
export const HASH_CONTEXT_BYTES: i32 = 208;
/** The longest digest. */
export const DIGEST_BYTES_MAX: i32 = 64;

// Context: id u32, bytes in the buffer u32, bytes absorbed u64, state, buffer.
const FILLED: usize = 4;
const LENGTH: usize = 8;
const STATE: usize = 16;
const BUFFER: usize = 80;

const CONTEXT: usize = memory.data(208, 16);

/** Bytes of a digest; 0 for an id that names no hash. */
export function digestBytes(id: u32): u32 {
  switch (id) {
    case HashId.SHA1:
      return 20;
    case HashId.SHA256:
      return 32;
    case HashId.SHA384:
      return 48;
    case HashId.SHA512:
      return 64;
    default:
      return 0;
  }
}

/** Bytes of a block: FIPS 180-4 §1, figure 1. */
// @ts-ignore: decorator
@inline
function blockBytes(id: u32): u32 {
  return id <= <u32>HashId.SHA256 ? 64 : 128;
}

/**
 * Opens a context. An id that names no hash traps: callers ask `digestBytes` about ids they were
 * given.
 */
export function begin(id: u32, context: usize): void {
  store<u32>(context, id);
  store<u32>(context, 0, FILLED);
  store<u64>(context, 0, LENGTH);
  const state = context + STATE;
  switch (id) {
    case HashId.SHA1:
      beginSha1(state);
      break;
    case HashId.SHA256:
      beginSha256(state);
      break;
    case HashId.SHA384:
      beginSha384(state);
      break;
    case HashId.SHA512:
      beginSha512(state);
      break;
    default:
      assert(false);
  }
}

function compress(id: u32, state: usize, block: usize, blocks: u32): void {
  if (id == <u32>HashId.SHA256) compressSha256(state, block, blocks);
  else if (id == <u32>HashId.SHA1) compressSha1(state, block, blocks);
  else compressSha512(state, block, blocks);
}

/** Absorbs `length` bytes. */
export function update(context: usize, source: usize, length: u32): void {
  const id = load<u32>(context);
  const size = blockBytes(id);
  let filled = load<u32>(context, FILLED);
  assert(digestBytes(id) != 0 && filled < size);
  store<u64>(context, load<u64>(context, LENGTH) + <u64>length, LENGTH);
  const buffer = context + BUFFER;
  if (filled != 0) {
    const part = min<u32>(size - filled, length);
    memory.copy(buffer + <usize>filled, source, <usize>part);
    filled += part;
    source += <usize>part;
    length -= part;
    if (filled < size) {
      store<u32>(context, filled, FILLED);
      return;
    }
    compress(id, context + STATE, buffer, 1);
  }
  const blocks = length / size;
  compress(id, context + STATE, source, blocks);
  const rest = length - blocks * size;
  memory.copy(buffer, source + <usize>(blocks * size), <usize>rest);
  store<u32>(context, rest, FILLED);
}

/** Pads (FIPS 180-4 §5.1), writes `digestBytes(id)` bytes to `out` and closes the context. */
export function finish(context: usize, out: usize): void {
  const id = load<u32>(context);
  const size = blockBytes(id);
  const filled = load<u32>(context, FILLED);
  assert(digestBytes(id) != 0 && filled < size);
  const buffer = context + BUFFER;
  // 0x80, zeros, then the length in bits in the last 8 (or 16) bytes of a block; the message is
  // below 2^61 bytes.
  const lengthBytes: u32 = size >> 3;
  store<u8>(buffer + <usize>filled, 0x80);
  memory.fill(buffer + <usize>(filled + 1), 0, <usize>(size - filled - 1));
  if (filled + 1 + lengthBytes > size) {
    compress(id, context + STATE, buffer, 1);
    memory.fill(buffer, 0, <usize>size);
  }
  store<u64>(buffer + <usize>(size - 8), bswap<u64>(load<u64>(context, LENGTH) << 3));
  compress(id, context + STATE, buffer, 1);
  writeDigest(id, context + STATE, out);
  store<u32>(context, 0);
}

function writeDigest(id: u32, state: usize, out: usize): void {
  const bytes = <usize>digestBytes(id);
  if (blockBytes(id) == 64) {
    for (let i: usize = 0; i < bytes; i += 4) store<u32>(out + i, bswap<u32>(load<u32>(state + i)));
  } else {
    for (let i: usize = 0; i < bytes; i += 8) store<u64>(out + i, bswap<u64>(load<u64>(state + i)));
  }
}

/** Bytes of what `saveState` writes. */
export const STATE_BYTES: u32 = 32;

/** Writes the state of an open SHA-256 context whose buffer is empty: whole blocks were absorbed. */
export function saveState(context: usize, to: usize): void {
  assert(load<u32>(context) == <u32>HashId.SHA256 && load<u32>(context, FILLED) == 0);
  memory.copy(to, context + STATE, STATE_BYTES);
}

/** Opens a context of SHA-256 as it was after `length` bytes, from a saved state. */
export function beginFrom(context: usize, state: usize, length: u32): void {
  assert((length & 63) == 0);
  begin(HashId.SHA256, context);
  memory.copy(context + STATE, state, STATE_BYTES);
  store<u64>(context, length, LENGTH);
}

/** The digest of `length` bytes at `source`, written to `out`. */
export function hash(id: u32, source: usize, length: u32, out: usize): void {
  begin(id, CONTEXT);
  update(CONTEXT, source, length);
  finish(CONTEXT, out);
}
