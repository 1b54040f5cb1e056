/** replay: the nonce is ours, the run is ours, and every element has a use left. */
import { Span, same, span } from "../abi";
import { JOB_DIGEST } from "../case";
import { READER_BYTES, Reader } from "../codec/cbor";
import * as context from "../context";
import { Purpose, Role } from "../context";
import * as evidence from "../evidence";
import { check } from "../findings";
import { Code, limits } from "../generated";
import * as chain from "../grant/chain";
import { elementAt } from "../grant/element";

const USES = changetype<Reader>(memory.data(READER_BYTES, 8));
/** Key of the uses in a scope. */
const USES_BIT: u32 = 1 << 12;

export function judgeReplay(): bool {
  const presented = context.role == Role.PLANE ? evidence.planeNonce : evidence.gateNonce;
  const fresh = check(presented != 0 && same(presented, context.nonce), Code.REPLAY_NONCE);
  const ours = check(isOurRun(), Code.REPLAY_RUN);
  return judgeUses() && fresh && ours;
}

function equalOrAbsent(a: Span, b: Span): bool {
  return (a == 0) == (b == 0) && same(a, b);
}

/** A lease continues one run: a run's lease cannot start another job. */
function isOurRun(): bool {
  if (evidence.purpose != context.purpose) return false;
  if (!equalOrAbsent(evidence.runId, context.runId)) return false;
  if (context.purpose == Purpose.START) return true;
  const job = same(context.startJob, span(JOB_DIGEST, 32));
  return job && same(context.startChain, span(chain.leaf().digest, 32));
}

/**
 * The counts were looked up for exactly these elements; a lease does not count its own run's use.
 */
function judgeUses(): bool {
  const r = USES.open(context.uses);
  const listed = r.array(0, limits.elements);
  if (!check(listed == chain.count, Code.REPLAY_ELEMENT)) return false;
  let holds = true;
  for (let i: u32 = 0; i < listed; i++) {
    const e = elementAt(i);
    r.array(2, 2);
    const known = same(r.digest(), span(e.digest, 32));
    if (!check(known, Code.REPLAY_ELEMENT)) return false;
    const uses = r.uint();
    const own: u64 = context.purpose == Purpose.LEASE ? 1 : 0;
    // Without a maximum of its own, a link is bound by its ancestors': each of them is counted too.
    const left = (e.scope.present & USES_BIT) == 0 || uses < e.scope.uses + own;
    holds = check(left, Code.REPLAY_USE) && holds;
  }
  return holds;
}
