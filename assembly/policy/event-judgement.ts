/**
 * Event-log rules over a log that replays to the quoted PCRs (measure/quoted.ts): what its digests
 * say is a fact then, and nothing else is.
 */
import { Span, same } from "../abi";
import { deny } from "../findings";
import { Code } from "../generated";
import { digestOf } from "../measure/digest-list";
import {
  isBoundIn,
  isCalledSeparator,
  isSeparator,
  isVariableNamed,
  prepareSeparators,
  promisesData,
  variableGuid,
} from "../measure/event-data";
import { event, nextEvent, openEventLog } from "../measure/eventlog";
import { hashOf } from "../tpm/algorithm";
import { pcrValue } from "../tpm/pcr";
import {
  Need,
  PcrRules,
  holdsDigest,
  loadBank,
  pcrRulesAt,
  setAt,
  typeAt,
  variableAt,
} from "./event-rules";

const EV_NO_ACTION: u32 = 3;
const PCRS: u32 = 24;

/** Faults found since `clearEventFaults`. */
let isUnbound: bool = false;
let isMisparted: bool = false;
let isForeign: bool = false;
let isIncomplete: bool = false;
let isUncovered: bool = false;

/** Separators of each PCR of the bank. */
const SEPARATORS = memory.data(24 * 4, 4);

export function clearEventFaults(): void {
  isUnbound = false;
  isMisparted = false;
  isForeign = false;
  isIncomplete = false;
  isUncovered = false;
}

/** Whether the rules judged since then found this. */
export function hasEventFault(code: Code): bool {
  if (code == Code.ENVIRONMENT_EVENTLOG_UNBOUND) return isUnbound;
  if (code == Code.ENVIRONMENT_EVENTLOG_SEPARATOR) return isMisparted;
  if (code == Code.ENVIRONMENT_EVENTLOG_EVENT) return isForeign;
  if (code == Code.ENVIRONMENT_EVENTLOG_REQUIRED) return isIncomplete;
  return code == Code.ENVIRONMENT_PCR_UNCOVERED && isUncovered;
}

/**
 * Judges a log by the rules of one policy, bank by bank:
 * 1. The signed selection covers every PCR that has rules (PCR_UNCOVERED); only covered ones are
 *   judged.
 * 2. Every event of such a PCR is allowed by its digest, as a variable, or by its type
 *   (EVENTLOG_EVENT).
 * 3. An event that is allowed by its type has the digest of its data, if the type promises that
 *   (EVENTLOG_UNBOUND).
 * 4. Where one separator is asked for, there is one and no more, and none reports an error
 *   (EVENTLOG_SEPARATOR).
 * 5. Every required event occurred (EVENTLOG_REQUIRED).
 * The log is the one that replayed: it is read to its end.
 */
export function judgeEventRules(rules: Span, log: Span): void {
  let bank = loadBank(rules, 0);
  for (let i: u32 = 0; bank != 0; i++, bank = loadBank(rules, i)) {
    excludeUncovered(bank);
    memory.fill(SEPARATORS, 0, PCRS * 4);
    const hash = hashOf(bank);
    prepareSeparators(hash);
    openEventLog(log, false);
    while (nextEvent()) {
      if (event.type == EV_NO_ACTION || event.pcr >= PCRS || digestOf(hash) == 0) continue;
      const own = pcrRulesAt(event.pcr);
      if (own.present) judgeEvent(own, hash);
    }
    for (let pcr: u32 = 0; pcr < PCRS; pcr++) {
      const own = pcrRulesAt(pcr);
      if (own.present) judgeWhole(own, pcr);
    }
  }
}

/** Records what was found of the log; true where that is nothing. */
export function reportEventFaults(): bool {
  let holds = true;
  const last = Code.ENVIRONMENT_EVENTLOG_REQUIRED;
  for (let code = Code.ENVIRONMENT_EVENTLOG_UNBOUND; code <= last; code++) {
    if (!hasEventFault(code)) continue;
    deny(code);
    holds = false;
  }
  return holds;
}

/** The first of these checks alone, where there is no log to judge. */
export function judgeCoverage(rules: Span): void {
  let bank = loadBank(rules, 0);
  for (let i: u32 = 0; bank != 0; i++, bank = loadBank(rules, i)) excludeUncovered(bank);
}

function excludeUncovered(bank: u32): void {
  for (let pcr: u32 = 0; pcr < PCRS; pcr++) {
    const own = pcrRulesAt(pcr);
    if (!own.present || pcrValue(bank, pcr) != 0) continue;
    own.present = false;
    isUncovered = true;
  }
}

function judgeEvent(rules: PcrRules, hash: u32): void {
  if (rules.separator) {
    if (isSeparator(hash)) {
      const count = SEPARATORS + (event.pcr << 2);
      store<u32>(count, load<u32>(count) + 1);
      return;
    }
    if (isCalledSeparator()) {
      isMisparted = true;
      return;
    }
  }
  const named = isAllowedDigest(rules, digestOf(hash));
  if (isAllowedVariable(rules, hash) || named || isAllowedType(rules, hash)) return;
  isForeign = true;
}

/** Every set that holds the digest is satisfied. */
function isAllowedDigest(rules: PcrRules, digest: usize): bool {
  let found = false;
  for (let i: u32 = 0; i < rules.setCount; i++) {
    const set = setAt(rules.sets + i);
    if (!holdsDigest(set, digest)) continue;
    set.isSeen = true;
    found = true;
  }
  return found;
}

function isAllowedVariable(rules: PcrRules, hash: u32): bool {
  if (rules.variableCount == 0) return false;
  const guid = variableGuid();
  if (guid == 0) return false;
  for (let i: u32 = 0; i < rules.variableCount; i++) {
    const rule = variableAt(rules.variables + i);
    if (!same(rule.guid, guid) || !isVariableNamed(rule.name)) continue;
    if (!isBoundIn(hash)) return false;
    rule.isSeen = true;
    return true;
  }
  return false;
}

function isAllowedType(rules: PcrRules, hash: u32): bool {
  for (let i: u32 = 0; i < rules.typeCount; i++) {
    if (typeAt(rules.types + i) != event.type) continue;
    if (promisesData(event.type) && !isBoundIn(hash)) isUnbound = true;
    return true;
  }
  return false;
}

function judgeWhole(rules: PcrRules, pcr: u32): void {
  if (rules.separator && load<u32>(SEPARATORS + (pcr << 2)) != 1) isMisparted = true;
  for (let i: u32 = 0; i < rules.setCount; i++) {
    const set = setAt(rules.sets + i);
    if (set.need == Need.REQUIRED && !set.isSeen) isIncomplete = true;
  }
  for (let i: u32 = 0; i < rules.variableCount; i++) {
    const rule = variableAt(rules.variables + i);
    if (rule.need == Need.REQUIRED && !rule.isSeen) isIncomplete = true;
  }
}
