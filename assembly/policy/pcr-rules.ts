/** PCR rules of a reference policy: bank -> PCR -> allowed digests, over the bound values of the signed selection. */
import { Span, lenOf, ptrOf } from "../abi";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import { Code } from "../generated";
import { digestBytes } from "../hash/hash";
import { hashOf } from "../tpm/algorithm";
import { pcrValue } from "../tpm/pcr";

/** Any program can reset these (TCG PC Client PTP §4.6): a policy over them proves nothing. */
const PCR_DEBUG: i64 = 16;
const PCR_APPLICATION: i64 = 23;

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));

/**
 * Judges one policy: every PCR that it names must have one of its values. A policy that names none compares nothing and
 * denies. The worst finding wins in the order of the codes: empty, untrusted, uncovered, mismatch.
 */
export function judgePcrs(rules: Span): Code {
  const r = MAIN.open(rules);
  const banks = r.map(0, 16);
  let worst: Code = banks == 0 ? Code.ENVIRONMENT_PCR_EMPTY : Code.NONE;
  let bankOrder: u64 = 0;
  for (let i: u32 = 0; i < banks && r.fault == Fault.NONE; i++) {
    const bank = r.key(bankOrder);
    bankOrder = keyOrder(bank);
    const pcrs = r.map(0, 24);
    if (pcrs == 0) worst = earlier(worst, Code.ENVIRONMENT_PCR_EMPTY);
    let pcrOrder: u64 = 0;
    for (let j: u32 = 0; j < pcrs && r.fault == Fault.NONE; j++) {
      const pcr = r.key(pcrOrder);
      pcrOrder = keyOrder(pcr);
      worst = earlier(worst, judgeOne(r, <u32>bank, pcr));
    }
  }
  return r.close() == Fault.NONE ? worst : Code.ENVIRONMENT_PCR_EMPTY;
}

function earlier(a: Code, b: Code): Code {
  if (a == Code.NONE) return b;
  return b == Code.NONE || a < b ? a : b;
}

function judgeOne(r: Reader, bank: u32, pcr: i64): Code {
  const value = pcrValue(bank, <u32>pcr);
  const width = digestBytes(hashOf(bank));
  const count = r.array(0, 64);
  let found = false;
  for (let i: u32 = 0; i < count; i++) {
    const digest = r.bytes(0, 64);
    if (value == 0 || width == 0 || lenOf(digest) != width) continue;
    if (memory.compare(ptrOf(digest), value, width) == 0) found = true;
  }
  if (pcr == PCR_DEBUG || pcr == PCR_APPLICATION) return Code.ENVIRONMENT_PCR_UNTRUSTED;
  if (value == 0) return Code.ENVIRONMENT_PCR_UNCOVERED;
  return found ? Code.NONE : Code.ENVIRONMENT_PCR_MISMATCH;
}
