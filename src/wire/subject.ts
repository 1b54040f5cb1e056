/**
 * What evidence claims to be, read without verifying anything, so that the deciding host can look
 * up what it holds itself. Best effort: what does not parse is looked up under a digest or a Name
 * of zeros, and the core denies it for what it is.
 */
import { LIMITS } from "../limits.ts";
import { parseCose } from "./cose.ts";
import { objectDigest } from "./digests.ts";
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

/** The grant comes first, and links after it. */
const parseElement = (bytes: Uint8Array, place: number) =>
  attempt(() => parseSigned(place === 0 ? "grant" : "link", bytes));

/** Without its claims: a list of allowed files has thousands of them. */
function policyDigest(bytes: Uint8Array): Uint8Array {
  const { body, payload } = parseCose(bytes);
  return objectDigest("policy", { body, payload });
}

export function parseSubject(
  presented: Presented,
  parentRun: Uint8Array | null,
): UnverifiedSubject {
  const [charter] = presented.charters;
  const elements = presented.elements.slice(0, LIMITS.elements).map(parseElement);
  const cnf = elements.at(-1)?.claims.cnf;
  const node = attempt(() => parseSigned("node", presented.node).claims);
  return {
    akName: node?.name ?? ZERO_NAME,
    node,
    elements: elements.map((element) => element?.digest ?? ZERO_DIGEST),
    domain: attempt(() => charter && parseSigned("charter", charter).claims.domain) ?? null,
    snapshotDigest: attempt(() => parseSigned("snapshot", presented.snapshot).digest),
    heldByKey: cnf !== undefined && "key" in cnf,
    parentRun,
    policies:
      presented.policies.length === 0 ? null : attempt(() => presented.policies.map(policyDigest)),
  };
}
