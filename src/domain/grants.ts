/**
 * Issuing grants. What is asked for is held against charter and snapshot before anyone signs, so
 * that an operator hears at once what the core would deny later. The core judges it all again.
 */
import { randomBytes } from "node:crypto";
import { compareBytes } from "../bytes.ts";
import { LIMITS } from "../limits.ts";
import { type Signer, thumbprint } from "../wire/keys.ts";
import { type Charter, type Grant, parseSigned, type Scope, signObject } from "../wire/objects.ts";
import { requireDigest } from "./creation.ts";
import type { Domain } from "./domain.ts";
import { DomainError } from "./error.ts";
import { coverIndex } from "./publication.ts";
import { keepIssued, reserveIndex } from "./register.ts";
import { enough, type Quorum } from "./signers.ts";

export interface GrantRequest {
  readonly issuer: string;
  /** The initiator, recorded and never judged. */
  readonly subject: string;
  readonly class: string;
  readonly holder: Grant["cnf"];
  readonly scope: Scope;
  readonly policies: readonly string[];
  readonly audience: Grant["audience"];
  /** Seconds since 1970; now where absent. */
  readonly notBefore?: number;
  readonly lifetimeSeconds: number;
  readonly maxDepth?: number;
  readonly ticket?: string;
  readonly attribution?: string;
  readonly decision?: Grant["decision"];
  /** SHA-256 of the request as it was validated, and who validated it. */
  readonly validation: { readonly digest: Uint8Array; readonly validator: string };
}

export interface IssuedGrant {
  readonly bytes: Uint8Array;
  readonly claims: Grant;
  readonly digest: Uint8Array;
  readonly statusIndex: number;
  readonly file: string;
}

export interface Issuance {
  /** Authority keys at hand. */
  readonly signers: readonly Signer[];
  /** Governance keys at hand: used only where the status list must grow. */
  readonly governance: readonly Signer[];
  readonly nowSeconds: number;
}

type AuthorityClass =
  Charter["keysets"]["authority"]["classes"] extends ReadonlyMap<string, infer C> ? C : never;

function refuse(why: string): never {
  throw new DomainError("domain.input", why);
}

function classOf(domain: Domain, name: string): AuthorityClass {
  const { classes } = domain.charter.object.claims.keysets.authority;
  const known = [...classes.keys()].join(", ");
  return classes.get(name) ?? refuse(`The charter has no class "${name}"; it has ${known}.`);
}

/** Who must sign a grant of this class. */
export function classQuorum(domain: Domain, name: string): Quorum {
  const { keys } = domain.charter.object.claims.keysets.authority;
  const { threshold, members } = classOf(domain, name);
  const listed = keys.filter((key) => {
    const kid = thumbprint(key);
    return members === null || members.some((member) => compareBytes(member, kid) === 0);
  });
  return { name: `The class ${name}`, threshold, keys: listed };
}

/** The claims of a grant, held against charter and snapshot. Throws DomainError `domain.input`. */
export function draftGrant(
  domain: Domain,
  request: GrantRequest,
  statusIndex: number,
  nowSeconds: number,
): Grant {
  requireCovered(domain, request, nowSeconds);
  const nbf = request.notBefore ?? nowSeconds;
  return {
    iss: request.issuer,
    sub: request.subject,
    domain: domain.name,
    iat: nowSeconds,
    nbf,
    exp: nbf + request.lifetimeSeconds,
    cti: new Uint8Array(randomBytes(16)),
    cnf: request.holder,
    scope: request.scope,
    policies: request.policies,
    maxDepth: request.maxDepth ?? 0,
    policyValidation: { ...request.validation, result: "pass", time: nowSeconds },
    governance: {
      epoch: domain.snapshot.object.claims.epoch,
      keyset: "authority",
      class: request.class,
      ticket: request.ticket ?? null,
    },
    statusIndex,
    audience: request.audience,
    ...(request.attribution !== undefined && { attribution: request.attribution }),
    ...(request.decision !== undefined && { decision: request.decision }),
  };
}

/**
 * 1. the class exists and the charter is in force; 2. times follow each other, and exp - iat is
 * within class and charter; 3. every policy is active and within the class; 4. so is the audience;
 * 5. so is the depth.
 */
function requireCovered(domain: Domain, request: GrantRequest, nowSeconds: number): void {
  const { bounds, exp } = domain.charter.object.claims;
  const within = classOf(domain, request.class);
  if (nowSeconds >= exp) refuse("The charter has expired: nothing can be issued.");
  const nbf = request.notBefore ?? nowSeconds;
  if (nbf < nowSeconds) refuse("not-before lies in the past.");
  const { lifetimeSeconds } = request;
  if (!Number.isSafeInteger(lifetimeSeconds) || lifetimeSeconds < 1) {
    refuse("The lifetime is a whole number of seconds, at least 1.");
  }
  const span = nbf + lifetimeSeconds - nowSeconds;
  const longest = Math.min(within.lifetimeSeconds, bounds.grantSeconds);
  if (span > longest) {
    refuse(`It would end in ${span} s: the class ${request.class} allows ${longest} s from now.`);
  }
  requirePolicies(domain, request, within.policies);
  requireAudience(request, within);
  const depth = request.maxDepth ?? 0;
  if (depth > Math.min(within.depth, bounds.depth)) {
    refuse(`Depth ${depth} is more than the class ${request.class} or the charter allows.`);
  }
}

function requirePolicies(
  domain: Domain,
  request: GrantRequest,
  allowed: AuthorityClass["policies"],
): void {
  const { policies } = request;
  if (policies.length === 0 || policies.length > LIMITS.policies) {
    refuse(`A grant names 1 to ${LIMITS.policies} policies.`);
  }
  for (const name of policies) {
    if (!domain.snapshot.object.claims.policies.has(name)) {
      refuse(`The policy ${name} is not active: \`portcullis policy activate ${name}\` first.`);
    }
    if (allowed !== null && !allowed.includes(name)) {
      refuse(`The class ${request.class} does not cover the policy ${name}.`);
    }
  }
}

function requireAudience({ audience, class: name }: GrantRequest, within: AuthorityClass): void {
  const { labels, nodes } = within;
  if (typeof audience === "string") {
    if (labels === null || labels.includes(audience)) return;
    refuse(`The class ${name} does not cover the label ${audience}.`);
  }
  if (audience.length === 0) refuse("A grant names its audience: nodes, or one label.");
  const covered = (ueid: Uint8Array): boolean =>
    nodes === null || nodes.some((node) => compareBytes(node, ueid) === 0);
  if (!audience.every(covered)) refuse(`The class ${name} does not cover every node named.`);
}

/**
 * Reserves a status index, signs the grant to its class's threshold and keeps it in grants/.
 * Durable when this returns.
 *
 * @throws DomainError `domain.input`, `domain.signers`, `domain.storage`; WireError `wire.shape`
 * for a claim out of bounds. An index may be burned then, and nothing else happened.
 */
export async function issueGrant(
  domain: Domain,
  request: GrantRequest,
  { signers, governance, nowSeconds }: Issuance,
): Promise<IssuedGrant> {
  const quorum = enough(signers, classQuorum(domain, request.class));
  const claims = await proposeGrant(domain, request, { governance, nowSeconds });
  const { statusIndex } = claims;
  const bytes = await signObject("grant", claims, quorum);
  const digest = requireDigest(parseSigned("grant", bytes).digest);
  const file = await keepIssued(domain.layout, "grants", statusIndex, bytes);
  return { bytes, claims, digest, statusIndex, file };
}

/**
 * Reserves a status index and gives the claims that authority keys are to sign.
 *
 * @throws DomainError `domain.input`, or `domain.signers` where the status list must grow and
 * governance is not at hand.
 */
export async function proposeGrant(
  domain: Domain,
  request: GrantRequest,
  { governance, nowSeconds }: Omit<Issuance, "signers">,
): Promise<Grant> {
  requireCovered(domain, request, nowSeconds);
  const { layout } = domain;
  const statusIndex = await reserveIndex(layout, "grants");
  await coverIndex(layout.path, { signers: governance, nowSeconds }, "grants", statusIndex);
  return draftGrant(domain, request, statusIndex, nowSeconds);
}
