/**
 * The whole binary interface; docs/abi.md describes it for hosts in any language. A host writes
 * bytes into the input region, calls, and reads the result. The module has no imports, no clock, no
 * randomness, and no start function that a host could forget to call. After a trap the instance
 * must be discarded.
 */
import { span, trapLine as line } from "./abi";
import { APPRAISAL, appraiseQuote as appraise } from "./appraise";
import { CODES, FAMILIES, limits } from "./generated";
import { prepareCases as prepare, prepareQuotes as prepareAll } from "./plan";
import { REPLAY, replayEventLog as replayEvents, replayIma as replayList } from "./replay";
import { RESULT, RESULT_BYTES, decide as decideCase } from "./verdict";

export {
  enrollKey,
  forgetKey,
  hash,
  isEd25519Key,
  isOnCurve,
  keyBytes,
  limitKeyBytes,
  rsaKeyOk,
  verifyChecks,
  verifyEcdsaMessage,
  verifyEd25519Message,
  verifyRsassaMessage,
  verifyRsapssMessage,
} from "./crypto";

/** Version of this interface: raised whenever an old host could misread a new core. */
const ABI_VERSION: u32 = 1;
/** Room for the largest case, and for what a host puts beside a message. */
const INPUT_BYTES: u32 = 16777216 + 65536;
const INPUT: usize = memory.data(16777216 + 65536, 16);

/** Flag of `decide`: go on after the first failure and list all. */
const EXPLAIN: u32 = 1;

export function abiVersion(): u32 {
  return ABI_VERSION;
}

/** Codes and families that this core knows: a host with another table must not use it. */
export function tableSize(): u32 {
  return (FAMILIES << 16) | CODES;
}

/** Address of the input region. */
export function input(): usize {
  return INPUT;
}

export function inputBytes(): u32 {
  return INPUT_BYTES;
}

/** Address of the result of `decide`. */
export function result(): usize {
  return RESULT;
}

export function resultBytes(): u32 {
  return RESULT_BYTES;
}

/** Decides the case of `length` bytes at `input()`. */
export function decide(length: u32, flags: u32): void {
  assert(length <= limits.caseBytes, "the host checks the length");
  decideCase(span(INPUT, length), (flags & EXPLAIN) != 0);
}

/**
 * Verifies together the signatures of many cases in the input region, so that each is decided
 * sooner; no verdict depends on it. `cases` are `count` pairs of u32, address and length.
 */
export function prepareCases(cases: usize, count: u32): void {
  prepare(cases, count);
}

/**
 * Verifies together the signatures of quotes, in `length` bytes at `input()`, so that each is
 * appraised sooner; no appraisal depends on it. See plan.ts.
 */
export function prepareQuotes(length: u32, quotes: u32): void {
  assert(length <= INPUT_BYTES, "the host checks the length");
  prepareAll(span(INPUT, length), quotes);
}

/** Address of the result of `appraiseQuote`. */
export function appraisal(): usize {
  return APPRAISAL;
}

/** Appraises the quote in the frame of `length` bytes at `input()`; see appraise.ts. */
export function appraiseQuote(length: u32): void {
  assert(length <= INPUT_BYTES, "the host checks the length");
  appraise(span(INPUT, length));
}

/** Address of the answer of a replay. */
export function replay(): usize {
  return REPLAY;
}

/** Flag of `replayEventLog`: the log is a CCEL. */
const CCEL: u32 = 1;

/**
 * Replays the event log of `length` bytes at `input()`; records are written behind it. See
 * replay.ts.
 */
export function replayEventLog(length: u32, flags: u32): void {
  assert(length <= limits.eventLogBytes, "the host checks the length");
  replayEvents(span(INPUT, length), (flags & CCEL) != 0, behind(length));
}

/** Flag of `replayIma`: SHA-1 and zeros were extended. */
const ZERO_PADDED: u32 = 1;

/** Replays the IMA list of `length` bytes at `input()` in the bank of a hash; see replay.ts. */
export function replayIma(length: u32, hash: u32, digestBytes: u32, flags: u32): void {
  assert(length <= limits.imaBytes, "the host checks the length");
  replayList(span(INPUT, length), hash, digestBytes, (flags & ZERO_PADDED) != 0, behind(length));
}

/** The first multiple of 16 behind the input: the rest of its region is room for records. */
function behind(length: u32): usize {
  return INPUT + ((length + 15) & ~15);
}

/** Line of the last failed assertion, 0 if none. */
export function trapLine(): u32 {
  return line;
}
