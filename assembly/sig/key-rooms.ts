/**
 * Memory for tables and records of keys, grown for them and never given back to the engine: rooms
 * of a few sizes, and the limit of bytes that they may take. A room given up is used again for one
 * of its own size.
 */
import { tableBytes } from "../curve/p256-table";
import { wideTableBytes } from "../curve/p384-table";
import { RSA_RECORD_BYTES } from "./rsa-key";

/** Sizes of rooms: a warm table, a hot one, a hot one of P-384, and an RSA key's record. */
export const enum Room {
  WARM = 0,
  HOT = 1,
  WIDE = 2,
  RECORD = 3,
}

let bytesMax: u32 = 256 << 20;
let bytesUsed: u32 = 0;
/** Rooms given up, by size; each begins with the address of the next. */
const FREE: usize = memory.data(4 * 4, 16);
/** What is left of the memory grown last. */
let room: usize = 0;
let roomEnd: usize = 0;

/** Limits the bytes of all rooms from now on; what is held already stays. */
export function limitKeyBytes(bytes: u32): void {
  bytesMax = bytes;
}

/** Whether there may be any. */
export function roomsAllowed(): bool {
  return bytesMax != 0;
}

/** Bytes that rooms take now, unused ones included. */
export function keyBytes(): u32 {
  return bytesUsed;
}

/**
 * Bytes of a room: of the largest table that it is for, with the windows of sig/prepared-keys. Whole
 * cache lines, so that all tables begin with one (field/lanes, touchEntries).
 */
function roomBytes(size: u32): u32 {
  if (size == <u32>Room.RECORD) return (RSA_RECORD_BYTES + 63) & ~63;
  if (size == <u32>Room.WIDE) return wideTableBytes(7);
  return tableBytes(size == <u32>Room.HOT ? 8 : 5);
}

/** A room that was given up, or 0. */
export function takeFree(size: u32): usize {
  const free = FREE + (<usize>size << 2);
  const found = load<usize>(free);
  if (found != 0) store<usize>(free, load<usize>(found));
  return found;
}

/** A room that was given up, or a fresh one within the limit; else 0. */
export function takeRoom(size: u32): usize {
  const found = takeFree(size);
  if (found != 0) return found;
  const bytes = roomBytes(size);
  if (bytes > bytesMax || bytesUsed > bytesMax - bytes) return 0;
  return takeFresh(bytes);
}

export function giveRoom(size: u32, address: usize): void {
  const free = FREE + (<usize>size << 2);
  store<usize>(address, load<usize>(free));
  store<usize>(free, address);
}

/** Grown memory, a megabyte or more at a time; 0 when the engine gives none. */
function takeFresh(bytes: u32): usize {
  if (roomEnd - room < <usize>bytes) {
    const pages: u32 = 16;
    const grown = memory.grow(pages);
    if (grown < 0) return 0;
    const start = <usize>grown << 16;
    if (start != roomEnd) room = start;
    roomEnd = start + (<usize>pages << 16);
  }
  const table = room;
  room += <usize>bytes;
  bytesUsed += bytes;
  return table;
}
