/**
 * The rules of a chain a second time, slow and plain, from docs/wire-format.md and the table of
 * checks: which codes a well-formed chain earns, in the order in which they are judged. It works on
 * claims and sets of possibilities, and shares nothing with the core but the names of the codes.
 */
import type { Code } from "../../../src/core/index.ts";
import type { Charter, Grant, Job, Link } from "../../../src/wire/objects.ts";
import { scopeCodes, widensScope } from "./scope.ts";

export type ElementClaims = Grant | Link;

export interface PresentedElement {
  readonly claims: ElementClaims;
  /** Number of the key that holds it, null where the executing node does. */
  readonly holder: number | null;
  /** Of a link: number of the key that signed it. */
  readonly signedBy: number;
  /** Its signature was altered. */
  readonly damaged: boolean;
  /** Of a link: whether the parent digest is that of the element before it. */
  readonly namesParent: boolean;
  readonly revoked: boolean;
  readonly uses: number;
}

export interface Presented {
  /** The grant, then its links. */
  readonly elements: readonly PresentedElement[];
  readonly job: Job;
  /** Number of the key that signed the proof, null for none. */
  readonly provedBy: number | null;
}

/** What does not change from case to case. */
export interface Circumstances {
  readonly now: number;
  readonly charter: Charter;
  readonly epoch: number;
  readonly ueid: Uint8Array;
  readonly labels: readonly string[];
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const depthOf = (claims: ElementClaims): number => ("depth" in claims ? claims.depth : 0);

/** The claim as the innermost of these elements states it, undefined where none does. */
function innermost<T>(
  elements: readonly PresentedElement[],
  read: (claims: ElementClaims) => T | undefined,
): T | undefined {
  return elements.map(({ claims }) => read(claims)).findLast((value) => value !== undefined);
}

/** All codes of the case, in the order of judging; empty where it is allowed. */
export function judge(presented: Presented, circumstances: Circumstances): Code[] {
  const families = [signatures, windows, policies, identity, lineage, revocation, uses, plane];
  return [...new Set(families.flatMap((family) => family(presented, circumstances)))];
}

const when = (wrong: boolean, code: Code): Code[] => (wrong ? [code] : []);

function signatures({ elements }: Presented, circumstances: Circumstances): Code[] {
  return elements.flatMap((element, i): Code[] => {
    const parent = elements[i - 1];
    if (parent !== undefined) {
      if (parent.holder !== element.signedBy) return ["signature.unknown-key"];
      return when(element.damaged, "signature.invalid");
    }
    if (element.damaged) return ["signature.invalid"];
    return when(!isCovered(element.claims as Grant, circumstances), "signature.class");
  });
}

/** The class exists and covers lifetime, depth, audience and policies. */
function isCovered(grant: Grant, { charter }: Circumstances): boolean {
  const within = charter.keysets.authority.classes.get(grant.governance.class);
  if (within === undefined) return false;
  const lifetime = grant.exp - grant.iat;
  const { audience } = grant;
  const nodes = within.nodes?.map(hex);
  return (
    lifetime >= 0 &&
    lifetime <= within.lifetimeSeconds &&
    grant.maxDepth <= within.depth &&
    grant.maxDepth <= charter.bounds.depth &&
    (typeof audience === "string"
      ? within.labels === null || within.labels.includes(audience)
      : nodes === undefined || audience.every((node) => nodes.includes(hex(node)))) &&
    grant.policies.every((name) => within.policies === null || within.policies.includes(name))
  );
}

function windows({ elements }: Presented, { now, charter }: Circumstances): Code[] {
  return elements.flatMap(({ claims: { iat, nbf, exp } }) => [
    ...when(iat > nbf || nbf >= exp, "window.invalid"),
    ...when(iat > now || nbf > now, "window.not-yet"),
    ...when(now >= exp, "window.expired"),
    ...when(exp < iat || exp - iat > charter.bounds.grantSeconds, "window.too-long"),
  ]);
}

function policies({ elements, job }: Presented, { charter }: Circumstances): Code[] {
  const claims = elements.map((element) => element.claims);
  return [
    ...claims.flatMap(({ domain }) => when(domain !== charter.domain, "policy.domain")),
    ...claims.flatMap((one) => when(one.policyValidation?.result === "fail", "policy.validation")),
    ...claims.flatMap((one, i) => (one.scope ? scopeCodes(one.scope, job, i === 0) : [])),
  ];
}

function identity(presented: Presented, { ueid, labels }: Circumstances): Code[] {
  const { elements, provedBy } = presented;
  const outside = elements.some(({ claims: { audience } }) => {
    if (audience === undefined) return false;
    if (typeof audience === "string") return !labels.includes(audience);
    return !audience.some((node) => hex(node) === hex(ueid));
  });
  return [
    ...when(outside, "identity.audience"),
    ...when(elements.at(-1)?.holder !== provedBy, "identity.proof"),
  ];
}

function lineage({ elements }: Presented): Code[] {
  return elements.flatMap((element, i) => {
    const parent = elements[i - 1];
    return parent === undefined ? [] : linkCodes(element, parent, elements.slice(0, i));
  });
}

function linkCodes(
  { claims, namesParent }: PresentedElement,
  { claims: parent }: PresentedElement,
  above: readonly PresentedElement[],
): Code[] {
  const deepest = parent.maxDepth ?? 0;
  const depth = depthOf(claims);
  const tooDeep = depth !== depthOf(parent) + 1 || depth > deepest;
  const early = claims.iat < parent.iat || claims.nbf < parent.nbf;
  return [
    ...when(!namesParent, "lineage.parent"),
    ...when(tooDeep || (claims.maxDepth ?? 0) > deepest, "lineage.depth"),
    ...when(claims.sub !== parent.sub, "lineage.subject"),
    ...when(claims.governance.class !== parent.governance.class, "lineage.class"),
    ...when(early || claims.exp > parent.exp, "lineage.window"),
    ...when(claims.governance.epoch < parent.governance.epoch, "lineage.epoch"),
    ...when(widensScope(claims.scope ?? {}, scopesOf(above)), "lineage.scope"),
    ...when(dropsPolicies(claims, above), "lineage.policies"),
    ...when(widensAudience(claims, above), "lineage.audience"),
    ...when(
      claims.decision === "local" && innermost(above, (one) => one.decision) === "plane",
      "lineage.decision",
    ),
  ];
}

const scopesOf = (elements: readonly PresentedElement[]) =>
  elements.map(({ claims }) => claims.scope ?? {});

function dropsPolicies(claims: ElementClaims, above: readonly PresentedElement[]): boolean {
  if (claims.policies === undefined) return false;
  const held = innermost(above, (one) => one.policies) ?? [];
  return held.some((name, i) => claims.policies?.[i] !== name);
}

function widensAudience(claims: ElementClaims, above: readonly PresentedElement[]): boolean {
  const { audience } = claims;
  const held = innermost(above, (one) => one.audience);
  if (audience === undefined) return false;
  if (typeof audience === "string") return audience !== held;
  if (typeof held === "string") return false;
  return audience.some((node) => !held?.some((one) => hex(one) === hex(node)));
}

function revocation({ elements }: Presented, { epoch }: Circumstances): Code[] {
  return [
    ...elements.flatMap(({ revoked }, i) =>
      when(revoked, i + 1 < elements.length ? "revocation.ancestor" : "revocation.artifact"),
    ),
    ...elements.flatMap(({ claims }) => when(claims.governance.epoch < epoch, "revocation.epoch")),
  ];
}

function uses({ elements }: Presented): Code[] {
  return elements.flatMap(({ claims, uses: so }) =>
    when(so >= (claims.scope?.uses ?? Number.POSITIVE_INFINITY), "replay.use"),
  );
}

function plane({ elements }: Presented): Code[] {
  return when(
    elements.some(({ claims }) => claims.decision === "plane"),
    "plane.missing",
  );
}
