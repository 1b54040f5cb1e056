/**
 * IMA rules of a reference policy (claim -70504): what a machine may have measured since it booted.
 *
 *     { 1: aggregate, 2: [+ stage] }
 *     stage = { 1: from, 2: to / null, ? 3: files, ? 4: buffers, ? 5: keys, ? 6: excluded prefixes }
 *
 * An entry is allowed where one stage that holds for its index allows it; there is no other way.
 * Files and buffers are sorted by digest, so that a table of the first eight bytes of each finds a
 * row: made anew for each judgement, in one pass over bytes that are read anyway.
 */
import { Span, lenOf, ptrOf, same, span, startsWithAscii } from "../abi";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import { deny } from "../findings";
import { Code, limits } from "../generated";
import { isAggregate, isNamedAggregate } from "../measure/aggregate";
import { entry, nextEntry, openEntries } from "../measure/ima";
import {
  fileDigest,
  fileHash,
  fileName,
  fileSignature,
  isBuffer,
  readFile,
} from "../measure/ima-file";
import { before } from "../measure/quoted-ima";
import { SignatureAnswer, readImaKeys, verifyFile } from "./ima-signature";

const AGGREGATE: i64 = 1;
const STAGES: i64 = 2;
const FROM: i64 = 1;
const TO: i64 = 2;
const FILES: i64 = 3;
const BUFFERS: i64 = 4;
const KEYS: i64 = 5;
const EXCLUDED: i64 = 6;

/** Anything memfd_create is given a name of: its caller's words, slashes among them. */
const MEMFD = "/memfd:";
/** "/" alone would exclude everything. */
const PREFIX_BYTES_MIN: u32 = 3;
/** A row has a head, a digest of 20 bytes and its head, and a list: 23 bytes at least. */
const ROWS_MAX: u32 = 4194304 / 23;
/** First eight bytes of each digest, big-endian, and where its row stands: of all stages, one after another. */
const ROW_KEYS: usize = memory.data(182361 * 8, 8);
const ROW_PLACES: usize = memory.data(182361 * 4, 4);
let rows: u32 = 0;

@unmanaged
class Stage {
  from: u64;
  /** The first index that it does not hold for. */
  to: u64;
  fileRow: u32;
  files: u32;
  bufferRow: u32;
  buffers: u32;
  keys: Span;
  excluded: Span;

  holdsFor(index: u64): bool {
    return index >= this.from && index < this.to;
  }
}
const STAGE_BYTES: u32 = 48;
const STAGE_TABLE = memory.data(16 * 48, 8);
let stages: u32 = 0;
let wantsAggregate: bool = false;

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));
const ROW = changetype<Reader>(memory.data(READER_BYTES, 8));

function stageAt(i: u32): Stage {
  return changetype<Stage>(STAGE_TABLE + i * STAGE_BYTES);
}

/** Reads the rules and keeps nothing but their place; faults stay in the reader. */
export function readImaRules(r: Reader): Span {
  const start = r.at;
  rows = 0;
  stages = 0;
  r.map(2, 2);
  r.require(r.key(0) == AGGREGATE);
  wantsAggregate = r.bool();
  r.require(r.key(keyOrder(AGGREGATE)) == STAGES);
  const count = r.array(1, limits.imaStages);
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) readStage(r, stageAt(i));
  stages = r.fault == Fault.NONE ? count : 0;
  return r.since(start);
}

function readStage(r: Reader, s: Stage): void {
  memory.fill(changetype<usize>(s), 0, STAGE_BYTES);
  // A stage that allows nothing is a mistake, not a rule.
  const members = r.map(3, 6);
  r.require(r.key(0) == FROM);
  s.from = r.uint();
  r.require(r.key(keyOrder(FROM)) == TO);
  s.to = r.nullable() ? u64.MAX_VALUE : r.uint();
  r.require(s.from < s.to);
  let order = keyOrder(TO);
  for (let i: u32 = 2; i < members && r.fault == Fault.NONE; i++) {
    const key = r.key(order);
    order = keyOrder(key);
    const first = rows;
    if (key == FILES) {
      s.fileRow = first;
      readRows(r, 0);
      s.files = rows - first;
    } else if (key == BUFFERS) {
      s.bufferRow = first;
      readRows(r, 1);
      s.buffers = rows - first;
    } else if (key == KEYS) s.keys = readImaKeys(r);
    else if (key == EXCLUDED) s.excluded = readPrefixes(r);
    else r.fail(Fault.UNKNOWN);
  }
}

/** [digest, [names]] by digest, and puts each in the table. */
function readRows(r: Reader, namesMin: u32): void {
  const count = r.array(1, ROWS_MAX);
  let last: Span = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const place = r.at;
    r.array(2, 2);
    const digest = r.bytes(20, 64);
    const width = lenOf(digest);
    r.require(width == 20 || width == 32 || width == 48 || width == 64);
    r.ascending(last, digest);
    last = digest;
    readNames(r, namesMin);
    r.require(rows < ROWS_MAX);
    if (r.fault != Fault.NONE) return;
    store<u64>(ROW_KEYS + (rows << 3), bswap(load<u64>(ptrOf(digest))));
    store<u32>(ROW_PLACES + (rows << 2), <u32>place);
    rows++;
  }
}

function readNames(r: Reader, least: u32): void {
  const names = r.array(least, limits.imaNames);
  let last: Span = 0;
  for (let i: u32 = 0; i < names && r.fault == Fault.NONE; i++) {
    const name = r.bytes(1, limits.fieldBytes);
    r.ascending(last, name);
    last = name;
  }
}

/** Each of them begins and ends with a slash: "/tmp/" never covers "/tmpfoo". */
function readPrefixes(r: Reader): Span {
  const start = r.at;
  const count = r.array(1, limits.imaPrefixes);
  let last: Span = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const prefix = r.bytes(PREFIX_BYTES_MIN, limits.fieldBytes);
    r.ascending(last, prefix);
    last = prefix;
    if (prefix == 0) break;
    const end = ptrOf(prefix) + lenOf(prefix) - 1;
    r.require(load<u8>(ptrOf(prefix)) == 0x2f && load<u8>(end) == 0x2f);
  }
  return r.since(start);
}

/** Index of the entry that was denied first, from the boot's first on, plus one; 0 where none was. */
export let deniedEntry: u64 = 0;

export function clearDenied(): void {
  deniedEntry = 0;
}

/**
 * Judges the first `count` entries of a list, which a quote has proven, by rules that were read before:
 * 1. The boot's first entry is the boot_aggregate of the quoted PCRs, where the rules ask (IMA_AGGREGATE); where they
 *    do not, one of that name is let be. Nowhere else does the name mean anything.
 * 2. Every entry is of a template of the kernel's, in its form (IMA_TEMPLATE).
 * 3. Every buffer is listed by name and digest (IMA_BUFFER).
 * 4. Every file is listed by digest, and path where its row has paths; or lies below an excluded prefix; or has a
 *    signature of a listed key (IMA_SIGNATURE where it has another); else IMA_FILE.
 * Of each list, the first entry that fails is recorded and ends it.
 */
export function judgeImaRules(rules: Span, list: Span, count: u32): bool {
  readImaRules(MAIN.open(rules));
  if (stages == 0) {
    deny(Code.ENVIRONMENT_IMA_FILE);
    return false;
  }
  openEntries(list);
  for (let i: u32 = 0; i < count; i++) {
    const code = nextEntry() ? judgeEntry(before + i) : Code.ENVIRONMENT_IMA_MALFORMED;
    if (code == Code.NONE) continue;
    deny(code);
    const place = before + i + 1;
    if (deniedEntry == 0 || place < deniedEntry) deniedEntry = place;
    return false;
  }
  return true;
}

function judgeEntry(index: u64): Code {
  if (!readFile(entry)) return Code.ENVIRONMENT_IMA_TEMPLATE;
  if (index == 0 && wantsAggregate) {
    return isAggregate() ? Code.NONE : Code.ENVIRONMENT_IMA_AGGREGATE;
  }
  if (index == 0 && isNamedAggregate()) return Code.NONE;
  let code = isBuffer ? Code.ENVIRONMENT_IMA_BUFFER : Code.ENVIRONMENT_IMA_FILE;
  for (let i: u32 = 0; i < stages; i++) {
    const s = stageAt(i);
    if (!s.holdsFor(index)) continue;
    if (isBuffer) {
      if (isListed(s.bufferRow, s.buffers)) return Code.NONE;
      continue;
    }
    if (isListed(s.fileRow, s.files) || isExcluded(s.excluded)) return Code.NONE;
    const answer = verifyFile(s.keys, fileHash, fileDigest, fileSignature);
    if (answer == SignatureAnswer.VALID) return Code.NONE;
    if (answer == SignatureAnswer.WRONG) code = Code.ENVIRONMENT_IMA_SIGNATURE;
  }
  return code;
}

/** Whether one of these rows has the digest, and the name or none. */
function isListed(first: u32, count: u32): bool {
  if (count == 0 || fileHash == 0) return false;
  const key = bswap(load<u64>(ptrOf(fileDigest)));
  let low = first;
  let high = first + count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u64>(ROW_KEYS + (middle << 3)) < key) low = middle + 1;
    else high = middle;
  }
  // Digests that begin alike stand side by side; one digest stands once.
  for (; low < first + count && load<u64>(ROW_KEYS + (low << 3)) == key; low++) {
    const place = load<u32>(ROW_PLACES + (low << 2));
    const r = ROW.open(span(place, <u32>(MAIN.end - place)));
    r.array(2, 2);
    if (same(r.bytes(20, 64), fileDigest)) return isNamed(r);
  }
  return false;
}

/** Whether the row's names hold that of the entry; a row of a file without any stands for all. */
function isNamed(r: Reader): bool {
  const names = r.array(0, limits.imaNames);
  for (let i: u32 = 0; i < names; i++) {
    if (same(r.bytes(1, limits.fieldBytes), fileName)) return true;
  }
  return names == 0 && r.fault == Fault.NONE;
}

function isExcluded(prefixes: Span): bool {
  if (prefixes == 0 || startsWithAscii(fileName, MEMFD)) return false;
  const r = ROW.open(prefixes);
  const count = r.array(1, limits.imaPrefixes);
  for (let i: u32 = 0; i < count; i++) {
    const prefix = r.bytes(PREFIX_BYTES_MIN, limits.fieldBytes);
    if (lenOf(fileName) < lenOf(prefix)) continue;
    if (memory.compare(ptrOf(fileName), ptrOf(prefix), lenOf(prefix)) == 0) return true;
  }
  return false;
}
