/**
 * IMA lists against the quoted PCR 10: whole ones, from the boot's first entry, and segments that continue what was
 * proven before in the same boot session. Faults are recorded, and what depends on one is not evaluated.
 */
import { Span } from "../abi";
import { check } from "../findings";
import { Code } from "../generated";
import { HashId, digestBytes } from "../hash/hash";
import * as ima from "./ima";
import { entry, nextEntry, openIma, skipRest } from "./ima";
import { quotedValue } from "./quoted";
import { HASHES, PCR_IMA, registerAt } from "./registers";

/** Entries before the list's first, proven earlier; 0 for a whole list. */
export let before: u64 = 0;
/** The value of PCR 10 after them, by hash; one bit a hash that there is one of. */
const START = memory.data(5 * 64, 8);
let starts: u32 = 0;

/** Entries of the list that the quote proves: those up to the one after which PCR 10 had the quoted value. */
export let proven: u32 = 0;

let isFound: bool = false;
let found: u32 = 0;
/** Among the entries found there is a violation, or one of another PCR. */
let hasViolation: bool = false;
let hasOther: bool = false;

/** The list continues this many entries, 0 where it is whole; `startValue` tells the values after them. */
export function startBehind(entries: u64): void {
  before = entries;
  starts = 0;
}

/** The value of PCR 10, in the bank whose digests are as long. False where there is none, or one was told before. */
export function startValue(value: usize, width: u32): bool {
  for (let hash: u32 = 1; hash <= HASHES; hash++) {
    if (digestBytes(hash) != width) continue;
    if ((starts & (1 << hash)) != 0) return false;
    starts |= 1 << hash;
    memory.copy(START + (hash << 6), value, width);
    return true;
  }
  return false;
}

/** The quoted PCR 10 in the bank of a hash, 0 where the quote does not cover it. */
export function provenValue(hash: u32): usize {
  return quotedValue(hash, PCR_IMA);
}

/**
 * Judges an IMA list:
 * 1. It parses (IMA_MALFORMED), and no entry is cut (IMA_INCOMPLETE).
 * 2. The quote covers PCR 10 (IMA_UNCOVERED); a segment continues values of all quoted banks (IMA_RESUME).
 * 3. In each quoted bank PCR 10 had the quoted value after the same entry, and there is one (IMA_MISMATCH); if it had so
 *    only by SHA-1 filled up with zeros, that is named (IMA_PADDED). A segment may add nothing to what was proven.
 *    Entries behind it came after the quote: nothing proves them, and nothing may rely on them.
 * 4. The entries up to it are of PCR 10 (IMA_OTHER_PCR), and none is a violation (IMA_VIOLATION).
 * Without bound values only the first is judged.
 */
export function judgeIma(list: Span, bound: bool): bool {
  let banks: u32 = 0;
  let equal = true;
  proven = 0;
  for (let hash: u32 = 1; hash <= HASHES; hash++) {
    const value = bound ? provenValue(hash) : 0;
    if (value == 0) continue;
    if (before != 0 && !check((starts & (1 << hash)) != 0, Code.ENVIRONMENT_IMA_RESUME)) return false;
    replayUpTo(list, hash, false, value);
    if (!isWhole()) return false;
    if (!isFound) return denyReplay(list, hash, value);
    equal = equal && (banks == 0 || found == proven);
    proven = found;
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

/** Reads the whole list, so that what is wrong with it anywhere is seen, and notes where PCR 10 had this value. */
function replayUpTo(list: Span, hash: u32, padded: bool, value: usize): void {
  found = 0;
  hasViolation = false;
  hasOther = false;
  const width = digestBytes(hash);
  const register = registerAt(hash, PCR_IMA);
  openIma(list, hash, 0, padded);
  if (before != 0) memory.copy(register, START + (hash << 6), width);
  isFound = before != 0 && value != 0 && memory.compare(value, register, width) == 0;
  if (isFound) skipRest();
  let violation = false;
  let other = false;
  for (let entries: u32 = 1; nextEntry(); entries++) {
    if (isFound) continue;
    violation = violation || entry.isViolation;
    other = other || entry.pcr != PCR_IMA;
    if (value == 0 || entry.pcr != PCR_IMA) continue;
    if (memory.compare(value, register, width) != 0) continue;
    isFound = true;
    found = entries;
    hasViolation = violation;
    hasOther = other;
    skipRest();
  }
}

function denyReplay(list: Span, hash: u32, value: usize): bool {
  replayUpTo(list, hash, hash != HashId.SHA1, value);
  return check(false, isFound ? Code.ENVIRONMENT_IMA_PADDED : Code.ENVIRONMENT_IMA_MISMATCH);
}
