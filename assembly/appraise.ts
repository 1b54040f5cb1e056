/**
 * One quote on its own, without a grant: what `appraiseQuote` of portcullis/core calls. It permits
 * nothing.
 *
 * The host writes one frame, big-endian: a part is four bytes of length and the bytes.
 *
 *     TPMT_PUBLIC, 0 | 1 and the parent's Name, TPMS_ATTEST, TPMT_SIGNATURE, qualifying data   (parts)
 *     rules u8, and a part: RULES_PAYLOAD, a reference policy; RULES_PCRS, its map of PCRs alone
 *     floor u8: FLOOR_COUNTERS or FLOOR_FIRMWARE besides; resetCount u32, restartCount u32, clock u64, firmware u64
 *     logs u8: LOG_EVENTS, LOG_IMA; and of each that is there, a part, in this order
 *     with LOG_PREFIX, what the IMA list continues: entries u64, how many values u8, and a part each
 *     PCR values, u32 of them: TPM_ALG_ID u16, index u8, and a part
 *
 * The frame is the host's own work: one that is not well-formed traps. What its parts hold is
 * judged.
 */
import { Span, lenOf, ptrOf, same, span } from "./abi";
import { Fault } from "./codec/cbor";
import { TPM_READER_BYTES, TpmReader } from "./codec/reader";
import { FOUND, check, clearFindings, deny, first } from "./findings";
import { Code, limits } from "./generated";
import { judgeEventLog } from "./measure/quoted";
import { judgeIma, proven, startBehind, startValue } from "./measure/quoted-ima";
import {
  clearEventFaults,
  hasEventFault,
  judgeCoverage,
  judgeEventRules,
  reportEventFaults,
} from "./policy/event-judgement";
import { clearDenied, deniedEntry, judgeImaRules } from "./policy/ima-rules";
import { hasPcrFault, judgePcrs } from "./policy/pcr-rules";
import { Policy, readPolicy } from "./policy/reference";
import { hashOf } from "./tpm/algorithm";
import { attest, parseAttest } from "./tpm/attest";
import { judgeCounters, judgeFirmware, judgeSafe } from "./tpm/clock";
import { awaitedBank, awaitedPcr, closeValues, parseSelection, takeValue } from "./tpm/pcr";
import {
  checkAttestationKey,
  endorsementQualifiedName,
  parsePublic,
  publicName,
} from "./tpm/public";
import { verifyQuote } from "./tpm/signature";

const RULES_PAYLOAD: u32 = 0;
const RULES_PCRS: u32 = 1;
const FLOOR_COUNTERS: u32 = 1;
const FLOOR_FIRMWARE: u32 = 2;
const LOG_EVENTS: u32 = 1;
const LOG_IMA: u32 = 2;
const LOG_PREFIX: u32 = 4;

/**
 * What was not compared, since nobody asked: the key lies elsewhere than in the endorsement
 * hierarchy.
 */
const UNCHECKED_QUALIFIED_SIGNER: u32 = 1;

/**
 * u32: 1 where everything asked for holds. u32: what is unchecked. Then one byte a code, as
 * findings.ts keeps them. u64: place of the IMA entry that the policy denies, from 1 on; 0 if none.
 */
export const APPRAISAL: usize = memory.data(8 + 256 + 8, 8);
const DENIED_AT: usize = 8 + 256;

const FRAME = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));
const POLICY = changetype<Policy>(memory.data(64, 8));
const NAME = memory.data(66, 8);
const QUALIFIED = memory.data(66, 8);

let publicArea: Span = 0;
let ekName: Span = 0;
let attestation: Span = 0;
let signature: Span = 0;
let qualifyingData: Span = 0;
let rules: u32 = 0;
let policy: Span = 0;
let floor: u32 = 0;
let resetCount: u32 = 0;
let restartCount: u32 = 0;
let clock: u64 = 0;
let firmware: u64 = 0;
let logs: u32 = 0;
let eventLog: Span = 0;
let ima: Span = 0;

/** Addresses and lengths of the PCR values supplied: by number of the bank's hash, and index. */
const SUPPLIED = memory.data(5 * 24 * 8, 8);
const PCRS: u32 = 24;

function suppliedAt(bank: u32, pcr: u32): usize {
  return SUPPLIED + ((hashOf(bank) * PCRS + pcr) << 3);
}

function readFrame(frame: Span): void {
  const r = FRAME.open(frame);
  const most = lenOf(frame);
  publicArea = r.sized32(most);
  ekName = r.u8() == 1 ? r.sized32(most) : 0;
  attestation = r.sized32(most);
  signature = r.sized32(most);
  qualifyingData = r.sized32(most);
  rules = r.u8();
  r.require(rules <= RULES_PCRS);
  policy = r.sized32(most);
  floor = r.u8();
  resetCount = r.u32();
  restartCount = r.u32();
  clock = r.u64();
  firmware = r.u64();
  logs = r.u8();
  eventLog = (logs & LOG_EVENTS) == 0 ? 0 : r.sized32(most);
  ima = (logs & LOG_IMA) == 0 ? 0 : r.sized32(most);
  startBehind(0);
  if ((logs & LOG_PREFIX) != 0) readPrefix(r, most);
  memory.fill(SUPPLIED, 0, 5 * 24 * 8);
  const count = r.u32();
  for (let i: u32 = 0; i < count && !r.faulty; i++) {
    const bank = r.u16();
    const pcr = r.u8();
    const value = r.sized32(most);
    r.require(hashOf(bank) != 0 && pcr < PCRS);
    if (!r.faulty) store<u64>(suppliedAt(bank, pcr), value);
  }
  assert(r.done, "the host writes the frame");
}

/** The host says what was proven before; whether the list continues it, the replay tells. */
function readPrefix(r: TpmReader, most: u32): void {
  startBehind(r.u64());
  for (let left = r.u8(); left != 0 && !r.faulty; left--) {
    const value = r.sized32(most);
    r.require(startValue(ptrOf(value), lenOf(value)));
  }
}

/**
 * Appraises the quote of a frame; the answer stands in APPRAISAL. Faults are collected, and what
 * depends on one is not evaluated:
 * 1. The public area is that of a restricted attestation key.
 * 2. The attestation parses: magic, type, every field, nothing trailing.
 * 3. The signature parses, has the key's own scheme and hash, and verifies over exactly these
 *   bytes.
 * 4. extraData is the qualifying data, which is never empty.
 * 5. The signed selection can be compared, and the values supplied for it are the quoted ones.
 * 6. The clock is safe; with a floor, the key lies in the endorsement hierarchy and no counter
 *   fell.
 * 7. The logs that were given replay to the quoted values; see measure/quoted.ts.
 * 8. The policy's event-log rules hold over the log, and its IMA rules allow every entry that the
 *   quote proves; both are there where it has rules.
 * 9. The policy names PCRs, trusted ones, all of them covered, and each has an allowed value.
 */
export function appraiseQuote(frame: Span): void {
  memory.fill(APPRAISAL, 0, DENIED_AT + 8);
  clearFindings();
  clearDenied();
  readFrame(frame);
  const keyed = judgeKey();
  const parsed = note(parseAttest(attestation));
  // Beyond the bound the host cuts off what is signed.
  const whole = lenOf(attestation) != 0 && lenOf(attestation) <= limits.attestBytes;
  const signed = keyed && whole && note(verifyQuote(attestation, signature));
  let bound = false;
  let timely = false;
  if (parsed) {
    const fresh = lenOf(qualifyingData) != 0 && same(attest.extraData, qualifyingData);
    check(fresh, Code.ENVIRONMENT_QUOTE_NONCE);
    bound = note(parseSelection()) && keyed && bindSupplied();
    timely = judgeTime(keyed);
  }
  const booted = (logs & LOG_EVENTS) == 0 || judgeEventLog(eventLog, bound);
  const measured = (logs & LOG_IMA) == 0 || judgeIma(ima, bound);
  const met = judgePolicy(bound, booted, parsed && keyed, measured);
  memory.copy(APPRAISAL + 8, FOUND, 256);
  store<u64>(APPRAISAL + DENIED_AT, deniedEntry);
  const explained = booted && measured;
  const holds = parsed && signed && bound && timely && explained && met && first == Code.NONE;
  store<u32>(APPRAISAL, holds ? 1 : 0);
}

/** Records a fault. */
function note(code: Code): bool {
  if (code != Code.NONE) deny(code);
  return code == Code.NONE;
}

/**
 * Whether there is a key that signatures can be judged by; whether it is a good one is recorded.
 */
function judgeKey(): bool {
  if (!note(parsePublic(publicArea))) return false;
  note(checkAttestationKey());
  return true;
}

/** Feeds the supplied values that the selection asks for; there are no others. */
function bindSupplied(): bool {
  let taken = true;
  while (taken && awaitedBank() != 0) {
    taken = takeValue(load<u64>(suppliedAt(awaitedBank(), awaitedPcr())));
  }
  return note(closeValues());
}

/** Whether qualifiedSigner is the key's place in the endorsement hierarchy. */
function isEndorsed(): bool {
  const name = span(NAME, publicName(NAME));
  const length = endorsementQualifiedName(ekName, name, QUALIFIED);
  return length != 0 && same(attest.qualifiedSigner, span(QUALIFIED, length));
}

function judgeTime(keyed: bool): bool {
  const safe = note(judgeSafe());
  if (!keyed) return false;
  const endorsed = isEndorsed();
  if ((floor & FLOOR_COUNTERS) == 0) {
    if (!endorsed) store<u32>(APPRAISAL, UNCHECKED_QUALIFIED_SIGNER, 4);
    return safe;
  }
  if (!check(endorsed, Code.ENVIRONMENT_CLOCK_OBFUSCATED)) return false;
  const counted = note(judgeCounters(resetCount, restartCount, clock));
  const current = (floor & FLOOR_FIRMWARE) == 0 || note(judgeFirmware(firmware));
  return safe && counted && current;
}

/**
 * `bound`: the values can be compared. `booted`: the event log, where there is one, replays to
 * them. `timed`: the firmware version was read, and the key's place is known.
 */
function judgePolicy(bound: bool, booted: bool, timed: bool, measured: bool): bool {
  if (rules == RULES_PCRS) {
    clearEventFaults();
    return judgeRules(policy, bound);
  }
  const sound = lenOf(policy) <= limits.policyBytes && readPolicy(POLICY, policy) == Fault.NONE;
  if (!check(sound, Code.POLICY_MALFORMED)) return false;
  judgeMeasured(measured);
  if (timed && POLICY.minimumFirmware != 0) {
    const endorsed = check(isEndorsed(), Code.ENVIRONMENT_CLOCK_OBFUSCATED);
    if (endorsed) note(judgeFirmware(POLICY.minimumFirmware));
  }
  const allowed = judgeEvents(bound, booted);
  return judgeRules(POLICY.pcrs, bound) && allowed;
}

/** The policy's rules over the event log; see policy/event-judgement.ts. */
function judgeEvents(bound: bool, booted: bool): bool {
  clearEventFaults();
  if (POLICY.eventLog == 0) return true;
  if (!check((logs & LOG_EVENTS) != 0, Code.ENVIRONMENT_EVENTLOG_ABSENT)) {
    judgeCoverage(POLICY.eventLog);
    return false;
  }
  if (!bound || !booted) return false;
  judgeEventRules(POLICY.eventLog, eventLog);
  return reportEventFaults();
}

/** The policy's IMA rules, over a list that the quote proves. */
function judgeMeasured(measured: bool): void {
  if (POLICY.ima == 0 || !check((logs & LOG_IMA) != 0, Code.ENVIRONMENT_IMA_MISSING)) return;
  if (measured) judgeImaRules(POLICY.ima, ima, proven);
}

/** Without bound values, only what the rules alone are wrong in is recorded. */
function judgeRules(map: Span, bound: bool): bool {
  const met = judgePcrs(map) == Code.NONE && !hasEventFault(Code.ENVIRONMENT_PCR_UNCOVERED);
  const last = bound ? Code.ENVIRONMENT_PCR_MISMATCH : Code.ENVIRONMENT_PCR_UNTRUSTED;
  for (let code = Code.ENVIRONMENT_PCR_EMPTY; code <= last; code++) {
    check(!hasPcrFault(code) && !hasEventFault(code), code);
  }
  return met && bound;
}
