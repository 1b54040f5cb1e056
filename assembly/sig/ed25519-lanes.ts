/**
 * Ed25519 for keys that have a table: up to 64 signatures at once, four in lanes, or one spread over
 * four lanes, without a doubling. The predicate is that of sig/ed25519, whose step 2 (about A) was settled when
 * the key was enrolled.
 */
import {
  BASE_WINDOW,
  edBaseTable,
  edEntries,
  edWindows,
  encodeLane,
  keepSum,
  neutralEntry,
  sumAcrossLanes,
  sumEntries,
  toAffineGroups,
} from "../curve/edwards-lanes";
import { ORDER } from "../curve/edwards25519";
import { compare, copy, limb, setLimb } from "../field/limbs";
import { begin, finish, HashId, HASH_CONTEXT_BYTES, update } from "../hash/hash";
import { reduceDigest } from "./ed25519-scalar";

/** Entries of one signature: 26 windows of the base point and 64 of a key. */
const ENTRIES_MAX: u32 = 96;
const STRIDE: u32 = 96 * 4;
const ENTRIES: usize = memory.data(4 * 96 * 4, 16);
const CONTEXT: usize = memory.data(HASH_CONTEXT_BYTES, 16);
const DIGEST: usize = memory.data(64, 16);
const S: usize = memory.data(32, 16);
const K: usize = memory.data(32, 16);
const ENCODING: usize = memory.data(32, 16);

/**
 * y of the eight points of small order: 0, 1, -1, and plus and minus that of order 8 (in 8 limbs
 * each).
 */
const SMALL: usize = memory.data<u32>([
  0x00000000, 0x00000000, 0x00000000, 0x00000000,
  0x00000000, 0x00000000, 0x00000000, 0x00000000,
  0x00000001, 0x00000000, 0x00000000, 0x00000000,
  0x00000000, 0x00000000, 0x00000000, 0x00000000,
  0xffffffec, 0xffffffff, 0xffffffff, 0xffffffff,
  0xffffffff, 0xffffffff, 0xffffffff, 0x7fffffff,
  0x706a17c7, 0x4fd84d3d, 0x760b3cba, 0x0f67100d,
  0xfa53202a, 0xc6cc392c, 0x77fdc74e, 0x7a03ac92,
  0x8f95e826, 0xb027b2c2, 0x89f4c345, 0xf098eff2,
  0x05acdfd5, 0x3933c6d3, 0x880238b1, 0x05fc536d,
]);

/** One signature to verify. */
@unmanaged
export class EdItem {
  /** The key's table, and the key. */
  table: usize;
  key: usize;
  message: usize;
  messageBytes: u32;
  /** 64 bytes. */
  signature: usize;
  valid: bool;
}

/** Signatures at once. */
export const ED_BATCH_MAX: u32 = 64;
const ITEMS: usize = memory.data(64 * 32, 16);
/** Of each group, the lanes (bits 0 to 3) whose sums count. */
const READY: usize = memory.data(16);

export function edItemOf(index: u32): EdItem {
  return changetype<EdItem>(ITEMS + (<usize>index << 5));
}

/** Verifies the first `count` items, at least one, all of whose keys have tables of this window. */
export function verifyEdItems(count: u32, window: u32): void {
  assert(count >= 1 && count <= ED_BATCH_MAX);
  edBaseTable();
  // Three together take as long as four; two take longer than one after the other.
  if (count >= 3) verifyTogether(count, window);
  else for (let i: u32 = 0; i < count; ++i) verifyApart(i, window);
}

/** S < L; then writes the entries that add up to S·B - k·A to `out`. */
function prepareItem(index: u32, window: u32, out: usize): bool {
  const item = edItemOf(index);
  item.valid = false;
  copy(S, item.signature + 32, 8);
  if (compare(S, ORDER.m, 8) >= 0) return false;
  begin(HashId.SHA512, CONTEXT);
  update(CONTEXT, item.signature, 32);
  update(CONTEXT, item.key, 32);
  update(CONTEXT, item.message, item.messageBytes);
  finish(CONTEXT, DIGEST);
  reduceDigest(K, DIGEST);
  edEntries(out, edBaseTable(), BASE_WINDOW, S, 0);
  edEntries(out + ((<usize>edWindows(BASE_WINDOW)) << 2), item.table, window, K, 1);
  return true;
}

/** Whether a lane's point is R: the same canonical encoding, and not of small order. */
function matches(index: u32, group: u32, lane: u32): bool {
  encodeLane(ENCODING, group, lane);
  if (compare(ENCODING, edItemOf(index).signature, 8) != 0) return false;
  setLimb(ENCODING, 7, limb(ENCODING, 7) & 0x7fffffff);
  for (let small: usize = SMALL; small < SMALL + 160; small += 32) {
    if (compare(ENCODING, small, 8) == 0) return false;
  }
  return true;
}

/** One signature a lane; a lane without one sums up nothing. */
function verifyTogether(count: u32, window: u32): void {
  const points = edWindows(BASE_WINDOW) + edWindows(window);
  const groups = (count + 3) >> 2;
  for (let group: u32 = 0; group < groups; ++group) {
    let ready: u32 = 0;
    for (let lane: u32 = 0; lane < 4; ++lane) {
      const index = group * 4 + lane;
      const out = ENTRIES + <usize>(lane * STRIDE);
      if (index < count && prepareItem(index, window, out)) ready |= 1 << lane;
      else fillUp(out, 0, points);
    }
    store<u8>(READY + <usize>group, <u8>ready);
    sumEntries(ENTRIES, points, STRIDE, 4);
    keepSum(group);
  }
  toAffineGroups(groups);
  for (let index: u32 = 0; index < count; ++index) {
    const group = index >> 2;
    const lane = index & 3;
    const ready = (<u32>load<u8>(READY + <usize>group) >> lane) & 1;
    if (ready != 0) edItemOf(index).valid = matches(index, group, lane);
  }
}

/** One signature, its entries dealt out to the lanes. */
function verifyApart(index: u32, window: u32): void {
  if (!prepareItem(index, window, ENTRIES)) return;
  const points = edWindows(BASE_WINDOW) + edWindows(window);
  const rows = (points + 3) >> 2;
  fillUp(ENTRIES, points, rows * 4);
  sumEntries(ENTRIES, rows, 4, 16);
  sumAcrossLanes();
  keepSum(0);
  toAffineGroups(1);
  edItemOf(index).valid = matches(index, 0, 0);
}

function fillUp(entries: usize, from: u32, to: u32): void {
  assert(to <= ENTRIES_MAX);
  for (let i = from; i < to; ++i) store<u32>(entries + ((<usize>i) << 2), neutralEntry());
}
