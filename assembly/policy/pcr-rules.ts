/**
 * PCR rules of a reference policy: bank -> PCR -> allowed digests, over the bound values of the
 * signed selection.
 */
import { Span, lenOf, ptrOf } from "../abi";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import { Code } from "../generated";
import { digestBytes } from "../hash/hash";
import { hashOf } from "../tpm/algorithm";
import { pcrValue } from "../tpm/pcr";

/** Any program can reset these (TCG PC Client PTP §4.6): a policy over them proves nothing. */
const PCR_DEBUG: i64 = 16;
const PCR_APPLICATION: i64 = 23;
/** A bank and a PCR that no quote covers, in place of numbers that do not fit. */
const NOWHERE: i64 = 0xffff;

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));

/** Faults of the rules judged last. */
let isEmpty: bool = true;
let isUntrusted: bool = false;
let isUncovered: bool = false;
let isMismatch: bool = false;

/**
 * Judges one policy by the bytes of its map:
 * 1. It names a PCR, and no bank without one (PCR_EMPTY): one that names none compares nothing.
 * 2. It does not read PCR 16 or 23 (PCR_UNTRUSTED).
 * 3. Every PCR that it names is covered by the signed selection (PCR_UNCOVERED),
 * 4. and has one of the values listed, of the bank's own width (PCR_MISMATCH). Gives the first
 *   fault in the order of the table; `hasPcrFault` tells of each. Bytes of another form are
 *   PCR_EMPTY; 0 is a policy that compares something else, and has no fault.
 */
export function judgePcrs(rules: Span): Code {
  isEmpty = false;
  isUntrusted = false;
  isUncovered = false;
  isMismatch = false;
  if (rules == 0) return Code.NONE;
  const r = MAIN.open(rules);
  const banks = r.map(0, u32.MAX_VALUE);
  if (banks == 0) isEmpty = true;
  let order: u64 = 0;
  for (let i: u32 = 0; i < banks && r.fault == Fault.NONE; i++) {
    const bank = r.key(order);
    order = keyOrder(bank);
    judgeBank(r, numberOf(bank));
  }
  if (r.close() != Fault.NONE) isEmpty = true;
  for (let code = Code.ENVIRONMENT_PCR_EMPTY; code <= Code.ENVIRONMENT_PCR_MISMATCH; code++) {
    if (hasPcrFault(code)) return code;
  }
  return Code.NONE;
}

/** Whether the policy judged last has this fault. */
export function hasPcrFault(code: Code): bool {
  if (code == Code.ENVIRONMENT_PCR_EMPTY) return isEmpty;
  if (code == Code.ENVIRONMENT_PCR_UNTRUSTED) return isUntrusted;
  if (code == Code.ENVIRONMENT_PCR_UNCOVERED) return isUncovered;
  return code == Code.ENVIRONMENT_PCR_MISMATCH && isMismatch;
}

/**
 * A bank or an index as a number of 32 bits: one that does not fit must not come out as another.
 */
function numberOf(key: i64): u32 {
  return <u32>(key >= 0 && key < NOWHERE ? key : NOWHERE);
}

function judgeBank(r: Reader, bank: u32): void {
  const pcrs = r.map(0, u32.MAX_VALUE);
  if (pcrs == 0) isEmpty = true;
  let order: u64 = 0;
  for (let i: u32 = 0; i < pcrs && r.fault == Fault.NONE; i++) {
    const pcr = r.key(order);
    order = keyOrder(pcr);
    judgePcr(r, bank, pcr);
  }
}

function judgePcr(r: Reader, bank: u32, pcr: i64): void {
  const value = pcrValue(bank, numberOf(pcr));
  const width = digestBytes(hashOf(bank));
  let found = false;
  const count = r.array(0, u32.MAX_VALUE);
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const digest = r.bytes(0, 64);
    if (value == 0 || lenOf(digest) != width) continue;
    if (memory.compare(ptrOf(digest), value, width) == 0) found = true;
  }
  if (pcr == PCR_DEBUG || pcr == PCR_APPLICATION) isUntrusted = true;
  else if (value == 0) isUncovered = true;
  else if (!found) isMismatch = true;
}
