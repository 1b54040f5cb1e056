/**
 * The signed PCR selection and the values under it. The selection that counts is the one inside the signature: values
 * of PCRs outside it do not exist, whatever was presented (CVE-2022-0317, CVE-2024-29039).
 */
import { Span, lenOf, ptrOf } from "../abi";
import { READER_BYTES, Reader, Fault } from "../codec/cbor";
import { TPM_READER_BYTES, TpmReader } from "../codec/reader";
import { Code } from "../generated";
import { HASH_CONTEXT_BYTES, begin, digestBytes, finish, update } from "../hash/hash";
import { hashOf } from "./algorithm";
import { attest } from "./attest";
import { schemeHash } from "./public";

const BANKS: u32 = 4;
const PCRS: u32 = 24;

/** TPM_ALG_ID of each selected bank, in the order of the selection, and its PCRs as bits. */
const BANK_IDS = memory.data(4 * 4, 4);
const BANK_PCRS = memory.data(4 * 4, 4);
/** Address of each bound value, by place of the bank and index; 0 outside the selection. */
const VALUES = memory.data(4 * 24 * 4, 4);
let banks: u32 = 0;

const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));
const LIST = changetype<Reader>(memory.data(READER_BYTES, 8));
const CONTEXT = memory.data(HASH_CONTEXT_BYTES, 16);
const DIGEST = memory.data(64, 8);

function bankId(place: u32): u32 {
  return load<u32>(BANK_IDS + (place << 2));
}

function bankPcrs(place: u32): u32 {
  return load<u32>(BANK_PCRS + (place << 2));
}

function valueSlot(place: u32, index: u32): usize {
  return VALUES + ((place * PCRS + index) << 2);
}

/**
 * Every TPMS_PCR_SELECTION (Part 2 §10.6.2): a bank of a known hash, none twice, none empty (a TPM silently empties
 * the selection of a bank that is not active), no PCR above 23.
 */
export function parseSelection(): Code {
  memory.fill(VALUES, 0, BANKS * PCRS * 4);
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

/**
 * Binds the presented values (a CBOR list in the order of the selection: bank by bank, indexes ascending) to
 * pcrDigest: H(value || value || ...) by the signing hash (Part 3 §18.4). Count and widths are exact.
 */
export function bindValues(list: Span): Code {
  const r = LIST.open(list);
  const presented = r.array(0, BANKS * PCRS);
  const id = hashOf(schemeHash);
  if (id == 0) return Code.ENVIRONMENT_QUOTE_DIGEST;
  begin(id, CONTEXT);
  let expected: u32 = 0;
  for (let place: u32 = 0; place < banks; place++) {
    const width = digestBytes(hashOf(bankId(place)));
    for (let index: u32 = 0; index < PCRS; index++) {
      if (!((bankPcrs(place) >> index) & 1)) continue;
      const value = r.exactly(width);
      update(CONTEXT, ptrOf(value), lenOf(value));
      store<u32>(valueSlot(place, index), <u32>ptrOf(value));
      expected++;
    }
  }
  finish(CONTEXT, DIGEST);
  const width = digestBytes(id);
  const bound =
    r.close() == Fault.NONE &&
    presented == expected &&
    lenOf(attest.pcrDigest) == width &&
    memory.compare(DIGEST, ptrOf(attest.pcrDigest), width) == 0;
  if (!bound) memory.fill(VALUES, 0, BANKS * PCRS * 4);
  return bound ? Code.NONE : Code.ENVIRONMENT_QUOTE_DIGEST;
}

/** Address of a bound value, as wide as the bank's hash; 0 for anything outside the signed selection. */
export function pcrValue(bank: u32, index: u32): usize {
  for (let place: u32 = 0; place < banks; place++) {
    if (bankId(place) == bank && index < PCRS) return load<u32>(valueSlot(place, index));
  }
  return 0;
}
