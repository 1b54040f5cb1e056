/**
 * environment: a fresh quote by the node's key, whose PCRs every named policy allows.
 *
 * 1. well-formed, magic and type; 2. scheme and hash are the key's own; 3. the signature; 4. extraData is the Merkle
 * root over this request; 5. the signed selection; 6. the values are the quoted ones; 7. counters, clock, firmware;
 * 8. the logs, where there are any, replay to the quoted values; 9. each policy over the signed selection, and its rules
 * over the event log.
 */
import { lenOf, ptrOf, same, span } from "../abi";
import { REQUEST_DIGEST } from "../case";
import { Fault, READER_BYTES, Reader } from "../codec/cbor";
import * as context from "../context";
import * as evidence from "../evidence";
import { check, deny } from "../findings";
import { Code, limits } from "../generated";
import * as node from "../grant/node";
import { HashId, hash } from "../hash/hash";
import { judgeEventLog } from "../measure/quoted";
import {
  clearEventFaults,
  hasEventFault,
  judgeCoverage,
  judgeEventRules,
  reportEventFaults,
} from "../policy/event-judgement";
import { hasPcrFault, judgePcrs } from "../policy/pcr-rules";
import { count as policyCount, policyAt } from "../policy/reference";
import { attest, parseAttest } from "../tpm/attest";
import { judgeCounters, judgeFirmware, judgeSafe } from "../tpm/clock";
import { bindValues, parseSelection } from "../tpm/pcr";
import { verifyQuote } from "../tpm/signature";
import { hasKey } from "./identity";
import { judgeMeasurements } from "./ima";

/** The quote is the node's, for this request. */
export let isBound: bool = false;

const PATH = changetype<Reader>(memory.data(READER_BYTES, 8));

export function judgeEnvironment(hasPolicies: bool): bool {
  isBound = false;
  if (!check(lenOf(evidence.attest) > 0, Code.ENVIRONMENT_QUOTE_MISSING)) return false;
  const parsed = parseAttest(evidence.attest);
  if (parsed != Code.NONE) {
    deny(parsed);
    return false;
  }
  const signed = hasKey && judgeSignature();
  const fresh = check(answersRequest(), Code.ENVIRONMENT_QUOTE_NONCE);
  isBound = signed && fresh && same(attest.qualifiedSigner, node.qualifiedName);
  const valued = judgeValues();
  const timely = judgeTime();
  const logs = judgeBoot(valued, hasPolicies);
  const lists = judgeMeasurements(valued, hasPolicies);
  if (!valued || !hasPolicies) return false;
  return judgeRules() && isBound && timely && logs && lists;
}

function judgeSignature(): bool {
  return note(verifyQuote(evidence.attest, evidence.signature));
}

/** The longest tree that a path of `limits.pathHashes` hashes can prove. */
const SIZE_MAX: u64 = 1 << 16;
const NODE = memory.data(65, 8);
const ROOT = memory.data(32, 8);

/**
 * qualifyingData is the RFC 6962 root over the requests that share the quote (RFC 9162 §2.1.3.2 verifies a path).
 * Leaf and node hashes differ in their first byte, so that no node passes for a request.
 */
function answersRequest(): bool {
  let index = evidence.pathIndex;
  let last = evidence.pathSize - 1;
  if (evidence.pathSize == 0 || evidence.pathSize > SIZE_MAX || index > last) return false;
  store<u8>(NODE, 0);
  memory.copy(NODE + 1, REQUEST_DIGEST, 32);
  hash(HashId.SHA256, NODE, 33, ROOT);
  const r = PATH.open(evidence.path);
  const count = r.array(0, limits.pathHashes);
  for (let i: u32 = 0; i < count; i++) {
    const sibling = r.digest();
    if (last == 0) return false;
    const right = (index & 1) == 0 && index != last;
    store<u8>(NODE, 1);
    memory.copy(NODE + (right ? 1 : 33), ROOT, 32);
    memory.copy(NODE + (right ? 33 : 1), ptrOf(sibling), 32);
    hash(HashId.SHA256, NODE, 65, ROOT);
    // An unpaired right edge has no sibling: climb until it is a right child.
    while (!right && (index & 1) == 0 && index != 0) {
      index >>= 1;
      last >>= 1;
    }
    index >>= 1;
    last >>= 1;
  }
  return last == 0 && r.close() == Fault.NONE && same(attest.extraData, span(ROOT, 32));
}

function judgeValues(): bool {
  let code = parseSelection();
  if (code == Code.NONE) code = bindValues(evidence.values);
  return note(code);
}

/** Records what a check found; true where it found nothing. */
function note(code: Code): bool {
  if (code != Code.NONE) deny(code);
  return code == Code.NONE;
}

/** Counters at enrollment are a floor, and so is what this verifier has seen since. */
function judgeTime(): bool {
  let holds = note(judgeSafe());
  holds = note(judgeCounters(node.resetCount, node.restartCount, node.clock)) && holds;
  if (context.hasCounters) {
    const seen = judgeCounters(context.resetCount, context.restartCount, context.clock);
    holds = note(seen) && holds;
  }
  let firmware = max(node.firmwareVersion, context.hasCounters ? context.firmwareVersion : 0);
  for (let i: u32 = 0; i < policyCount; i++) firmware = max(firmware, policyAt(i).minimumFirmware);
  return note(judgeFirmware(firmware)) && holds;
}

/** The boot event log against the quote; and, where it replays to it, every policy's rules over it. */
function judgeBoot(valued: bool, hasPolicies: bool): bool {
  const log = evidence.eventLog;
  let ruled = false;
  for (let i: u32 = 0; i < policyCount; i++) ruled = ruled || policyAt(i).eventLog != 0;
  if (log == 0) return check(!ruled, Code.ENVIRONMENT_EVENTLOG_ABSENT);
  if (!judgeEventLog(log, valued)) return false;
  if (!ruled || !hasPolicies) return !ruled;
  clearEventFaults();
  for (let i: u32 = 0; i < policyCount; i++) {
    if (policyAt(i).eventLog != 0) judgeEventRules(policyAt(i).eventLog, log);
  }
  return reportEventFaults();
}

/** Every policy, each over the values of the signed selection alone. */
function judgeRules(): bool {
  let holds = policyCount > 0;
  for (let i: u32 = 0; i < policyCount; i++) {
    const p = policyAt(i);
    judgePcrs(p.pcrs);
    clearEventFaults();
    if (p.eventLog != 0) judgeCoverage(p.eventLog);
    for (let code = Code.ENVIRONMENT_PCR_EMPTY; code <= Code.ENVIRONMENT_PCR_MISMATCH; code++) {
      holds = check(!hasPcrFault(code) && !hasEventFault(code), code) && holds;
    }
  }
  return holds;
}
