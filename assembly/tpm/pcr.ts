/**
 * The signed PCR selection and the values under it. The selection that counts is the one inside the
 * signature: values of PCRs outside it do not exist, whatever was presented (CVE-2022-0317,
 * CVE-2024-29039).
 *
 *     parseSelection();
 *     while (awaitedBank() != 0) takeValue(the value of awaitedBank(), awaitedPcr());
 *     closeValues();
 */
import { Span, lenOf, ptrOf, same, span } from "../abi";
import { READER_BYTES, Reader, Fault } from "../codec/cbor";
import { TPM_READER_BYTES, TpmReader } from "../codec/reader";
import { hashKept } from "../cose/kept";
import { Code } from "../generated";
import { digestBytes } from "../hash/hash";
import { hashOf } from "./algorithm";
import { attest } from "./attest";
import { schemeHash } from "./public";

/** One for each hash that the core has. */
const BANKS: u32 = 4;
/** PC Client Platform TPM Profile §4.6: PCR 0 to 23. */
const PCRS: u32 = 24;

/** TPM_ALG_ID of each selected bank, in the order of the selection, and its PCRs as bits. */
const BANK_IDS = memory.data(4 * 4, 4);
const BANK_PCRS = memory.data(4 * 4, 4);
/** The values taken, one behind another. */
const VALUES = memory.data(4 * 24 * 64, 16);
let valueBytes: u32 = 0;
/** Where each of them stands, by place of the bank and index; 0 outside the selection. */
const PLACES = memory.data(4 * 24 * 4, 4);
let banks: u32 = 0;

/** The value awaited: a place and an index; the place is `banks` when all are there. */
let place: u32 = 0;
let index: u32 = 0;
/** Nothing can be bound any more. */
let isWrong: bool = true;
/** The values taken are the quoted ones. */
let isBound: bool = false;

const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));
const LIST = changetype<Reader>(memory.data(READER_BYTES, 8));
const DIGEST = memory.data(64, 8);

function bankId(i: u32): u32 {
  return load<u32>(BANK_IDS + (i << 2));
}

function bankPcrs(i: u32): u32 {
  return load<u32>(BANK_PCRS + (i << 2));
}

function valueSlot(bank: u32, pcr: u32): usize {
  return PLACES + ((bank * PCRS + pcr) << 2);
}

/**
 * Every TPMS_PCR_SELECTION (Part 2 §10.6.2): a bank of a known hash, none twice, none empty (a TPM
 * silently empties the selection of a bank that is not active), no PCR above 23.
 */
export function parseSelection(): Code {
  const code = readSelections();
  if (code != Code.NONE) banks = 0;
  openValues();
  return code;
}

function readSelections(): Code {
  banks = 0;
  const r = READER.open(attest.selection);
  const count = r.u32();
  if (count == 0 || count > BANKS) return Code.ENVIRONMENT_QUOTE_SELECTION;
  for (let i: u32 = 0; i < count; i++) {
    const id = r.u16();
    const bits = readBits(r);
    if (r.faulty || hashOf(id) == 0 || bits == 0 || bits >> PCRS != 0 || isSelected(id)) {
      return Code.ENVIRONMENT_QUOTE_SELECTION;
    }
    store<u32>(BANK_IDS + (i << 2), id);
    store<u32>(BANK_PCRS + (i << 2), bits);
    banks++;
  }
  return r.done ? Code.NONE : Code.ENVIRONMENT_QUOTE_SELECTION;
}

/** sizeofSelect and the bit field, least significant bit of the first byte first. */
function readBits(r: TpmReader): u32 {
  const size = r.u8();
  r.require(size >= 1 && size <= 4);
  const bytes = r.take(size);
  let bits: u32 = 0;
  for (let i: u32 = 0; i < lenOf(bytes); i++) {
    bits |= <u32>load<u8>(ptrOf(bytes) + i) << (i << 3);
  }
  return bits;
}

function isSelected(id: u32): bool {
  for (let i: u32 = 0; i < banks; i++) if (bankId(i) == id) return true;
  return false;
}

/** Opens the binding: from here on the values are awaited in the order of the selection. */
export function openValues(): void {
  memory.fill(PLACES, 0, BANKS * PCRS * 4);
  valueBytes = 0;
  place = 0;
  index = 0;
  isBound = false;
  isWrong = banks == 0 || hashOf(schemeHash) == 0;
  seek();
}

/** Goes on to the next selected PCR, from where the binding stands. */
function seek(): void {
  while (place < banks) {
    const rest = bankPcrs(place) >> index;
    if (rest != 0) {
      index += ctz(rest);
      return;
    }
    place++;
    index = 0;
  }
}

/** TPM_ALG_ID of the bank whose value is awaited; 0 when all are there. */
export function awaitedBank(): u32 {
  return place < banks ? bankId(place) : 0;
}

/** Index of the PCR whose value is awaited. */
export function awaitedPcr(): u32 {
  return index;
}

/**
 * Takes the value that is awaited, and says whether it did. One too many, or of another width than
 * its bank's, and nothing is bound.
 */
export function takeValue(value: Span): bool {
  const width = digestBytes(hashOf(awaitedBank()));
  if (isWrong || width == 0 || lenOf(value) != width) {
    isWrong = true;
    return false;
  }
  const at = VALUES + <usize>valueBytes;
  memory.copy(at, ptrOf(value), width);
  valueBytes += width;
  store<u32>(valueSlot(place, index), <u32>at);
  index++;
  seek();
  return true;
}

/**
 * Whether the values taken, exactly as many as are selected, are those behind pcrDigest: H(value ||
 * value || ...) by the signing hash (Part 3 §18.4). Only then `pcrValue` tells of them.
 */
export function closeValues(): Code {
  const missing = awaitedBank() != 0;
  if (isWrong || missing) return Code.ENVIRONMENT_QUOTE_DIGEST;
  isWrong = true;
  // A machine's values stay the same for as long as it runs.
  const id = hashOf(schemeHash);
  hashKept(id, span(VALUES, valueBytes), DIGEST);
  isBound = same(span(DIGEST, digestBytes(id)), attest.pcrDigest);
  return isBound ? Code.NONE : Code.ENVIRONMENT_QUOTE_DIGEST;
}

/**
 * Binds the presented values: a CBOR list in the order of the selection, bank by bank, indexes
 * ascending.
 */
export function bindValues(list: Span): Code {
  const r = LIST.open(list);
  const presented = r.array(0, BANKS * PCRS);
  openValues();
  for (let i: u32 = 0; i < presented; i++) takeValue(r.bytes(0, 64));
  return r.close() == Fault.NONE ? closeValues() : Code.ENVIRONMENT_QUOTE_DIGEST;
}

/**
 * Address of a bound value, as wide as the bank's hash; 0 for anything outside the signed
 * selection.
 */
export function pcrValue(bank: u32, pcr: u32): usize {
  if (!isBound || pcr >= PCRS) return 0;
  for (let i: u32 = 0; i < banks; i++) {
    if (bankId(i) == bank) return load<u32>(valueSlot(i, pcr));
  }
  return 0;
}
