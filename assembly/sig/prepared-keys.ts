/**
 * Keys of P-256 that are known beforehand, in slots. A key may own a table of multiples (curve/p256-table), which
 * makes its signatures many times faster to verify; how many tables there are is bounded in bytes, and the key that
 * waited longest gives its table up when another needs the room. Whether a key has a table changes no answer.
 *
 * Tables lie in memory that is grown for them and never given back; a table given up is used again for one of its own
 * size. The scalar build keeps the slots and makes no tables.
 */
import { P256 } from "../curve/p256";
import { makeTable, tableBytes } from "../curve/p256-table";
import { readPoint } from "../curve/weierstrass";

/** Keys at once. */
export const SLOTS_MAX: u32 = 16_384;
/** In place of a slot: there is none. */
export const NO_SLOT: u32 = 0xffffffff;

/** How hot a key is, in windows of its table: 66 KB for a warm key, 189 KB for a hot one. */
export const enum Tier {
  COLD = 0,
  WARM = 1,
  HOT = 2,
}

@unmanaged
class Slot {
  /** 1 where a key is held. */
  used: u32;
  /** The table's window, 0 without a table; and its address. */
  window: u32;
  table: usize;
  /** The next slot of the same hash, or of the free list, plus 1. */
  next: u32;
  /** Number of the last use. */
  stamp: u64;
}

const SLOT_BYTES: usize = 96;
const NEXT: usize = offsetof<Slot>("next");
const KEY: usize = 32;
const SLOTS: usize = memory.data(16_384 * 96, 16);
/** First slot of each hash, plus 1. */
const HEADS: usize = memory.data(4096 * 4, 16);
const HEADS_MASK: u32 = 4095;
const POINT: usize = memory.data(96, 16);

let slots: u32 = 0;
let freeSlots: u32 = 0;
let stamp: u64 = 0;
let bytesMax: u32 = 256 << 20;
let bytesUsed: u32 = 0;
/** Tables given up, by tier; each begins with the address of the next. */
let freeWarm: usize = 0;
let freeHot: usize = 0;
/** What is left of the memory grown last. */
let room: usize = 0;
let roomEnd: usize = 0;

// @ts-ignore: decorator
@inline
function slotOf(index: u32): Slot {
  return changetype<Slot>(SLOTS + <usize>index * SLOT_BYTES);
}

export function windowOf(tier: u32): u32 {
  return tier == <u32>Tier.HOT ? 7 : tier == <u32>Tier.WARM ? 5 : 0;
}

/** Limits the bytes of all tables from now on; what is held already stays. */
export function limitKeyBytes(bytes: u32): void {
  bytesMax = bytes;
}

/** Bytes that tables take now, unused ones included. */
export function keyBytes(): u32 {
  return bytesUsed;
}

/** FNV-1a over the 64 bytes. */
function headOf(key: usize): usize {
  let hash: u32 = 0x811c9dc5;
  for (let i: usize = 0; i < 64; ++i) hash = (hash ^ <u32>load<u8>(key + i)) * 0x01000193;
  return HEADS + <usize>(((hash ^ (hash >> 16)) & HEADS_MASK) << 2);
}

/** The slot of a key, x||y, or NO_SLOT. */
export function findKey(key: usize): u32 {
  if (slots == 0) return NO_SLOT;
  let next = load<u32>(headOf(key));
  while (next != 0) {
    const slot = slotOf(next - 1);
    if (memory.compare(changetype<usize>(slot) + KEY, key, 64) == 0) return next - 1;
    next = slot.next;
  }
  return NO_SLOT;
}

/** Address of the key in a slot. */
export function keyOf(index: u32): usize {
  assert(index < SLOTS_MAX && slotOf(index).used == 1);
  return changetype<usize>(slotOf(index)) + KEY;
}

/** The window of a slot's table, 0 without one, and its address. Counts as a use. */
export function useWindow(index: u32): u32 {
  assert(index < SLOTS_MAX && slotOf(index).used == 1);
  slotOf(index).stamp = ++stamp;
  return slotOf(index).window;
}

export function tableOf(index: u32): usize {
  return slotOf(index).table;
}

/**
 * Takes a key (x||y) in and returns its slot: the one it already has, or a new one. NO_SLOT when it is no point of
 * the curve, or all slots are taken. A tier asks for a table; it gets the best that the limit has room for.
 */
export function enrollP256(key: usize, tier: u32): u32 {
  if (!readPoint(P256, POINT, key)) return NO_SLOT;
  let index = findKey(key);
  if (index == NO_SLOT) {
    if (freeSlots != 0) {
      index = freeSlots - 1;
      freeSlots = slotOf(index).next;
    } else {
      if (slots == SLOTS_MAX) return NO_SLOT;
      index = slots++;
    }
    const slot = slotOf(index);
    const head = headOf(key);
    slot.used = 1;
    slot.window = 0;
    slot.table = 0;
    slot.next = load<u32>(head);
    memory.copy(changetype<usize>(slot) + KEY, key, 64);
    store<u32>(head, index + 1);
  }
  const slot = slotOf(index);
  slot.stamp = ++stamp;
  if (SIMD != 0) raise(slot, tier);
  return index;
}

/** Gives a key up, its table first; the slot may then be another key's. */
export function forgetP256(index: u32): void {
  const key = keyOf(index);
  const slot = slotOf(index);
  dropTable(slot);
  let link = headOf(key);
  while (load<u32>(link) != index + 1) link = changetype<usize>(slotOf(load<u32>(link) - 1)) + NEXT;
  store<u32>(link, slot.next);
  slot.used = 0;
  memory.fill(key, 0, 64);
  slot.next = freeSlots;
  freeSlots = index + 1;
}

/** Makes a better table for the slot, if there is room for one. */
function raise(slot: Slot, tier: u32): void {
  for (; tier > 0 && windowOf(tier) > slot.window; --tier) {
    const table = takeRoom(tier, slot);
    if (table == 0) continue;
    dropTable(slot);
    slot.table = table;
    slot.window = windowOf(tier);
    makeTable(table, slot.window, POINT);
    return;
  }
}

function dropTable(slot: Slot): void {
  if (slot.window == 0) return;
  if (slot.window == windowOf(Tier.HOT)) {
    store<usize>(slot.table, freeHot);
    freeHot = slot.table;
  } else {
    store<usize>(slot.table, freeWarm);
    freeWarm = slot.table;
  }
  slot.window = 0;
  slot.table = 0;
}

/** Room for a table of this tier: one given up, fresh memory within the limit, or the oldest key's; else 0. */
function takeRoom(tier: u32, asking: Slot): usize {
  let table = takeFree(tier);
  if (table != 0) return table;
  const bytes = tableBytes(windowOf(tier));
  if (bytes <= bytesMax && bytesUsed <= bytesMax - bytes) {
    table = takeFresh(bytes);
    if (table != 0) return table;
  }
  const oldest = findOldest(windowOf(tier), asking);
  if (oldest == NO_SLOT) return 0;
  dropTable(slotOf(oldest));
  return takeFree(tier);
}

function takeFree(tier: u32): usize {
  const table = tier == <u32>Tier.HOT ? freeHot : freeWarm;
  if (table == 0) return 0;
  if (tier == <u32>Tier.HOT) freeHot = load<usize>(table);
  else freeWarm = load<usize>(table);
  return table;
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

/** The slot with a table of this window that was used the longest time ago. */
function findOldest(window: u32, asking: Slot): u32 {
  let oldest = NO_SLOT;
  let since: u64 = u64.MAX_VALUE;
  for (let index: u32 = 0; index < slots; ++index) {
    const slot = slotOf(index);
    if (slot.window != window || slot.stamp >= since || slot == asking) continue;
    oldest = index;
    since = slot.stamp;
  }
  return oldest;
}
