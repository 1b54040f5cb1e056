/**
 * policy: the domain, the named reference policies, the recorded validation, and the job inside
 * every scope.
 */
import { lenOf } from "../abi";
import * as evidence from "../evidence";
import { check } from "../findings";
import { Code, limits } from "../generated";
import * as chain from "../grant/chain";
import { judgeDomain, judgeValidation } from "../grant/chain";
import { bit, elementAt } from "../grant/element";
import * as job from "../grant/job";
import { readJob } from "../grant/job";
import { judgeScope } from "../grant/scope";
import { judgePolicies } from "../policy/reference";

/** The job is well-formed: later families may read it. */
export let hasJob: bool = false;
/** The policies are authentic and active: `environment` may compare with them. */
export let hasPolicies: bool = false;

export function judgePolicy(): bool {
  const domain = judgeDomain();
  hasPolicies = judgePolicies(evidence.policies);
  const validated = judgeValidation();
  hasJob = lenOf(evidence.job) <= limits.jobBytes && readJob(evidence.job);
  if (!check(hasJob, Code.POLICY_JOB)) return false;
  let inside = chain.count > 0;
  for (let i: u32 = 0; i < chain.count; i++) {
    const e = elementAt(i);
    if (e.isGrant || e.present & bit.SCOPE) inside = judgeScope(e.scope, e.isGrant) && inside;
  }
  return domain && hasPolicies && validated && inside;
}

/** Seconds after which the job is killed; only after `hasJob`. */
export function runtimeSeconds(): u64 {
  return job.runtimeSeconds;
}
