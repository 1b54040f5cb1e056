/**
 * The decision: every family in its order, each proven or not, and the one place that writes allow.
 *
 * Allow is proof of every check, not absence of a failure. The result says "deny: not decided"
 * before anything is read; a family's bit is set only by a judge that gave true, after all its
 * checks held; allow is written if and only if the proven bits equal the required ones and no code
 * was recorded.
 */
import { Span, lenOf, ptrOf } from "./abi";
import {
  EVIDENCE_DIGEST,
  JOB_DIGEST,
  REQUEST_DIGEST,
  computeRequest,
  openCase,
  result,
} from "./case";
import * as context from "./context";
import { Role } from "./context";
import * as evidence from "./evidence";
import * as environment from "./family/environment";
import { judgeEnvironment } from "./family/environment";
import * as governance from "./family/governance";
import { judgeGovernance } from "./family/governance";
import { judgeIdentity, openIdentity } from "./family/identity";
import * as ima from "./family/ima";
import * as plane from "./family/plane";
import { judgeResult } from "./family/plane";
import * as policy from "./family/policy";
import { judgePolicy } from "./family/policy";
import { judgeReplay } from "./family/replay";
import { FOUND, clearFindings, deny, first } from "./findings";
import { Code, FAMILIES, Family } from "./generated";
import * as chain from "./grant/chain";
import { judgeRevocation, judgeSignatures, judgeWindows, openChain } from "./grant/chain";
import * as charter from "./grant/charter";
import { Decision } from "./grant/claims";
import { elementAt } from "./grant/element";
import { judgeLineage } from "./grant/lineage";
import * as node from "./grant/node";
import * as snapshot from "./grant/snapshot";
import { openStatus } from "./grant/status";
import { digestBytes } from "./hash/hash";
import { provenValue } from "./measure/quoted-ima";
import { clearDenied, deniedEntry } from "./policy/ima-rules";
import { attest } from "./tpm/attest";
import { count as policyCount, policyAt } from "./policy/reference";

/** Two words far apart in every bit pattern: no single flipped bit turns one into the other. */
const DENY: u32 = 0x796e6564;
const ALLOW: u32 = 0x86919a9b;

/**
 * All families but `internal`, which is never proven and never required: its codes are the host's.
 */
export const REQUIRED: u32 = (1 << Family.INTERNAL) - 1;
/** What is proven before a quote may tell anything. */
const BEFORE_QUOTE: u32 = (1 << Family.ENVIRONMENT) - 1;

/** Facts that the result vouches for, as bits of its word `facts`. */
namespace fact {
  /** Charter and snapshot numbers, digests and time may become floors. */
  export const FLOORS: u32 = 1;
  /** The request was formed: its digest, the job's and the chain's are given. */
  export const REQUEST: u32 = 2;
  /** The quote is the node's, for this request: its counters may become floors. */
  export const COUNTERS: u32 = 4;
  /** The quote proves IMA entries, and the policies allow them: what follows may continue them. */
  export const IMA: u32 = 8;
}

/** The layout of the result; docs/abi.md describes it. */
@unmanaged
class Result {
  verdict: u32;
  code: u32;
  proven: u32;
  required: u32;
  evaluated: u32;
  facts: u32;
  role: u32;
  purpose: u32;
  expiry: u64;
  charterNumber: u64;
  snapshotVersion: u64;
  signedTime: u64;
  resetCount: u64;
  restartCount: u64;
  clock: u64;
  firmwareVersion: u64;
  runtimeSeconds: u64;
  epoch: u64;
  /** Where in the case the job stands. */
  jobOffset: u32;
  jobLength: u32;
  elements: u32;
  policies: u32;
  akNameLength: u32;
  mark: u32;
  freeze: u32;
  planeRequired: u32;
}
const FIELDS_BYTES: usize = 144;
const DIGESTS_AT: u32 = 144;
const AK_NAME_AT: u32 = 144 + 6 * 32;
const ELEMENTS_AT: u32 = 144 + 6 * 32 + 72;
const ELEMENT_BYTES: u32 = 48;
const POLICIES_AT: u32 = 144 + 6 * 32 + 72 + 5 * 48;
const FOUND_AT: u32 = 144 + 6 * 32 + 72 + 5 * 48 + 8 * 32;
const IMA_AT: u32 = 144 + 6 * 32 + 72 + 5 * 48 + 8 * 32 + 256;
const IMA_VALUES_AT: u32 = 144 + 6 * 32 + 72 + 5 * 48 + 8 * 32 + 256 + 24;
const IMA_VALUE_BYTES: u32 = 64;
export const RESULT_BYTES: u32 = 144 + 6 * 32 + 72 + 5 * 48 + 8 * 32 + 256 + 24 + 4 * 64;
export const RESULT: usize = memory.data(144 + 6 * 32 + 72 + 5 * 48 + 8 * 32 + 256 + 24 + 4 * 64, 16);

let explain: bool = false;

function out(): Result {
  return changetype<Result>(RESULT);
}

/** Whether judging goes on: an explanation goes through to the end. */
function goesOn(): bool {
  return explain || first == Code.NONE;
}

/** Notes what a family's judge said, once everything that it depends on was there. */
function settle(family: Family, holds: bool): void {
  const bit = (<u32>1) << <u32>family;
  out().evaluated |= bit;
  if (holds) out().proven |= bit;
}

/**
 * Decides the case in memory. The result is complete when this returns, and a denial if it never
 * does.
 */
export function decide(bytes: Span, explained: bool): void {
  explain = explained;
  clearFindings();
  begin();
  if (openCase(bytes)) {
    judge();
    report(bytes);
  } else {
    deny(Code.INTERNAL_CASE);
  }
  conclude();
}

function begin(): void {
  assert(offsetof<Result>() == FIELDS_BYTES, "the layout that docs/abi.md describes");
  assert(<u32>FAMILIES == <u32>Family.INTERNAL + 1, "internal is the last family");
  memory.fill(RESULT, 0, RESULT_BYTES);
  clearDenied();
  out().verdict = DENY;
  out().code = Code.INTERNAL_UNDECIDED;
  out().required = REQUIRED;
}

/**
 * Every family in its order. What depends on a part that could not be read is left out, and so is
 * not proven.
 */
function judge(): void {
  settle(Family.GOVERNANCE, judgeGovernance());
  if (!goesOn()) return;
  const hasChain = openChain(evidence.elements);
  settle(Family.ARTIFACT, hasChain);
  const charterAndChain = governance.hasCharter && hasChain;
  if (goesOn() && charterAndChain) settle(Family.SIGNATURE, judgeSignatures());
  if (goesOn() && charterAndChain) settle(Family.WINDOW, judgeWindows(context.now));
  const governed = charterAndChain && governance.hasSnapshot;
  if (!goesOn() || !governed) return;
  settle(Family.POLICY, judgePolicy());
  if (!goesOn()) return;
  judgeNode();
}

/** The families that need charter, snapshot and chain. */
function judgeNode(): void {
  const hasNode = openIdentity();
  if (policy.hasJob) formRequest();
  const hasRequest = (out().facts & fact.REQUEST) != 0;
  settle(Family.IDENTITY, judgeIdentity(hasNode, hasRequest));
  if (goesOn()) settle(Family.LINEAGE, judgeLineage(chain.count));
  if (goesOn() && hasNode) judgeRevoked();
  if (goesOn() && hasNode && hasRequest) {
    settle(Family.ENVIRONMENT, judgeEnvironment(policy.hasPolicies));
    // An explanation comes here with a credential that nobody vouched for: its quote raises no
    // counters of the node.
    const vouched = (out().proven & BEFORE_QUOTE) == BEFORE_QUOTE;
    if (vouched && environment.isBound) {
      out().facts |= fact.COUNTERS;
      if (ima.isJudged) out().facts |= fact.IMA;
    }
  }
  if (goesOn() && hasRequest) settle(Family.REPLAY, judgeReplay());
  if (goesOn() && hasRequest) settle(Family.PLANE, judgePlane());
}

function formRequest(): void {
  computeRequest(charter.domain, chain.leaf().digest, snapshot.DIGEST);
  out().facts |= fact.REQUEST;
}

function judgeRevoked(): void {
  const listed = openStatus(evidence.status, snapshot.status);
  settle(Family.REVOCATION, listed && judgeRevocation());
}

/** plane: not required and absent, or proven; the plane itself judges without a result. */
function judgePlane(): bool {
  const required = snapshot.decision == Decision.PLANE || chain.asksPlane();
  out().planeRequired = required ? 1 : 0;
  if (context.role == Role.PLANE) {
    if (result == 0) return true;
    deny(Code.PLANE_UNEXPECTED);
    return false;
  }
  if (result != 0) return judgeResult(result, context.now);
  if (!required) return true;
  deny(Code.PLANE_MISSING);
  return false;
}

/** Tells what was verified and read, for the host to act upon. */
function report(bytes: Span): void {
  const o = out();
  o.role = context.role;
  o.purpose = context.purpose;
  store32(5, EVIDENCE_DIGEST);
  if (governance.raisesFloors) reportFloors();
  if (o.facts & fact.REQUEST) reportRequest(bytes);
  if (o.facts & fact.COUNTERS) reportCounters();
  if (o.facts & fact.IMA) reportIma();
  store<u64>(RESULT + IMA_AT, deniedEntry, 16);
}

/** The nth digest of the result. */
function store32(place: u32, digest: usize): void {
  memory.copy(RESULT + DIGESTS_AT + (place << 5), digest, 32);
}

function reportFloors(): void {
  const o = out();
  o.facts |= fact.FLOORS;
  o.charterNumber = charter.number;
  o.snapshotVersion = snapshot.version;
  o.signedTime = governance.signedTime();
  o.epoch = snapshot.epoch;
  o.freeze = snapshot.freeze;
  store32(3, charter.DIGEST);
  store32(4, snapshot.DIGEST);
}

function reportRequest(bytes: Span): void {
  const o = out();
  store32(0, REQUEST_DIGEST);
  store32(1, JOB_DIGEST);
  store32(2, chain.leaf().digest);
  o.jobOffset = <u32>(ptrOf(evidence.job) - ptrOf(bytes));
  o.jobLength = lenOf(evidence.job);
  o.runtimeSeconds = policy.runtimeSeconds();
  o.mark = charter.findClass(elementAt(0).className) && charter.classMark ? 1 : 0;
  if (o.proven == REQUIRED) o.expiry = expiry();
  o.elements = chain.count;
  for (let i: u32 = 0; i < chain.count; i++) {
    const at = RESULT + ELEMENTS_AT + i * ELEMENT_BYTES;
    memory.copy(at, elementAt(i).digest, 32);
    store<u64>(at, elementAt(i).scope.uses, 32);
    store<u64>(at, elementAt(i).exp, 40);
  }
  o.policies = policyCount;
  for (let i: u32 = 0; i < policyCount; i++) {
    memory.copy(RESULT + POLICIES_AT + (i << 5), policyAt(i).digest, 32);
  }
}

/** The earliest end of anything that an allowed decision rests on. */
function expiry(): u64 {
  const earliest = min(min(charter.firstExpiry, snapshot.exp), min(chain.expiry(), node.exp));
  return result == 0 ? earliest : min(earliest, plane.exp);
}

function reportCounters(): void {
  const o = out();
  o.resetCount = attest.resetCount;
  o.restartCount = attest.restartCount;
  o.clock = attest.clock;
  o.firmwareVersion = attest.firmwareVersion;
  o.akNameLength = lenOf(context.akName);
  memory.copy(RESULT + AK_NAME_AT, ptrOf(context.akName), lenOf(context.akName));
}

/** Entries proven and allowed, and the value of PCR 10 after them in each quoted bank, by hash. */
function reportIma(): void {
  store<u64>(RESULT + IMA_AT, ima.provenEntries());
  let banks: u32 = 0;
  for (let hash: u32 = 1; hash <= 4; hash++) {
    const value = provenValue(hash);
    if (value == 0) continue;
    banks |= 1 << hash;
    memory.copy(RESULT + IMA_VALUES_AT + (hash - 1) * IMA_VALUE_BYTES, value, digestBytes(hash));
  }
  store<u32>(RESULT + IMA_AT, banks, 8);
}

/** The only writer of allow. */
function conclude(): void {
  const o = out();
  memory.copy(RESULT + FOUND_AT, FOUND, 256);
  if (first != Code.NONE) o.code = first;
  if (o.proven == REQUIRED && first == Code.NONE) {
    o.code = Code.NONE;
    o.verdict = ALLOW;
  }
}
