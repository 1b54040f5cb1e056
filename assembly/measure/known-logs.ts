/**
 * Boot event logs that replayed before: a machine sends the same one for as long as it does not
 * start again. A log is found by all of its bytes, compared one by one with the copy kept here, and
 * by where PCR 0 started; what is found are the PCRs that the replay of those bytes gave. So a
 * known log is judged against each quote as a new one is, only sooner.
 */
import { Span, equal, lenOf, ptrOf } from "../abi";
import { assumeReplayed, isHcrtm } from "./eventlog";
import { REPLAYED_BYTES, restoreRegisters, saveRegisters } from "./registers";

/** At least twice the longest log (limits.eventLogBytes). */
const ARENA_BYTES: u32 = 2_097_152;
const ARENA = memory.data(2_097_152, 16);
const ENTRIES: u32 = 64;
const ENTRY_BYTES: u32 = 6_192;
const TABLE = memory.data(64 * 6_192, 8);

@unmanaged
class KnownLog {
  /** Where the copy begins in the arena. */
  at: u32;
  /** 0 for an entry that is empty. */
  length: u32;
  /** The banks that were replayed, one bit a hash. */
  banks: u32;
  /** Where PCR 0 started, unless the log says. */
  locality: u32;
  hcrtm: bool;
}
/** What the replay gave stands behind it. */
const VALUES_AT: u32 = 24;

/** Where the next copy goes, and the entry that it takes. */
let cursor: u32 = 0;
let next: u32 = 0;

function entryAt(place: u32): KnownLog {
  return changetype<KnownLog>(TABLE + place * ENTRY_BYTES);
}

/** Restores what the replay of exactly this log gave, if one in these banks is known. */
export function recall(log: Span, banks: u32, locality: u32): bool {
  for (let i: u32 = 0; i < ENTRIES; i++) {
    const entry = entryAt(i);
    if (entry.length == 0 || entry.length != lenOf(log)) continue;
    if ((entry.banks & banks) != banks || entry.locality != locality) continue;
    if (!equal(ARENA + entry.at, ptrOf(log), lenOf(log))) continue;
    restoreRegisters(changetype<usize>(entry) + VALUES_AT);
    assumeReplayed(entry.hcrtm);
    return true;
  }
  return false;
}

/** Keeps a log that has just replayed without a fault; the oldest ones make room. */
export function remember(log: Span, banks: u32, locality: u32): void {
  const length = lenOf(log);
  if (length == 0 || length > ARENA_BYTES / 2) return;
  if (cursor + length > ARENA_BYTES) cursor = 0;
  for (let i: u32 = 0; i < ENTRIES; i++) {
    const entry = entryAt(i);
    const apart = entry.at >= cursor + length || entry.at + entry.length <= cursor;
    if (!apart) entry.length = 0;
  }
  const entry = entryAt(next);
  next = (next + 1) % ENTRIES;
  entry.at = cursor;
  entry.length = length;
  entry.banks = banks;
  entry.locality = locality;
  entry.hcrtm = isHcrtm;
  memory.copy(ARENA + cursor, ptrOf(log), length);
  saveRegisters(changetype<usize>(entry) + VALUES_AT);
  cursor += length;
  assert(VALUES_AT + REPLAYED_BYTES <= ENTRY_BYTES);
}
