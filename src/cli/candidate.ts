/** The core's word on what is about to be published: signatures one by one, then all together. */
import { type Code, type Core, type Family, familyOf, type PublicKey } from "../core/index.ts";
import type { SignatureCheck } from "../domain/collection.ts";
import type { Candidate } from "../domain/ratification.ts";
import type { CoseKey } from "../wire/objects.ts";
import { caseAround } from "./case-around.ts";
import { UsageError } from "./error.ts";
import { denialShape } from "./print.ts";

type Scheme = Parameters<Core["verifySignature"]>[0]["scheme"];

const SCHEMES: { readonly [curve in CoseKey["crv"]]: Scheme } = {
  Ed25519: { type: "ed25519" },
  "P-256": { type: "ecdsa", curve: "P-256", hash: "sha256" },
  "P-384": { type: "ecdsa", curve: "P-384", hash: "sha384" },
};

const coordinatesOf = (key: CoseKey): PublicKey =>
  key.kty === "OKP" ? { x: key.x } : { x: key.x, y: key.y };

export function signatureCheck(core: Core): SignatureCheck {
  return (key, message, signature) =>
    core.verifySignature({
      scheme: SCHEMES[key.crv],
      key: coordinatesOf(key),
      message,
      signature,
    });
}

const GOVERNANCE: readonly Family[] = ["governance"];
const WITH_CHAIN: readonly Family[] = ["governance", "artifact", "signature", "window"];

/**
 * Throws UsageError where the core would deny the candidate, judged from the charter in force on.
 * A grant may wait for its time, and is issued under governance as it is, frozen or expired too.
 */
export async function judgeCandidate(core: Core, candidate: Candidate): Promise<void> {
  const { domain, charters, snapshot, status, elements } = candidate;
  const { charter, snapshot: current } = domain;
  const floors = {
    charterDigest: charter.digest,
    charterNumber: charter.object.claims.number,
    snapshotVersion: current.object.claims.version,
    snapshotDigest: current.digest,
    timeSeconds: 0,
  };
  const empty = new Uint8Array(0);
  const materials = { charters, snapshot, statusList: status, elements, node: empty, policies: [] };
  const bytes = await caseAround(materials, floors, async (all) => all.map(() => 0));
  const families = elements.length > 0 ? WITH_CHAIN : GOVERNANCE;
  const { codes } = core.decide(bytes, { explain: true });
  const code = codes.find((one) => families.includes(familyOf(one)) && !isAllowed(one, elements));
  if (code === undefined) return;
  const { why, next } = denialShape(code);
  throw new UsageError(`Every gate would deny it, ${code}: ${why} ${next} Nothing was published.`);
}

/** What is published may freeze, or be a grant for later, under a snapshot that has expired. */
function isAllowed(code: Code, elements: readonly Uint8Array[]): boolean {
  if (code === "governance.frozen") return true;
  return elements.length > 0 && (code === "governance.expired" || code === "window.not-yet");
}
