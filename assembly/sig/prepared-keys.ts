/**
 * Keys that are known beforehand, in slots: ECDSA P-256 and P-384, Ed25519, RSA. A key of a curve
 * may own a table of multiples (curve/p256-table, p384-table, edwards-lanes), which makes its
 * signatures many times faster to verify; how many tables there are is bounded in bytes
 * (key-rooms), and the key that waited longest gives its table up when another needs the room. An
 * RSA key always has its record (sig/rsa-key). Whether a key has a table changes no answer.
 *
 * The scalar build keeps the slots and makes no tables.
 */
import { edBaseTable, makeEdTable } from "../curve/edwards-lanes";
import { decodePoint, isSmallOrder } from "../curve/edwards25519";
import { P256 } from "../curve/p256";
import { makeTable } from "../curve/p256-table";
import { P384 } from "../curve/p384";
import { makeWideTable } from "../curve/p384-table";
import { readPoint } from "../curve/weierstrass";
import { giveRoom, Room, roomsAllowed, takeFree, takeRoom } from "./key-rooms";
import { completeRecord, readRsaKey, RSA_RECORD_BYTES, RSA_VALUE_BYTES } from "./rsa-key";

/** Keys at once. */
export const SLOTS_MAX: u32 = 16_384;
/** Of them, those that the core took in by itself. */
const LENT_MAX: u32 = 1024;
/** In place of a slot: there is none. */
export const NO_SLOT: u32 = 0xffffffff;

export const enum KeyKind {
  /** x||y, 64 bytes. */
  P256 = 1,
  /** 32 bytes. */
  ED25519 = 2,
  /** x||y, 96 bytes. */
  P384 = 3,
  /** n and e, each 512 bytes. */
  RSA = 4,
}

/** How hot a key is: 66 KB of table for a warm key, 328 KB for a hot one (P-384: 451 KB). */
export const enum Tier {
  COLD = 0,
  WARM = 1,
  HOT = 2,
}

@unmanaged
class Slot {
  /** KeyKind of the key held; 0 where none is. */
  kind: u32;
  /** The table's window, 0 without a table; and its address. Of an RSA key, that of its record. */
  window: u32;
  table: usize;
  /** The next slot of the same hash, or of the free list, plus 1. */
  next: u32;
  /** Number of the last use. */
  stamp: u64;
  /** Signatures that verified, where the core took the key in by itself; else 0. */
  lent: u32;
}

const SLOT_BYTES: usize = 128;
const NEXT: usize = offsetof<Slot>("next");
const KEY: usize = 32;
const SLOTS: usize = memory.data(16_384 * 128, 16);
/** First slot of each hash, plus 1. */
const HEADS: usize = memory.data(4096 * 4, 16);
const HEADS_MASK: u32 = 4095;
/** Bytes of a key, short ones with zeros behind. */
const KEY_BYTES: usize = 96;
const POINT: usize = memory.data(144, 16);
const KEYED: usize = memory.data(96, 16);
const RECORD: usize = memory.data(RSA_RECORD_BYTES, 16);

let slots: u32 = 0;
let freeSlots: u32 = 0;
let stamp: u64 = 0;

// @ts-ignore: decorator
@inline
function slotOf(index: u32): Slot {
  return changetype<Slot>(SLOTS + <usize>index * SLOT_BYTES);
}

/** Bits of a window of the table. */
function windowOf(kind: u32, tier: u32): u32 {
  if (tier == <u32>Tier.COLD) return 0;
  if (kind == <u32>KeyKind.P256) return tier == <u32>Tier.HOT ? 8 : 5;
  if (kind == <u32>KeyKind.P384) return tier == <u32>Tier.HOT ? 7 : 3;
  return tier == <u32>Tier.HOT ? 7 : 4;
}

/** The room that a table wants; kinds of one size may take over each other's. */
function sizeOf(kind: u32, tier: u32): u32 {
  if (tier != <u32>Tier.HOT) return Room.WARM;
  return kind == <u32>KeyKind.P384 ? Room.WIDE : Room.HOT;
}

function tierOf(slot: Slot): u32 {
  if (slot.window == 0) return Tier.COLD;
  return slot.window == windowOf(slot.kind, Tier.HOT) ? Tier.HOT : Tier.WARM;
}

/** Copies a key into KEYED, with zeros behind a short one; of an RSA key, the low limbs of n. */
function pad(kind: u32, key: usize): void {
  memory.fill(KEYED, 0, KEY_BYTES);
  const p256 = kind == <u32>KeyKind.P256;
  memory.copy(KEYED, key, p256 ? 64 : kind == <u32>KeyKind.ED25519 ? 32 : KEY_BYTES);
}

/** FNV-1a over the kind and the padded key. */
function headOf(kind: u32, key: usize): usize {
  let hash: u32 = (0x811c9dc5 ^ kind) * 0x01000193;
  for (let i: usize = 0; i < KEY_BYTES; ++i) hash = (hash ^ <u32>load<u8>(key + i)) * 0x01000193;
  return HEADS + <usize>(((hash ^ (hash >> 16)) & HEADS_MASK) << 2);
}

/** The slot of a key, or NO_SLOT. An RSA key is looked for by the values of its record. */
export function findKey(kind: u32, key: usize): u32 {
  if (slots == 0) return NO_SLOT;
  pad(kind, key);
  let next = load<u32>(headOf(kind, KEYED));
  while (next != 0) {
    const slot = slotOf(next - 1);
    const same = memory.compare(changetype<usize>(slot) + KEY, KEYED, KEY_BYTES) == 0;
    if (same && slot.kind == kind && isWhole(slot, key)) return next - 1;
    next = slot.next;
  }
  return NO_SLOT;
}

/** Whether an RSA slot's other values are the key's too; for other kinds there are none. */
function isWhole(slot: Slot, key: usize): bool {
  return slot.kind != <u32>KeyKind.RSA || memory.compare(slot.table, key, RSA_VALUE_BYTES) == 0;
}

/** Kind of the key in a slot. */
export function kindOf(index: u32): u32 {
  assert(index < SLOTS_MAX && slotOf(index).kind != 0);
  return slotOf(index).kind;
}

/** Address of the key in a slot. */
export function keyOf(index: u32): usize {
  assert(index < SLOTS_MAX && slotOf(index).kind != 0);
  return changetype<usize>(slotOf(index)) + KEY;
}

/** The window of a slot's table, 0 without one, and its address. Counts as a use. */
export function useWindow(index: u32): u32 {
  assert(index < SLOTS_MAX && slotOf(index).kind != 0);
  slotOf(index).stamp = ++stamp;
  return slotOf(index).window;
}

export function tableOf(index: u32): usize {
  return slotOf(index).table;
}

/** Record of the RSA key in a slot. */
export function recordOf(index: u32): usize {
  assert(kindOf(index) == <u32>KeyKind.RSA);
  return slotOf(index).table;
}

/** Reads a key into POINT or RECORD; false when its value is no key. */
function readKey(kind: u32, key: usize): bool {
  if (kind == <u32>KeyKind.P256) return readPoint(P256, POINT, key);
  if (kind == <u32>KeyKind.P384) return readPoint(P384, POINT, key);
  if (kind == <u32>KeyKind.RSA) return readRsaKey(RECORD, key, 512, key + 512, 512);
  assert(kind == <u32>KeyKind.ED25519);
  return decodePoint(POINT, key) && !isSmallOrder(POINT);
}

/**
 * Takes a key in and returns its slot: the one it already has, or a new one. NO_SLOT when it is no
 * key, or all slots are taken. A tier asks for a table; it gets the best that the limit has room
 * for.
 */
export function enrollKey(kind: u32, key: usize, tier: u32): u32 {
  if (!readKey(kind, key)) return NO_SLOT;
  const rsa = kind == <u32>KeyKind.RSA;
  if (rsa) key = RECORD;
  let index = findKey(kind, key);
  if (index == NO_SLOT) index = addKey(kind, key);
  if (index == NO_SLOT) return NO_SLOT;
  const slot = slotOf(index);
  slot.stamp = ++stamp;
  slot.lent = 0;
  if (SIMD != 0 && !rsa) raise(slot, tier);
  return index;
}

/**
 * Takes a key in that nobody asked for, as one that has verified `uses` signatures. It may displace
 * nothing but tables of its own kind.
 */
export function lendKey(kind: u32, key: usize, uses: u32, tier: u32): u32 {
  if (!roomsAllowed() || !readKey(kind, key)) return NO_SLOT;
  let index = findKey(kind, key);
  if (index == NO_SLOT) {
    if (lentSlots() >= LENT_MAX) forgetKey(findOldest(Tier.COLD, null));
    index = addKey(kind, key);
    if (index == NO_SLOT) return NO_SLOT;
  }
  const slot = slotOf(index);
  slot.stamp = ++stamp;
  slot.lent = uses;
  raise(slot, tier);
  return index;
}

/** Counts one more signature by a lent key, and gives how many there were; 0 for any other key. */
export function countLent(index: u32): u32 {
  const slot = slotOf(index);
  if (slot.lent != 0) ++slot.lent;
  return slot.lent;
}

function lentSlots(): u32 {
  let lent: u32 = 0;
  for (let index: u32 = 0; index < slots; ++index) if (slotOf(index).lent != 0) ++lent;
  return lent;
}

/** A new slot for this key, NO_SLOT where there is none left, or no room for a record. */
function addKey(kind: u32, key: usize): u32 {
  const rsa = kind == <u32>KeyKind.RSA;
  const record = rsa ? takeRecord() : 0;
  if (rsa && record == 0) return NO_SLOT;
  const index = takeSlot();
  if (index == NO_SLOT) {
    if (rsa) giveRoom(Room.RECORD, record);
    return NO_SLOT;
  }
  pad(kind, key);
  const slot = slotOf(index);
  const head = headOf(kind, KEYED);
  slot.kind = kind;
  slot.window = 0;
  slot.table = record;
  slot.next = load<u32>(head);
  memory.copy(changetype<usize>(slot) + KEY, KEYED, KEY_BYTES);
  store<u32>(head, index + 1);
  return index;
}

/** A copy of RECORD, complete; 0 when the limit or the engine has no room for one. */
function takeRecord(): usize {
  const record = takeRoom(Room.RECORD);
  if (record == 0) return 0;
  completeRecord(RECORD);
  memory.copy(record, RECORD, RSA_RECORD_BYTES);
  return record;
}

function takeSlot(): u32 {
  if (freeSlots != 0) {
    const index = freeSlots - 1;
    freeSlots = slotOf(index).next;
    return index;
  }
  return slots == SLOTS_MAX ? NO_SLOT : slots++;
}

/** Gives a key up, its table first; the slot may then be another key's. */
export function forgetKey(index: u32): void {
  const key = keyOf(index);
  const slot = slotOf(index);
  dropTable(slot);
  let link = headOf(slot.kind, key);
  while (load<u32>(link) != index + 1) {
    link = changetype<usize>(slotOf(load<u32>(link) - 1)) + NEXT;
  }
  store<u32>(link, slot.next);
  if (slot.kind == <u32>KeyKind.RSA) giveRoom(Room.RECORD, slot.table);
  slot.kind = 0;
  slot.lent = 0;
  memory.fill(key, 0, KEY_BYTES);
  slot.next = freeSlots;
  freeSlots = index + 1;
}

/** Whether a slot has a table of this tier, in a room that would do for the one who asks. */
function isPeer(slot: Slot, tier: u32, asking: Slot | null): bool {
  if (tierOf(slot) != tier) return false;
  return asking == null || sizeOf(slot.kind, tier) == sizeOf(asking.kind, tier);
}

/** Makes a better table for the slot, if there is room for one. */
function raise(slot: Slot, tier: u32): void {
  for (; tier > tierOf(slot); --tier) {
    const table = takeTable(tier, slot);
    if (table == 0) continue;
    dropTable(slot);
    slot.table = table;
    slot.window = windowOf(slot.kind, tier);
    if (slot.kind == <u32>KeyKind.P256) makeTable(table, slot.window, POINT);
    else if (slot.kind == <u32>KeyKind.P384) makeWideTable(table, slot.window, POINT);
    else {
      edBaseTable();
      makeEdTable(table, slot.window, POINT);
    }
    return;
  }
}

function dropTable(slot: Slot): void {
  if (slot.window == 0) return;
  giveRoom(sizeOf(slot.kind, tierOf(slot)), slot.table);
  slot.window = 0;
  slot.table = 0;
}

/** Room for a table of this tier, perhaps the oldest key's; else 0. */
function takeTable(tier: u32, asking: Slot): usize {
  const size = sizeOf(asking.kind, tier);
  const table = takeRoom(size);
  if (table != 0) return table;
  const oldest = findOldest(tier, asking);
  if (oldest == NO_SLOT) return 0;
  dropTable(slotOf(oldest));
  return takeFree(size);
}

/**
 * The slot with a table of this tier (COLD: any) that was used the longest time ago; for a lent key,
 * or for none, only among lent ones.
 */
function findOldest(tier: u32, asking: Slot | null): u32 {
  const amongLent = asking == null || asking.lent != 0;
  let oldest = NO_SLOT;
  let since: u64 = u64.MAX_VALUE;
  for (let index: u32 = 0; index < slots; ++index) {
    const slot = slotOf(index);
    if (slot.kind == 0 || slot.stamp >= since || slot == asking) continue;
    if (tier != <u32>Tier.COLD && !isPeer(slot, tier, asking)) continue;
    if (amongLent && slot.lent == 0) continue;
    oldest = index;
    since = slot.stamp;
  }
  return oldest;
}
