/**
 * A chain as people handle it: one file, in which a grant comes first and each link after the
 * element that it was delegated from. Read without verifying anything; only the core verifies.
 */
import { LIMITS } from "../limits.ts";
import { splitCose } from "../wire/cose.ts";
import {
  type Grant,
  type Link,
  parseSigned,
  type UnverifiedGrant,
  type UnverifiedLink,
} from "../wire/objects.ts";
import { requireDigest } from "./creation.ts";
import { DomainError } from "./error.ts";

export interface UnverifiedChain {
  readonly grant: UnverifiedGrant;
  readonly links: readonly UnverifiedLink[];
  /** Every element's bytes, root first. */
  readonly elements: readonly Uint8Array[];
}

/** The bytes of each element of a chain's file. Throws WireError where the file is none. */
export function splitChain(file: Uint8Array): Uint8Array[] {
  return splitCose(file);
}

/**
 * Throws WireError where an element does not parse, DomainError `domain.input` where they are too
 * many.
 */
export function parseChain(file: Uint8Array): UnverifiedChain {
  const elements = splitChain(file);
  const [grant, ...links] = elements;
  if (grant === undefined || elements.length > LIMITS.elements) {
    const most = LIMITS.elements - 1;
    throw new DomainError("domain.input", `A chain is one grant and at most ${most} links.`);
  }
  return {
    grant: parseSigned("grant", grant),
    links: links.map((link) => parseSigned("link", link)),
    elements,
  };
}

/** What the chain allows together: each claim and field as the innermost element states it. */
export interface Held {
  readonly scope: Grant["scope"];
  readonly policies: readonly string[];
  readonly audience: Grant["audience"];
  readonly decision: NonNullable<Grant["decision"]>;
}

/** An element that is silent leaves a field as it stands above. */
export function heldBy({ grant, links }: UnverifiedChain): Held {
  const { scope, policies, audience, decision = "local" } = grant.claims;
  let held: Held = { scope, policies, audience, decision };
  for (const { claims } of links) {
    held = {
      scope: { ...held.scope, ...statedFields(claims.scope) },
      policies: claims.policies ?? held.policies,
      audience: claims.audience ?? held.audience,
      decision: claims.decision ?? held.decision,
    };
  }
  return held;
}

/** The fields that a link's scope states. */
function statedFields(scope: Link["scope"]): Partial<Grant["scope"]> {
  const present = Object.entries(scope ?? {}).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present);
}

/** Every policy that some element names, in their order. */
export function policiesOf({ grant, links }: UnverifiedChain): string[] {
  const named = [grant.claims, ...links.map(({ claims }) => claims)];
  return [...new Set(named.flatMap(({ policies = [] }) => policies))];
}

/** The element that the next link would be delegated from. */
export interface Leaf {
  readonly claims: Grant | Link;
  readonly digest: Uint8Array;
  /** 0 for a grant. */
  readonly depth: number;
  /** How deep its descendants may stand. A link that does not say may have none. */
  readonly maxDepth: number;
}

export function leafOf({ grant, links }: UnverifiedChain): Leaf {
  const last = links.at(-1);
  const { claims, digest } = last ?? grant;
  return {
    claims,
    digest: requireDigest(digest),
    depth: last?.claims.depth ?? 0,
    maxDepth: claims.maxDepth ?? 0,
  };
}
