/**
 * IMA measurement lists as the kernel writes them (binary_runtime_measurements, ima_fs.c): PCR, template digest, name of
 * the template, template data; little-endian. All templates but the oldest, `ima`, give the length of their data.
 *
 *     openIma(list, hash, digestBytes, false);
 *     while (nextEntry()) look at `entry`, and at judgeDigest();
 *     isFaulty, faultOffset, bytesLeft, and the PCRs of one bank in registers.ts
 *
 * A list is text until a quoted PCR equals its replay. The template digest in it is never extended: what a bank was
 * extended with is computed from the data. The list grows while it is read: an incomplete entry ends it.
 */
import { Span, isAscii, lenOf, ptrOf, span } from "../abi";
import { TPM_READER_BYTES, TpmReader } from "../codec/reader";
import { limits } from "../generated";
import { HashId, digestBytes, hash as hashAll } from "../hash/hash";
import { REGISTERS_MAX, extend, resetRegisters } from "./registers";

const LEGACY = "ima";
/** The legacy template: SHA-1 of a file, and its name filled up to IMA_EVENT_NAME_LEN_MAX + 1 bytes. */
const LEGACY_DIGEST_BYTES: u32 = 20;
const LEGACY_NAME_MAX: u32 = 255;
const LEGACY_BYTES: u32 = 20 + 256;
/** MAX_TEMPLATE_NAME_LEN of ima_template.c. */
const NAME_MAX: u32 = 255;
/** Printable ASCII. */
const GRAPH_MIN: u8 = 0x21;
const GRAPH_MAX: u8 = 0x7e;

/** What the template digest of an entry is. */
export const enum Digest {
  /** That of the data, or a violation's. */
  OWN,
  /** The SHA-1 of the data, filled up with zeros to the width of a larger bank. */
  PADDED,
  WRONG,
}

@unmanaged
export class ImaEntry {
  pcr: u32;
  /** The template digest is all zero: a file changed while it was measured, and what was extended is 0xFF. */
  isViolation: bool;
  /** Address of the template digest in the list. */
  digest: usize;
  /** Name of the template. */
  template: Span;
  /** What the template digest covers; of the legacy template a copy that the next entry overwrites. */
  data: Span;
  /** The same as it stands in the list: of the legacy template SHA-1, length and name. */
  body: Span;
}

/** The entry that `nextEntry` read last. */
export const entry = changetype<ImaEntry>(memory.data(40, 8));

/** The list is none from `faultOffset` on. */
export let isFaulty: bool = true;
export let faultOffset: u32 = 0;
/** Bytes of an incomplete entry at the end. */
export let bytesLeft: u32 = 0;

let bank: u32 = 0;
/** Bytes of a template digest in this list. */
export let storedBytes: u32 = 0;
let storedHash: u32 = 0;
let isZeroPadded: bool = false;
let isSkipping: bool = false;
let start: usize = 0;
const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));

const LEGACY_DATA = memory.data(276, 8);
const ZEROS = memory.data(64, 8);
const ONES = memory.data(64, 8);
/** Of the data: by the bank's hash, by that of the template digests, and SHA-1 with zeros behind it. */
const DIGEST = memory.data(64, 8);
const STORED = memory.data(64, 8);
const SHA1 = memory.data(64, 8);

/** The hash whose digests have this many bytes; 0 if none. */
function hashOfBytes(bytes: u32): u32 {
  for (let hash: u32 = HashId.SHA1; hash <= <u32>HashId.SHA512; hash++) {
    if (digestBytes(hash) == bytes) return hash;
  }
  return 0;
}

/**
 * Opens a list. `hash` is the bank that is replayed, `stored` the bytes of a template digest in the list, 0 to look for
 * them. `padded` replays what kernels before 5.8 extended banks other than SHA-1 with: SHA-1 and zeros.
 */
export function openIma(list: Span, hash: u32, stored: u32, padded: bool): bool {
  resetRegisters();
  memory.fill(ONES, 0xff, 64);
  memory.fill(SHA1, 0, 64);
  bank = hash;
  storedBytes = stored == 0 ? findDigestBytes(list) : stored;
  storedHash = hashOfBytes(storedBytes);
  assert(digestBytes(bank) != 0 && storedHash != 0);
  isZeroPadded = padded;
  isSkipping = false;
  bytesLeft = 0;
  faultOffset = 0;
  isFaulty = lenOf(list) > limits.imaBytes;
  if (!isFaulty) start = READER.open(list).at;
  return !isFaulty;
}

/**
 * The format does not say how long template digests are. The first entry tells: behind its digest stands the name of a
 * template. Where none does, 20. A wrong guess replays to values that no quote holds.
 */
function findDigestBytes(list: Span): u32 {
  for (let hash: u32 = HashId.SHA1; hash <= <u32>HashId.SHA512; hash++) {
    const r = READER.open(list);
    r.take(4 + digestBytes(hash));
    const nameBytes = r.little32();
    const name = r.take(nameBytes);
    if (nameBytes <= NAME_MAX && isName(name)) return digestBytes(hash);
  }
  return digestBytes(HashId.SHA1);
}

function isName(name: Span): bool {
  for (let i: u32 = 0; i < lenOf(name); i++) {
    const letter = load<u8>(ptrOf(name) + i);
    if (letter < GRAPH_MIN || letter > GRAPH_MAX) return false;
  }
  return lenOf(name) != 0;
}

/** From here on entries are read and nothing is extended: what a quote does not prove needs no hash. */
export function skipRest(): void {
  isSkipping = true;
}

/** Opens a list to read its entries, without a replay. */
export function openEntries(list: Span): void {
  openIma(list, HashId.SHA1, 0, false);
  skipRest();
}

/** Reads the next entry and extends its PCR; false behind the last complete one, and at a fault. */
export function nextEntry(): bool {
  const r = READER;
  if (isFaulty || bytesLeft != 0 || r.at == r.end) return false;
  const at = r.at;
  entry.pcr = r.little32();
  entry.digest = ptrOf(r.take(storedBytes));
  const nameBytes = r.little32();
  let sound = r.faulty || (entry.pcr < REGISTERS_MAX && nameBytes <= NAME_MAX);
  entry.template = r.take(nameBytes);
  sound = sound && (r.faulty || isName(entry.template));
  if (sound && isAscii(entry.template, LEGACY)) {
    sound = readLegacy(r);
  } else {
    entry.data = r.take(r.little32());
    entry.body = entry.data;
  }
  if (!sound) {
    isFaulty = true;
    faultOffset = <u32>(at - start);
    return false;
  }
  if (r.faulty) {
    bytesLeft = <u32>(r.end - at);
    return false;
  }
  entry.isViolation = memory.compare(entry.digest, ZEROS, storedBytes) == 0;
  if (!isSkipping) extend(bank, entry.pcr, extended());
  return true;
}

/** False where the name is longer than any that the kernel keeps. */
function readLegacy(r: TpmReader): bool {
  const begin = r.at;
  const digest = r.take(LEGACY_DIGEST_BYTES);
  const length = r.little32();
  if (length > LEGACY_NAME_MAX) return r.faulty;
  const name = r.take(length);
  if (r.faulty) return true;
  memory.copy(LEGACY_DATA, ptrOf(digest), LEGACY_DIGEST_BYTES);
  memory.fill(LEGACY_DATA + LEGACY_DIGEST_BYTES, 0, LEGACY_BYTES - LEGACY_DIGEST_BYTES);
  memory.copy(LEGACY_DATA + LEGACY_DIGEST_BYTES, ptrOf(name), length);
  entry.data = span(LEGACY_DATA, LEGACY_BYTES);
  entry.body = span(begin, <u32>(r.at - begin));
  return true;
}

/** What the bank was extended with. */
function extended(): usize {
  if (entry.isViolation) return ONES;
  const to = isZeroPadded ? SHA1 : DIGEST;
  hashAll(isZeroPadded ? <u32>HashId.SHA1 : bank, ptrOf(entry.data), lenOf(entry.data), to);
  return to;
}

/** Compares the template digest of the entry read last with its data. It decides nothing: it is no part of the replay. */
export function judgeDigest(): Digest {
  if (entry.isViolation) return Digest.OWN;
  let own = DIGEST;
  if (storedHash != bank || isZeroPadded) {
    own = STORED;
    hashAll(storedHash, ptrOf(entry.data), lenOf(entry.data), STORED);
  }
  if (memory.compare(entry.digest, own, storedBytes) == 0) return Digest.OWN;
  hashAll(HashId.SHA1, ptrOf(entry.data), lenOf(entry.data), SHA1);
  return memory.compare(entry.digest, SHA1, storedBytes) == 0 ? Digest.PADDED : Digest.WRONG;
}
