/** What a plane needs to enroll nodes: an enroller key at hand, roots, and the domain's register. */

import { compareBytes } from "../bytes.ts";
import type { Domain } from "../domain/domain.ts";
import { numbersIn, readBounded } from "../domain/files.ts";
import { ISSUED_EXTENSION } from "../domain/layout.ts";
import { coverIndex, revoke } from "../domain/publication.ts";
import { keepIssued, reserveIndex } from "../domain/register.ts";
import { signersAtHand } from "../domain/signers.ts";
import { Enroller } from "../enroll/index.ts";
import { LIMITS } from "../limits.ts";
import type { EnrollmentParts, NodeRegister } from "../plane/index.ts";
import type { Store } from "../store/contract.ts";
import { type NodeCredential, parseSigned } from "../wire/objects.ts";
import { type CertificateOptions, certificatesOf } from "./certificates.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";
import { publicationOf } from "./publishing.ts";

export interface EnrollOptions extends CertificateOptions {
  readonly nodeLifetime?: number;
}

const YEAR_SECONDS = 365 * 86_400;

/** Null where no root is trusted, or no enroller key is here: then the plane enrolls nobody. */
export async function enrollmentOf(
  home: Home,
  domain: Domain,
  store: Store,
  options: EnrollOptions,
): Promise<EnrollmentParts | null> {
  const [signer] = await signersAtHand(domain.layout, "enroller");
  const certificates = await certificatesOf(options);
  const trusts = certificates.roots.length > 0 || certificates.allowedEks.size > 0;
  if (signer === undefined || !trusts) return null;
  return {
    enroller: new Enroller({ domain: domain.name, signer, ...certificates }),
    register: registerOf(home, domain),
    store,
    lifetimeSeconds: credentialSeconds(domain, "--node-lifetime", options.nodeLifetime),
  };
}

/** How long a credential is valid: as asked by this option, else a year, if the charter allows it. */
export function credentialSeconds(domain: Domain, option: string, asked?: number): number {
  const { nodeSeconds } = domain.charter.object.claims.bounds;
  if (asked === undefined) return Math.min(YEAR_SECONDS, nodeSeconds);
  if (asked <= nodeSeconds) return asked;
  throw new UsageError(
    `${option}: the charter allows ${nodeSeconds} s; every gate would deny a longer credential.`,
  );
}

function registerOf(home: Home, { layout }: Domain): NodeRegister {
  /** The newest credential of a node, revoked or not. */
  const newestOf = async (ueid: Uint8Array): Promise<NodeCredential | null> => {
    const numbers = await numbersIn(layout.nodes, ISSUED_EXTENSION.nodes);
    for (const index of numbers.reverse()) {
      const bytes = await readBounded(layout.issuedFile("nodes", index), LIMITS.policyBytes);
      if (bytes === null || bytes.length === 0) continue;
      const { claims } = parseSigned("node", bytes);
      if (compareBytes(claims.ueid, ueid) === 0) return claims;
    }
    return null;
  };
  return {
    // Of a revoked one, too: another key takes a token that may replace.
    enrolled: newestOf,
    async reserve() {
      const index = await reserveIndex(layout, "nodes");
      await coverIndex(home.path, await publicationOf(home, {}), "nodes", index);
      return index;
    },
    async keep(index, credential) {
      // A node has one credential at a time; who is interrupted in between enrolls again.
      const old = await newestOf(parseSigned("node", credential).claims.ueid);
      if (old !== null) {
        const revoked = [{ kind: "nodes", index: old.statusIndex }] as const;
        await revoke(home.path, await publicationOf(home, {}), revoked);
      }
      await keepIssued(layout, "nodes", index, credential);
    },
  };
}
