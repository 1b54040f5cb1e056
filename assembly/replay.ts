/**
 * Replays of logs for hosts: what `replayEventLog` and `replayIma` of portcullis/core call. They prove nothing: no quote is
 * compared.
 *
 * The answer is a row of u32, little-endian, at REPLAY, named below; values of PCRs (by number of the hash, from 1 on,
 * and index, 64 bytes each) and records stand where the row says. Offsets count from the first byte of the log.
 */
import { Span, lenOf, ptrOf, same, span } from "./abi";
import { algorithmAt, algorithms } from "./measure/digest-list";
import { isDataBound } from "./measure/event-data";
import {
  dataOffset,
  digestOffset,
  event,
  extendEvent,
  faultOffset,
  hasBank,
  isAgile,
  isFaulty,
  nextEvent,
  openEventLog,
  paddingBytes,
  startupLocality,
} from "./measure/eventlog";
import { Digest, bytesLeft, entry, judgeDigest, nextEntry, openIma, storedBytes } from "./measure/ima";
import * as ima from "./measure/ima";
import { HASHES, REGISTERS, extendedIn } from "./measure/registers";
import { hashOf } from "./tpm/algorithm";

/** Bits 1 to 4. */
const ALL_BANKS: u32 = 0x1e;
const ROW_BYTES: u32 = 256;

/** 1 where the log is malformed, and the offset of the event that is. Then nothing else counts. */
const FAULTY: usize = 0;
const FAULT_OFFSET: usize = 4;
/** Where the values of PCRs stand, and the records; how many records there are. */
const VALUES: usize = 8;
const RECORDS: usize = 12;
const COUNT: usize = 16;
/** By number of the hash, from 1 on: one bit a PCR that was extended. */
const EXTENDED: usize = 20;

/** Event logs: 1 if crypto-agile; locality, or -1; bytes of padding; one bit a bank, by number of its hash. */
const AGILE: usize = 36;
const LOCALITY: usize = 40;
const PADDING: usize = 44;
const BANKS: usize = 48;
/** How many algorithms this core does not have, and their TPM_ALG_IDs. */
const UNSUPPORTED: usize = 52;

/** IMA lists: bytes of an incomplete entry, bytes of a template digest, and how many templates. */
const BYTES_LEFT: usize = 36;
const STORED_BYTES: usize = 40;
const TEMPLATES: usize = 44;
/** For each template: offset and length of its name in the list, and its entries. A list has few: the kernel has eight. */
const TEMPLATE: u32 = 48;
const TEMPLATE_BYTES: u32 = 12;
const TEMPLATES_MAX: u32 = 16;

/** A record of six u32: PCR, offset and length of the template's name and of its data, and flags. */
const ENTRY_BYTES: u32 = 24;
const VIOLATION: u32 = 1;
const MISMATCH: u32 = 2;
const ZERO_PADDED: u32 = 4;

/** A record of nine u32: PCR, type, offset and length of data, 1 if bound, offset of the digest by hash, or 0. */
const EVENT_BYTES: u32 = 36;

export const REPLAY: usize = memory.data(256, 8);

function openRow(records: usize): void {
  memory.fill(REPLAY, 0, ROW_BYTES);
  store<u32>(REPLAY, <u32>REGISTERS, VALUES);
  store<u32>(REPLAY, <u32>records, RECORDS);
}

/** Replays an event log; `records` is the address of room for 36 bytes an event, behind the log. */
export function replayEventLog(log: Span, ccel: bool, records: usize): void {
  openRow(records);
  openEventLog(log, ccel);
  let count: u32 = 0;
  for (; nextEvent(); count++) {
    writeEvent(records + count * EVENT_BYTES);
    extendEvent(ALL_BANKS);
  }
  store<u32>(REPLAY, isFaulty ? 1 : 0, FAULTY);
  store<u32>(REPLAY, faultOffset, FAULT_OFFSET);
  store<u32>(REPLAY, count, COUNT);
  store<u32>(REPLAY, isAgile ? 1 : 0, AGILE);
  store<i32>(REPLAY, startupLocality, LOCALITY);
  store<u32>(REPLAY, paddingBytes, PADDING);
  let banks: u32 = 0;
  for (let hash: u32 = 1; hash <= HASHES; hash++) {
    store<u32>(REPLAY + ((hash - 1) << 2), extendedIn(hash), EXTENDED);
    if (hasBank(hash)) banks |= 1 << hash;
  }
  store<u32>(REPLAY, banks, BANKS);
  writeUnsupported();
}

function writeEvent(record: usize): void {
  store<u32>(record, event.pcr);
  store<u32>(record, event.type, 4);
  store<u32>(record, dataOffset(), 8);
  store<u32>(record, lenOf(event.data), 12);
  store<u32>(record, isDataBound() ? 1 : 0, 16);
  for (let hash: u32 = 1; hash <= HASHES; hash++) {
    store<u32>(record + (hash << 2), digestOffset(hash), 16);
  }
}

function writeUnsupported(): void {
  let unsupported: u32 = 0;
  for (let i: u32 = 0; i < algorithms; i++) {
    if (hashOf(algorithmAt(i)) != 0) continue;
    unsupported++;
    store<u32>(REPLAY + (unsupported << 2), algorithmAt(i), UNSUPPORTED);
  }
  store<u32>(REPLAY, unsupported, UNSUPPORTED);
}

/** Replays an IMA list in one bank; see `openIma`. `records` is the address of room for 24 bytes an entry. */
export function replayIma(list: Span, hash: u32, stored: u32, padded: bool, records: usize): void {
  openRow(records);
  openIma(list, hash, stored, padded);
  let entries: u32 = 0;
  let crowded = false;
  for (; !crowded && nextEntry(); entries++) {
    crowded = !countTemplate(ptrOf(list));
    writeEntry(records + entries * ENTRY_BYTES, ptrOf(list));
  }
  const at = crowded ? <u32>(ptrOf(entry.template) - ptrOf(list)) : ima.faultOffset;
  store<u32>(REPLAY, crowded || ima.isFaulty ? 1 : 0, FAULTY);
  store<u32>(REPLAY, at, FAULT_OFFSET);
  store<u32>(REPLAY, entries, COUNT);
  store<u32>(REPLAY + ((hash - 1) << 2), extendedIn(hash), EXTENDED);
  store<u32>(REPLAY, bytesLeft, BYTES_LEFT);
  store<u32>(REPLAY, storedBytes, STORED_BYTES);
}

function writeEntry(record: usize, list: usize): void {
  const digest = judgeDigest();
  let flags = entry.isViolation ? VIOLATION : 0;
  if (digest == Digest.WRONG) flags |= MISMATCH;
  if (digest == Digest.PADDED) flags |= ZERO_PADDED;
  store<u32>(record, entry.pcr);
  store<u32>(record, <u32>(ptrOf(entry.template) - list), 4);
  store<u32>(record, lenOf(entry.template), 8);
  store<u32>(record, <u32>(ptrOf(entry.body) - list), 12);
  store<u32>(record, lenOf(entry.body), 16);
  store<u32>(record, flags, 20);
}

function count(what: usize): void {
  store<u32>(REPLAY + what, load<u32>(REPLAY + what) + 1);
}

/** Counts the entry's template; false where it is one too many. */
function countTemplate(list: usize): bool {
  const known = load<u32>(REPLAY, TEMPLATES);
  const offset = <u32>(ptrOf(entry.template) - list);
  for (let i: u32 = 0; i < known; i++) {
    const row = TEMPLATE + i * TEMPLATE_BYTES;
    const name = span(list + load<u32>(REPLAY + row), load<u32>(REPLAY + row + 4));
    if (!same(name, entry.template)) continue;
    count(row + 8);
    return true;
  }
  if (known == TEMPLATES_MAX) return false;
  const row = REPLAY + TEMPLATE + known * TEMPLATE_BYTES;
  store<u32>(row, offset);
  store<u32>(row, lenOf(entry.template), 4);
  store<u32>(row, 1, 8);
  count(TEMPLATES);
  return true;
}
