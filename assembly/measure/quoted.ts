/**
 * Logs against the quoted PCRs: the values that the signed selection binds (tpm/pcr.ts), and no others, make a log
 * evidence. Faults are recorded, and what depends on one is not evaluated.
 */
import { Span } from "../abi";
import { check } from "../findings";
import { Code } from "../generated";
import { HashId, digestBytes } from "../hash/hash";
import { alg } from "../tpm/algorithm";
import { pcrValue } from "../tpm/pcr";
import * as eventlog from "./eventlog";
import { nextEvent, openEventLog } from "./eventlog";
import * as ima from "./ima";
import { entry, nextEntry, openIma } from "./ima";
import { REGISTERS_MAX, extendedIn, registerAt, startFrom } from "./registers";

const HASHES: u32 = 4;
/** Where IMA extends: CONFIG_IMA_MEASURE_PCR_IDX. */
const PCR_IMA: u32 = 10;
/** Any program can reset these (PTP §4.6): they prove nothing, and nothing is asked of them. */
const PCR_DEBUG: u32 = 16;
const PCR_APPLICATION: u32 = 23;
/** All ones until a dynamic launch resets them. */
const PCR_DYNAMIC_FIRST: u32 = 17;
const PCR_DYNAMIC_LAST: u32 = 22;
const LOCALITY_HCRTM: u32 = 4;

/** The quoted value in the bank of a hash, 0 where the quote does not cover it. */
function quotedValue(hash: u32, pcr: u32): usize {
  if (hash == HashId.SHA256) return pcrValue(alg.SHA256, pcr);
  if (hash == HashId.SHA1) return pcrValue(alg.SHA1, pcr);
  return pcrValue(hash == HashId.SHA384 ? alg.SHA384 : alg.SHA512, pcr);
}

/** What comparing the event log with the quoted PCRs found. */
let isCompared: bool = false;
let isMissing: bool = false;
let isMismatch: bool = false;

/**
 * Judges a boot event log:
 * 1. It parses as a whole (EVENTLOG_MALFORMED).
 * 2. It has events of a quoted PCR (EVENTLOG_UNCOVERED): a log that nothing was compared with is no evidence.
 * 3. Every quoted PCR without events is as a reset leaves it (EVENTLOG_MISSING), PCR 10 apart, which is IMA's.
 * 4. Every quoted PCR with events is their replay, bank by bank (EVENTLOG_MISMATCH).
 * Without bound values only the first is judged.
 */
export function judgeEventLog(log: Span, bound: bool): bool {
  openEventLog(log, false);
  while (nextEvent()) {}
  if (!check(!eventlog.isFaulty, Code.ENVIRONMENT_EVENTLOG_MALFORMED) || !bound) return false;
  compareAll();
  if (isMismatch && eventlog.isHcrtm) {
    openEventLog(log, false);
    startFrom(LOCALITY_HCRTM);
    while (nextEvent()) {}
    compareAll();
  }
  const covered = check(isCompared, Code.ENVIRONMENT_EVENTLOG_UNCOVERED);
  const explained = check(!isMissing, Code.ENVIRONMENT_EVENTLOG_MISSING);
  return check(!isMismatch, Code.ENVIRONMENT_EVENTLOG_MISMATCH) && covered && explained;
}

function compareAll(): void {
  isCompared = false;
  isMissing = false;
  isMismatch = false;
  for (let hash: u32 = 1; hash <= HASHES; hash++) {
    for (let pcr: u32 = 0; pcr < REGISTERS_MAX; pcr++) {
      if (pcr == PCR_DEBUG || pcr == PCR_APPLICATION) continue;
      const value = quotedValue(hash, pcr);
      if (value != 0) compareOne(hash, pcr, value);
    }
  }
}

function compareOne(hash: u32, pcr: u32, value: usize): void {
  if (((extendedIn(hash) >> pcr) & 1) == 0) {
    if (pcr != PCR_IMA && !isInitial(value, digestBytes(hash), pcr)) isMissing = true;
    return;
  }
  isCompared = true;
  if (memory.compare(value, registerAt(hash, pcr), digestBytes(hash)) != 0) isMismatch = true;
}

function isInitial(value: usize, width: u32, pcr: u32): bool {
  const fill: u8 = pcr >= PCR_DYNAMIC_FIRST && pcr <= PCR_DYNAMIC_LAST ? 0xff : 0;
  for (let i: u32 = 0; i < width; i++) if (load<u8>(value + i) != fill) return false;
  return true;
}

/** The entries that a replay proved, 0 if none: those up to the one after which PCR 10 had the quoted value. */
let proven: u32 = 0;
/** Among them there is a violation, or one of another PCR. */
let hasViolation: bool = false;
let hasOther: bool = false;

/**
 * Judges an IMA list:
 * 1. It parses (IMA_MALFORMED), and no entry is cut (IMA_INCOMPLETE).
 * 2. The quote covers PCR 10 (IMA_UNCOVERED).
 * 3. In each quoted bank PCR 10 had the quoted value after the same entry, and there is one (IMA_MISMATCH); if it had so
 *    only by SHA-1 filled up with zeros, that is named (IMA_PADDED). Entries behind it came after the quote: nothing
 *    proves them, and nothing may rely on them.
 * 4. The entries up to it are of PCR 10 (IMA_OTHER_PCR), and none is a violation (IMA_VIOLATION).
 * Without bound values only the first is judged.
 */
export function judgeIma(list: Span, bound: bool): bool {
  let banks: u32 = 0;
  let common: u32 = 0;
  let equal = true;
  for (let hash: u32 = 1; hash <= HASHES; hash++) {
    const value = bound ? quotedValue(hash, PCR_IMA) : 0;
    if (value == 0) continue;
    replayUpTo(list, hash, false, value);
    if (!isWhole()) return false;
    if (proven == 0) return denyReplay(list, hash, value);
    equal = equal && (banks == 0 || proven == common);
    common = proven;
    banks++;
  }
  if (banks == 0) {
    replayUpTo(list, HashId.SHA1, false, 0);
    return isWhole() && bound && check(false, Code.ENVIRONMENT_IMA_UNCOVERED);
  }
  if (!check(equal, Code.ENVIRONMENT_IMA_MISMATCH)) return false;
  const own = check(!hasOther, Code.ENVIRONMENT_IMA_OTHER_PCR);
  return check(!hasViolation, Code.ENVIRONMENT_IMA_VIOLATION) && own;
}

function isWhole(): bool {
  if (!check(!ima.isFaulty, Code.ENVIRONMENT_IMA_MALFORMED)) return false;
  return check(ima.bytesLeft == 0, Code.ENVIRONMENT_IMA_INCOMPLETE);
}

/** Replays the whole list, so that what is wrong with it anywhere is seen, and notes where PCR 10 had this value. */
function replayUpTo(list: Span, hash: u32, padded: bool, value: usize): void {
  proven = 0;
  hasViolation = false;
  hasOther = false;
  let violation = false;
  let other = false;
  openIma(list, hash, 0, padded);
  for (let entries: u32 = 1; nextEntry(); entries++) {
    violation = violation || entry.isViolation;
    other = other || entry.pcr != PCR_IMA;
    if (value == 0 || proven != 0 || entry.pcr != PCR_IMA) continue;
    if (memory.compare(value, registerAt(hash, PCR_IMA), digestBytes(hash)) != 0) continue;
    proven = entries;
    hasViolation = violation;
    hasOther = other;
  }
}

function denyReplay(list: Span, hash: u32, value: usize): bool {
  replayUpTo(list, hash, hash != HashId.SHA1, value);
  return check(false, proven != 0 ? Code.ENVIRONMENT_IMA_PADDED : Code.ENVIRONMENT_IMA_MISMATCH);
}
