/**
 * Chains in the trust domain of world.ts: the agent delegates to a second one, that one to a third,
 * and so on. By default each link narrows nothing and the leaf's holder asks for the run, so that
 * the case is allowed:
 *
 *     await world.caseBytes(chain(world, [{}, { claims: { exp: world.now + 60 } }]))
 */
import type { Signer } from "../../src/wire/keys.ts";
import type { Grant, Link } from "../../src/wire/objects.ts";
import { seeded, testSigner } from "./keys.ts";
import type { CaseOverrides, Edits, World } from "./world.ts";

/** The holders of a chain by place, 0 for the grant's. */
const HOLDERS = [1, 2, 3, 4].map((place) => testSigner(`delegate ${place}`, "P-256"));
export const holderAt = (world: World, place: number): Signer =>
  place === 0 ? world.signers.agent : (HOLDERS[place - 1] ?? testSigner(`delegate ${place}`));

export interface LinkChange {
  readonly claims?: Partial<Link>;
  /** Who signs instead of the parent's holder. */
  readonly signer?: Signer;
  readonly edit?: Edits;
}

/**
 * The claims of a link at this depth that narrows nothing: what every element must say, and no
 * more.
 */
export function linkClaims(world: World, depth: number, parent: Uint8Array): Link {
  const { iss: _iss, sub, domain, iat, nbf, exp, governance } = world.grant();
  return {
    ...{ sub, domain, iat, nbf, exp, governance },
    iss: `delegate-${depth}@example.test`,
    cti: seeded(`cti ${depth}`, 16),
    cnf: { key: holderAt(world, depth).key },
    maxDepth: 4,
    parent,
    depth,
  };
}

/** A case over a grant and these links; the overrides are those of world.build. */
export function chain(
  world: World,
  changes: readonly LinkChange[],
  overrides: CaseOverrides = {},
): CaseOverrides {
  const links = changes.map((change, i) => {
    const signers = [change.signer ?? holderAt(world, i)] as const;
    const options = { signers, ...(change.edit && { edit: change.edit }) };
    return (parent: { readonly digest: Uint8Array }) =>
      world.make("link", { ...linkClaims(world, i + 1, parent.digest), ...change.claims }, options);
  });
  const grant: Partial<Grant> = { maxDepth: 4, ...overrides.grant };
  const proof = [holderAt(world, changes.length)] as const;
  return { ...overrides, grant, links, signers: { proof, ...overrides.signers } };
}
