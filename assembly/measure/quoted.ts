/**
 * Boot event logs against the quoted PCRs: the values that the signed selection binds (tpm/pcr.ts), and no others,
 * make a log evidence; quoted-ima.ts does the same for IMA lists. Faults are recorded, and what depends on one is not evaluated.
 */
import { Span } from "../abi";
import { check } from "../findings";
import { Code } from "../generated";
import { HashId, digestBytes } from "../hash/hash";
import { alg } from "../tpm/algorithm";
import { pcrValue } from "../tpm/pcr";
import * as eventlog from "./eventlog";
import { extendEvent, nextEvent, openEventLog } from "./eventlog";
import { recall, remember } from "./known-logs";
import { HASHES, PCR_IMA, REGISTERS_MAX, extendedIn, registerAt, startFrom } from "./registers";

/** Any program can reset these (PTP §4.6): they prove nothing, and nothing is asked of them. */
const PCR_DEBUG: u32 = 16;
const PCR_APPLICATION: u32 = 23;
/** All ones until a dynamic launch resets them. */
const PCR_DYNAMIC_FIRST: u32 = 17;
const PCR_DYNAMIC_LAST: u32 = 22;
const LOCALITY_HCRTM: u32 = 4;

/** Address of the quoted value in the bank of a hash, 0 where the quote does not cover it. */
export function quotedValue(hash: u32, pcr: u32): usize {
  if (hash == HashId.SHA256) return pcrValue(alg.SHA256, pcr);
  if (hash == HashId.SHA1) return pcrValue(alg.SHA1, pcr);
  return pcrValue(hash == HashId.SHA384 ? alg.SHA384 : alg.SHA512, pcr);
}

/** What comparing the event log with the quoted PCRs found. */
let isCompared: bool = false;
let isMissing: bool = false;
let isMismatch: bool = false;
/** It was replayed before. */
let isKnown: bool = false;

/**
 * Judges a boot event log:
 * 1. It parses as a whole (EVENTLOG_MALFORMED).
 * 2. It has events of a quoted PCR (EVENTLOG_UNCOVERED): a log that nothing was compared with is no evidence.
 * 3. Every quoted PCR without events is as a reset leaves it (EVENTLOG_MISSING), PCR 10 apart, which is IMA's.
 * 4. Every quoted PCR with events is their replay, bank by bank (EVENTLOG_MISMATCH).
 * Without bound values only the first is judged.
 */
export function judgeEventLog(log: Span, bound: bool): bool {
  const banks = bound ? quotedBanks() : 0;
  replay(log, banks, 0);
  if (!check(!eventlog.isFaulty, Code.ENVIRONMENT_EVENTLOG_MALFORMED) || !bound) return false;
  compareAll();
  let locality: u32 = 0;
  if (isMismatch && eventlog.isHcrtm) {
    locality = LOCALITY_HCRTM;
    replay(log, banks, locality);
    compareAll();
  }
  if (isCompared && !isMismatch && !isKnown) remember(log, banks, locality);
  const covered = check(isCompared, Code.ENVIRONMENT_EVENTLOG_UNCOVERED);
  const explained = check(!isMissing, Code.ENVIRONMENT_EVENTLOG_MISSING);
  return check(!isMismatch, Code.ENVIRONMENT_EVENTLOG_MISMATCH) && covered && explained;
}

/** The banks of the signed selection: no other has to be replayed. */
function quotedBanks(): u32 {
  let banks: u32 = 0;
  for (let hash: u32 = 1; hash <= HASHES; hash++) {
    for (let pcr: u32 = 0; pcr < REGISTERS_MAX; pcr++) {
      if (quotedValue(hash, pcr) != 0) banks |= 1 << hash;
    }
  }
  return banks;
}

/** Replays a log in these banks, from this locality unless it says another. */
function replay(log: Span, banks: u32, locality: u32): void {
  isKnown = recall(log, banks, locality);
  if (isKnown) return;
  openEventLog(log, false);
  if (locality != 0) startFrom(locality);
  while (nextEvent()) extendEvent(banks);
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
