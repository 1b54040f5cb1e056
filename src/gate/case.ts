/** From what the gate holds and was handed to the bytes of one case. */
import { LIMITS } from "../limits.ts";
import type { Counters, Floors, ImaPrefix } from "../store/contract.ts";
import { jobDigest, requestDigest } from "../wire/digests.ts";
import { type Evidence, encodePlain } from "../wire/objects.ts";
import { parseSubject, type UnverifiedSubject } from "../wire/subject.ts";
import type { AttestedRequest, Materials } from "./evidence.ts";
import { skipEntries } from "./ima-list.ts";

export { parseSubject, type UnverifiedSubject };

/** What the deciding verifier holds itself, beside what it looks up by the subject. */
export interface Held {
  readonly floors: Floors;
  readonly counters: Counters | null;
  /** What was proven of this machine's IMA list, under the subject's policies. */
  readonly ima: ImaPrefix | null;
  readonly uses: readonly number[];
  readonly nonce: Uint8Array;
  /** The nonce that a plane issued for this request; null where none is asked. */
  readonly planeNonce: Uint8Array | null;
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
    planeNonce: held.planeNonce,
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

/** What everyone who judges this request judges, and where its IMA list goes on. */
export interface Gathered {
  readonly evidence: Evidence;
  readonly prefix: ImaPrefix | null;
}

/** Gate and plane judge the same bytes; a plane is shown the whole IMA list. */
export function evidenceOf(
  subject: UnverifiedSubject,
  held: Held,
  materials: Materials,
  job: Uint8Array,
  attested: AttestedRequest | null,
  proof: Uint8Array | null,
): Gathered {
  const {
    attest,
    signature,
    index,
    size,
    path,
    pcrs,
    ima = null,
    eventLog = null,
  } = attested ?? NO_QUOTE;
  const slot = { attest, signature, index, size, path };
  const { list, prefix } = resume(ima, held.ima);
  const evidence: Evidence = {
    charters: materials.charters,
    snapshot: materials.snapshot,
    statusList: materials.statusList,
    elements: materials.elements,
    proof,
    node: materials.node,
    job,
    policies: materials.policies,
    tpm: { type: "tpm2", slot, pcrs, eventLog, ima: list },
    purpose: "start",
    run: subject.parentRun,
    gateNonce: held.nonce,
    planeNonce: held.planeNonce,
  };
  return { evidence, prefix };
}

/** Encodes the case. Throws WireError `wire.shape` where a file is larger than any case may be. */
export function encodeCase(
  subject: UnverifiedSubject,
  held: Held,
  { evidence, prefix }: Gathered,
  result: Uint8Array | null,
): Uint8Array {
  const { floors } = held;
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
      ima: prefix && { ...prefix, policies: subject.policies ?? [] },
      purpose: { kind: "start", parentRun: held.parentRun },
    },
    evidence,
    result,
  });
}
