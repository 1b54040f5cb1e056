/**
 * What evidence claims to be, read without verifying anything, so that the deciding host can look
 * up what it holds itself. Best effort: what does not parse is looked up under a digest or a Name
 * of zeros, and the core denies it for what it is.
 */
import { LIMITS } from "../limits.ts";
import { parseCose } from "./cose.ts";
import { type DigestedKind, objectDigest } from "./digests.ts";
import { type Evidence, type NodeCredential, parseSigned } from "./objects.ts";

export const ZERO_DIGEST = new Uint8Array(32);
/** A Name that no TPM gives: algorithm 0. */
export const ZERO_NAME = new Uint8Array(34);

/** The signed objects of a request. */
export type Presented = Pick<Evidence, "charters" | "snapshot" | "elements" | "node" | "policies">;

export interface UnverifiedSubject {
  readonly akName: Uint8Array;
  /** Null where the credential does not parse. */
  readonly node: NodeCredential | null;
  /** Element digests, root first. */
  readonly elements: readonly Uint8Array[];
  /**
   * The domain of the first charter, and the snapshot's digest; null where a part does not parse.
   */
  readonly domain: string | null;
  readonly snapshotDigest: Uint8Array | null;
  /** Whether a key holds the chain's leaf, instead of the executing node. */
  readonly heldByKey: boolean;
  /** The run that this one says it was started by. */
  readonly parentRun: Uint8Array | null;
  /** Digests of the policies; null where one does not parse, or there is none. */
  readonly policies: readonly Uint8Array[] | null;
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    // What does not parse is the core's to name: here it only has no digest to look up.
    return null;
  }
}

/** Without its claims: a list of allowed files has thousands of them. */
function digestOf(kind: DigestedKind, bytes: Uint8Array): Uint8Array {
  const { body, payload } = parseCose(bytes);
  return objectDigest(kind, { body, payload });
}

/** Grants and links are named alike. */
export function elementDigest(bytes: Uint8Array): Uint8Array {
  return attempt(() => digestOf("grant", bytes)) ?? ZERO_DIGEST;
}

/** What the leaf of the chain says of its holder. */
function holderOf({ elements }: Presented) {
  const last = elements.slice(0, LIMITS.elements).at(-1);
  if (last === undefined) return undefined;
  const kind = elements.length === 1 ? "grant" : "link";
  return attempt(() => parseSigned(kind, last).claims.cnf) ?? undefined;
}

export function parseNode(credential: Uint8Array): NodeCredential | null {
  return attempt(() => parseSigned("node", credential).claims);
}

export function parseSubject(
  presented: Presented,
  parentRun: Uint8Array | null,
): UnverifiedSubject {
  const [charter] = presented.charters;
  const cnf = holderOf(presented);
  const node = parseNode(presented.node);
  return {
    akName: node?.name ?? ZERO_NAME,
    node,
    elements: presented.elements.slice(0, LIMITS.elements).map(elementDigest),
    domain: attempt(() => charter && parseSigned("charter", charter).claims.domain) ?? null,
    snapshotDigest: attempt(() => parseSigned("snapshot", presented.snapshot).digest),
    heldByKey: cnf !== undefined && "key" in cnf,
    parentRun,
    policies:
      presented.policies.length === 0
        ? null
        : attempt(() => presented.policies.map((policy) => digestOf("policy", policy))),
  };
}
