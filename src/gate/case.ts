/**
 * From what the gate holds and was handed to the bytes of one case. Lookups by untrusted evidence
 * are best effort: what does not parse is looked up under a digest or a Name of zeros, and the core
 * denies it for what it is.
 */
import { LIMITS } from "../limits.ts";
import type { Counters, Floors, ImaPrefix } from "../store/contract.ts";
import { parseCose } from "../wire/cose.ts";
import { jobDigest, objectDigest, requestDigest } from "../wire/digests.ts";
import { encodePlain, parseSigned } from "../wire/objects.ts";
import type { AttestedRequest, Materials } from "./evidence.ts";
import { skipEntries } from "./ima-list.ts";

const ZERO_DIGEST = new Uint8Array(32);
/** A Name that no TPM gives: algorithm 0. */
const ZERO_NAME = new Uint8Array(34);

/** What the evidence claims to be, read without verifying anything. */
export interface UnverifiedSubject {
  readonly akName: Uint8Array;
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
  materials: Materials,
  parentRun: Uint8Array | null,
): UnverifiedSubject {
  const [charter] = materials.charters;
  const elements = materials.elements.slice(0, LIMITS.elements).map(parseElement);
  const cnf = elements.at(-1)?.claims.cnf;
  return {
    akName: attempt(() => parseSigned("node", materials.node).claims.name) ?? ZERO_NAME,
    elements: elements.map((element) => element?.digest ?? ZERO_DIGEST),
    domain: attempt(() => charter && parseSigned("charter", charter).claims.domain) ?? null,
    snapshotDigest: attempt(() => parseSigned("snapshot", materials.snapshot).digest),
    heldByKey: cnf !== undefined && "key" in cnf,
    parentRun,
    policies:
      materials.policies.length === 0 ? null : attempt(() => materials.policies.map(policyDigest)),
  };
}

/** What the deciding verifier holds itself, beside what it looks up by the subject. */
export interface Held {
  readonly floors: Floors;
  readonly counters: Counters | null;
  /** What was proven of this machine's IMA list, under the subject's policies. */
  readonly ima: ImaPrefix | null;
  readonly uses: readonly number[];
  readonly nonce: Uint8Array;
  readonly nowSeconds: number;
  /**
   * The parent that the subject names, where that is a run under way here; else null, and the core
   * denies.
   */
  readonly parentRun: Uint8Array | null;
}

/** The digest that quote and proof answer; null where the subject does not parse so far. */
export function requestOf(
  subject: UnverifiedSubject,
  held: Held,
  job: Uint8Array,
): Uint8Array | null {
  const chain = subject.elements.at(-1);
  const { domain, snapshotDigest } = subject;
  if (chain === undefined || domain === null || snapshotDigest === null) return null;
  return requestDigest({
    purpose: "start",
    domain,
    akName: subject.akName,
    gateNonce: held.nonce,
    planeNonce: null,
    job: jobDigest(job),
    chain,
    snapshot: snapshotDigest,
    run: subject.parentRun,
  });
}

const NO_QUOTE: AttestedRequest = {
  attest: new Uint8Array(0),
  signature: new Uint8Array(0),
  index: 0,
  size: 1,
  path: [],
  pcrs: [],
};

/** The list behind what was proven before; the whole list where it is shorter than that. */
function resume(list: Uint8Array | null, prefix: ImaPrefix | null) {
  const at = list && prefix && skipEntries(list, prefix.entries);
  // A byte beyond the bound is enough for the core to see that it is too long.
  const most = LIMITS.imaBytes + 1;
  if (list === null || at === null) return { list: list?.subarray(0, most) ?? null, prefix: null };
  return { list: list.subarray(at, at + most), prefix };
}

/** Encodes the case. Throws WireError `wire.shape` where a file is larger than any case may be. */
export function encodeCase(
  subject: UnverifiedSubject,
  held: Held,
  materials: Materials,
  job: Uint8Array,
  attested: AttestedRequest | null,
  proof: Uint8Array | null,
): Uint8Array {
  const { floors } = held;
  const { attest, signature, index, size, path, pcrs, ima: list = null } = attested ?? NO_QUOTE;
  const ima = resume(list, held.ima);
  return encodePlain("case", {
    version: 1,
    context: {
      role: "gate",
      charter: floors.charterDigest,
      now: held.nowSeconds,
      floors: {
        charterNumber: floors.charterNumber,
        snapshotVersion: floors.snapshotVersion,
        snapshotDigest: floors.snapshotDigest,
        time: floors.timeSeconds,
      },
      nonce: held.nonce,
      node: { name: subject.akName, counters: held.counters },
      uses: subject.elements.map((element, i) => ({ element, count: held.uses[i] ?? 0 })),
      ima: ima.prefix && { ...ima.prefix, policies: subject.policies ?? [] },
      purpose: { kind: "start", parentRun: held.parentRun },
    },
    evidence: {
      charters: materials.charters,
      snapshot: materials.snapshot,
      statusList: materials.statusList,
      elements: materials.elements,
      proof,
      node: materials.node,
      job,
      policies: materials.policies,
      tpm: {
        type: "tpm2",
        slot: { attest, signature, index, size, path },
        pcrs,
        eventLog: null,
        ima: ima.list,
      },
      purpose: "start",
      run: subject.parentRun,
      gateNonce: held.nonce,
      planeNonce: null,
    },
    result: null,
  });
}
