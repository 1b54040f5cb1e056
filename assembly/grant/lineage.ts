/**
 * lineage: each link stands under the element before it and is nowhere wider. An authorization is
 * delegated along one path and only ever narrowed, so that whoever holds a link can do less than
 * its parent's holder, never more.
 *
 * That each link is signed by its parent's key is judged before (signature), and that every element
 * holds for this job, this node and this moment by each family for all of them. The domain of every
 * element is the charter's; the keyset can only be the authority's.
 */
import { Span, same, span } from "../abi";
import { Fault, READER_BYTES, Reader } from "../codec/cbor";
import { check } from "../findings";
import { Code, limits } from "../generated";
import { Decision, holds, readUeid } from "./claims";
import { Element, bit, elementAt } from "./element";
import { holdScope, narrowsScope, overlayScope } from "./narrowing";

/** What a link inherits where it is silent: as the innermost element above it states them. */
let policies: Span = 0;
let nodes: Span = 0;
let label: Span = 0;
let decision: u8 = 0;

const PARENT = changetype<Reader>(memory.data(READER_BYTES, 8));
const CHILD = changetype<Reader>(memory.data(READER_BYTES, 8));

/** Judges the chain of `count` elements. A grant alone has no lineage that could break. */
export function judgeLineage(count: u32): bool {
  const grant = elementAt(0);
  policies = grant.policies;
  nodes = grant.nodes;
  label = grant.label;
  decision = grant.decision;
  holdScope(grant.scope);
  let holds = true;
  for (let i: u32 = 1; i < count; i++) {
    const e = elementAt(i);
    holds = judgeLink(e, elementAt(i - 1)) && holds;
    overlay(e);
  }
  return holds;
}

/**
 * 1. The link names its parent by digest. 2. It stands one deeper, within the parent's maximum
 *   depth, which only falls; an element that states none may not be delegated. 3. Subject and class
 *   stay. 4. Its window lies in the parent's. 5. Its epoch is not older. 6. Scope, 7. policies and
 *   8. audience are nowhere wider. 9. A decision that is the plane's stays with it.
 */
function judgeLink(e: Element, parent: Element): bool {
  const named = same(e.parent, span(parent.digest, 32));
  let holds = check(named, Code.LINEAGE_PARENT);
  const deeper = e.depth == parent.depth + 1 && e.depth <= parent.maxDepth;
  holds = check(deeper && e.maxDepth <= parent.maxDepth, Code.LINEAGE_DEPTH) && holds;
  holds = check(same(e.subject, parent.subject), Code.LINEAGE_SUBJECT) && holds;
  holds = check(same(e.className, parent.className), Code.LINEAGE_CLASS) && holds;
  const inside = e.iat >= parent.iat && e.nbf >= parent.nbf && e.exp <= parent.exp;
  holds = check(inside, Code.LINEAGE_WINDOW) && holds;
  holds = check(e.epoch >= parent.epoch, Code.LINEAGE_EPOCH) && holds;
  holds = check(narrowsScope(e.scope), Code.LINEAGE_SCOPE) && holds;
  holds = check(appendsPolicies(e), Code.LINEAGE_POLICIES) && holds;
  holds = check(narrowsAudience(e), Code.LINEAGE_AUDIENCE) && holds;
  return check(keepsDecision(e), Code.LINEAGE_DECISION) && holds;
}

function overlay(e: Element): void {
  overlayScope(e.scope);
  if (e.policies != 0) policies = e.policies;
  if (e.present & bit.AUDIENCE) {
    nodes = e.nodes;
    label = e.label;
  }
  if (e.present & bit.DECISION) decision = e.decision;
}

/** The inherited names come first, all of them and in their order; further ones may follow. */
function appendsPolicies(e: Element): bool {
  if (e.policies == 0) return true;
  const parent = PARENT.open(policies);
  const child = CHILD.open(e.policies);
  const held = parent.array(1, limits.policies);
  if (child.array(1, limits.policies) < held) return false;
  for (let i: u32 = 0; i < held; i++) if (!same(parent.ident(), child.ident())) return false;
  return parent.close() == Fault.NONE;
}

/**
 * The same label, or some of the nodes. Nodes under a label are narrower too: this node must carry
 * the label and be among them (identity). A label under nodes would be wider.
 */
function narrowsAudience(e: Element): bool {
  if (!(e.present & bit.AUDIENCE)) return true;
  if (e.label != 0) return label != 0 && same(e.label, label);
  if (label != 0) return true;
  const child = CHILD.open(e.nodes);
  const count = child.array(1, limits.audience);
  for (let i: u32 = 0; i < count; i++) if (!holds(nodes, readUeid(child))) return false;
  return child.close() == Fault.NONE;
}

function keepsDecision(e: Element): bool {
  return decision == <u8>Decision.LOCAL || !(e.present & bit.DECISION) || e.decision == decision;
}
