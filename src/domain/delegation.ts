/**
 * Delegating: the holder of a chain's leaf signs a link that allows less. What is asked for is held
 * against the chain before anyone signs, so that a delegate hears at once what the core would deny
 * later (docs/wire-format.md, Chains). The core judges it all again.
 */
import { randomBytes } from "node:crypto";
import { compareBytes } from "../bytes.ts";
import { LIMITS } from "../limits.ts";
import type { Signer } from "../wire/keys.ts";
import { type Grant, type Link, parseSigned, signObject } from "../wire/objects.ts";
import { type Held, heldBy, type Leaf, leafOf, type UnverifiedChain } from "./chains.ts";
import { requireDigest } from "./creation.ts";
import { DomainError } from "./error.ts";
import { sameKey } from "./signers.ts";

/** What the link narrows; what is absent stays as the chain has it. */
export interface DelegationRequest {
  readonly issuer: string;
  /** Who will hold the link. */
  readonly holder: Link["cnf"];
  /** All arguments, argv[0] included. */
  readonly argv?: readonly Uint8Array[];
  /** The only variables to be kept, by name. */
  readonly variables?: readonly Uint8Array[];
  readonly callers?: readonly number[];
  readonly runtimeSeconds?: number;
  readonly uses?: number;
  /** Policies that must hold besides. */
  readonly furtherPolicies?: readonly string[];
  readonly nodes?: readonly Uint8Array[];
  readonly decision?: "plane";
  /** Seconds since 1970; as soon as possible where absent. */
  readonly notBefore?: number;
  /** Until the parent ends, where absent. */
  readonly lifetimeSeconds?: number;
  /** How often the link may be delegated in turn; not at all where absent. */
  readonly furtherDepth?: number;
  readonly ticket?: string;
  readonly attribution?: string;
}

export interface Delegated {
  readonly claims: Link;
  readonly digest: Uint8Array;
  /** The whole chain with the link at its end. */
  readonly file: Uint8Array;
}

function refuse(why: string): never {
  throw new DomainError("domain.input", why);
}

/**
 * The claims of the link. Throws DomainError `domain.input` where the core would deny a chain that
 * ends in it.
 */
export function draftLink(
  chain: UnverifiedChain,
  request: DelegationRequest,
  nowSeconds: number,
): Link {
  const held = heldBy(chain);
  const leaf = leafOf(chain);
  const { claims: parent } = leaf;
  const { ticket = null, attribution, decision, nodes } = request;
  const scope = narrowedScope(held, request);
  const policies = appendedPolicies(held, request.furtherPolicies ?? []);
  if (nodes !== undefined) requireNodes(held, nodes);
  return {
    iss: request.issuer,
    sub: parent.sub,
    domain: parent.domain,
    ...windowWithin(parent, request, nowSeconds),
    cti: new Uint8Array(randomBytes(16)),
    cnf: request.holder,
    governance: { ...parent.governance, ticket },
    parent: leaf.digest,
    ...depthBelow(leaf, request.furtherDepth ?? 0),
    ...(Object.keys(scope).length > 0 && { scope }),
    ...(policies !== null && { policies }),
    ...(nodes !== undefined && { audience: nodes.toSorted(compareBytes) }),
    ...(decision !== undefined && { decision }),
    ...(attribution !== undefined && { attribution }),
  };
}

/**
 * Signs the link with the leaf's key.
 *
 * @throws DomainError `domain.input` where it would be wider, `domain.signers` where the key is not
 * the leaf's holder; WireError `wire.shape` for a claim out of bounds.
 */
export async function delegate(
  chain: UnverifiedChain,
  request: DelegationRequest,
  signer: Signer,
  nowSeconds: number,
): Promise<Delegated> {
  const { cnf } = leafOf(chain).claims;
  if (!("key" in cnf)) {
    refuse(
      "The executing node holds this authorization: it proves itself by its quote and cannot sign.",
    );
  }
  if (!sameKey(cnf.key, signer.key)) {
    const message = "This key does not hold the authorization: only its holder can delegate it.";
    throw new DomainError("domain.signers", message);
  }
  const claims = draftLink(chain, request, nowSeconds);
  const link = await signObject("link", claims, [signer]);
  const digest = requireDigest(parseSigned("link", link).digest);
  return { claims, digest, file: new Uint8Array(Buffer.concat([...chain.elements, link])) };
}

function depthBelow({ depth, maxDepth }: Leaf, further: number): Pick<Link, "depth" | "maxDepth"> {
  const own = depth + 1;
  if (own > maxDepth)
    refuse("This authorization may not be delegated: it is as deep as it may be.");
  if (own + further > maxDepth) {
    refuse(`It may be delegated ${maxDepth - own} times more at most, not ${further}.`);
  }
  return { depth: own, maxDepth: further === 0 ? 0 : own + further };
}

type Window = Pick<Link, "iat" | "nbf" | "exp">;

function windowWithin(parent: Window, request: DelegationRequest, nowSeconds: number): Window {
  if (nowSeconds < parent.iat) refuse("The clock is behind the time at which this was issued.");
  if (nowSeconds >= parent.exp) refuse("The authorization has expired.");
  const nbf = request.notBefore ?? Math.max(nowSeconds, parent.nbf);
  if (nbf < nowSeconds) refuse("not-before lies in the past.");
  if (nbf < parent.nbf) refuse("It would begin before the authorization does.");
  const { lifetimeSeconds } = request;
  const exp = lifetimeSeconds === undefined ? parent.exp : nbf + lifetimeSeconds;
  if (exp > parent.exp) refuse("It would end after the authorization does.");
  if (nbf >= exp) refuse("It would end before it begins.");
  return { iat: nowSeconds, nbf, exp };
}

type LinkScope = NonNullable<Link["scope"]>;

function narrowedScope({ scope }: Held, request: DelegationRequest): LinkScope {
  const { argv, variables, callers, runtimeSeconds, uses } = request;
  if (argv !== undefined) requireArguments(scope.argv, argv);
  if (callers?.some((uid) => !scope.callers.includes(uid))) {
    refuse(`Callers may only be among ${scope.callers.join(", ")}.`);
  }
  if ((runtimeSeconds ?? 0) > scope.runtimeSeconds) {
    refuse(`The run time may be ${scope.runtimeSeconds} s at most.`);
  }
  if ((uses ?? 0) > scope.uses) refuse(`The uses may be ${scope.uses} at most.`);
  return {
    ...(argv && { argv: { form: "exact", values: argv } }),
    ...(variables && { environment: keptVariables(scope.environment ?? [], variables) }),
    ...(callers && { callers }),
    ...(runtimeSeconds !== undefined && { runtimeSeconds }),
    ...(uses !== undefined && { uses }),
  };
}

const isAmong = (bytes: Uint8Array, list: readonly Uint8Array[]): boolean =>
  list.some((one) => compareBytes(one, bytes) === 0);

function requireArguments(held: Grant["scope"]["argv"], argv: readonly Uint8Array[]): void {
  const { values } = held;
  if (argv.length !== values.length) {
    refuse(`The authorization is for ${values.length} arguments, argv[0] included.`);
  }
  for (const [i, argument] of argv.entries()) {
    const choices = held.form === "exact" ? held.values.slice(i, i + 1) : (held.values[i] ?? []);
    if (!isAmong(argument, choices)) refuse(`Argument ${i} is not among those authorized.`);
  }
}

type Environment = NonNullable<Grant["scope"]["environment"]>;

function keptVariables(held: Environment, names: readonly Uint8Array[]): Environment {
  const missing = names.find((name) => !held.some((one) => compareBytes(one.name, name) === 0));
  if (missing !== undefined) {
    refuse(`The variable ${Buffer.from(missing).toString()} is not authorized.`);
  }
  return held.filter(({ name }) => isAmong(name, names));
}

/** Null where nothing is appended. */
function appendedPolicies({ policies }: Held, further: readonly string[]): string[] | null {
  const added = further.filter((name) => !policies.includes(name));
  if (added.length === 0) return null;
  if (policies.length + added.length > LIMITS.policies) {
    refuse(`An authorization names ${LIMITS.policies} policies at most.`);
  }
  return [...policies, ...added];
}

function requireNodes({ audience }: Held, nodes: readonly Uint8Array[]): void {
  if (nodes.length === 0) refuse("Name at least one node.");
  if (typeof audience === "string") return; // The node must carry the label as well.
  if (!nodes.every((node) => isAmong(node, audience))) {
    refuse("A node is named that the authorization is not for.");
  }
}
