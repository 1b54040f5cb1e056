/**
 * What the machine measured since it booted: the IMA list of a case, whole or behind a prefix that
 * was proven before, under the IMA rules of every policy.
 */
import { lenOf, ptrOf, same, span } from "../abi";
import { READER_BYTES, Reader } from "../codec/cbor";
import * as context from "../context";
import * as evidence from "../evidence";
import { check } from "../findings";
import { Code, limits } from "../generated";
import { before, judgeIma, proven, startBehind, startValue } from "../measure/quoted-ima";
import { judgeImaRules } from "../policy/ima-rules";
import { count as policyCount, policyAt } from "../policy/reference";
import { attest } from "../tpm/attest";

/** The quote proves `entries` entries, and every policy with IMA rules allows all of them. */
export let isJudged: bool = false;

const LIST = changetype<Reader>(memory.data(READER_BYTES, 8));

/** Entries of this boot that were proven, those of the prefix among them. */
export function provenEntries(): u64 {
  return before + proven;
}

/**
 * 1. There is a list where a policy has rules over it (IMA_MISSING). 2. A prefix is of the quote's own boot session,
 * and every policy with IMA rules judged it (IMA_RESUME): else entries would pass that no rule of theirs has seen.
 * 3. The list, behind it, leads to the quoted PCR 10. 4. Each policy allows its entries up to there.
 */
export function judgeMeasurements(bound: bool, hasPolicies: bool): bool {
  isJudged = false;
  const ruled = hasPolicies && hasRules();
  if (evidence.ima == 0) return check(!ruled && !context.hasPrefix, Code.ENVIRONMENT_IMA_MISSING);
  if (!check(openPrefix(), Code.ENVIRONMENT_IMA_RESUME)) return false;
  if (!judgeIma(evidence.ima, bound)) return false;
  let holds = true;
  for (let i: u32 = 0; i < policyCount && hasPolicies; i++) {
    const rules = policyAt(i).ima;
    if (rules != 0) holds = judgeImaRules(rules, evidence.ima, proven) && holds;
  }
  isJudged = ruled && holds;
  return holds;
}

function hasRules(): bool {
  for (let i: u32 = 0; i < policyCount; i++) if (policyAt(i).ima != 0) return true;
  return false;
}

/** Puts the replay behind the prefix; false where that may not be continued. */
function openPrefix(): bool {
  startBehind(0);
  if (!context.hasPrefix) return true;
  const session = attest.resetCount == context.prefixResetCount;
  if (!session || attest.restartCount != context.prefixRestartCount) return false;
  for (let i: u32 = 0; i < policyCount; i++) {
    if (policyAt(i).ima != 0 && !judgedBy(policyAt(i).digest)) return false;
  }
  startBehind(context.prefixEntries);
  const r = LIST.open(context.prefixValues);
  const count = r.array(1, 8);
  for (let i: u32 = 0; i < count; i++) {
    const value = r.bytes(20, 64);
    if (!startValue(ptrOf(value), lenOf(value))) return false;
  }
  return true;
}

/** Whether the prefix was judged by the policy of this digest. */
function judgedBy(digest: usize): bool {
  const r = LIST.open(context.prefixPolicies);
  const count = r.array(1, limits.policies);
  for (let i: u32 = 0; i < count; i++) if (same(r.digest(), span(digest, 32))) return true;
  return false;
}
