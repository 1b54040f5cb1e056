/** A case in which the plane decides: its own context around evidence bytes as they arrived. */
import type { Counters, Floors } from "../store/contract.ts";
import { encode } from "../wire/cbor.ts";
import { encodePlain } from "../wire/objects.ts";
import type { UnverifiedSubject } from "../wire/subject.ts";

export type Subject = Pick<UnverifiedSubject, "akName" | "elements" | "parentRun">;

/** What the plane holds itself. */
export interface Held {
  /** Digest of the charter from which governance is judged. */
  readonly pin: Uint8Array;
  readonly floors: Floors;
  readonly counters: Counters | null;
  readonly uses: readonly number[];
  readonly nonce: Uint8Array;
  readonly nowSeconds: number;
}

/** `[1, ` and `, null]` around context and evidence. */
const HEAD = encode([1, null, null, null]).subarray(0, 2);
const NO_RESULT = encode(null);

/**
 * The evidence stands as it was sent, so that gate and plane judge the same bytes; the core reads
 * the whole, and denies what does not end where it should.
 */
export function encodeCase(subject: Subject, held: Held, evidence: Uint8Array): Uint8Array {
  const { floors } = held;
  const context = encodePlain("context", {
    role: "plane",
    charter: held.pin,
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
    ima: null,
    // Whether that run is under way is known to its gate alone; the plane binds what it was told.
    purpose: { kind: "start", parentRun: subject.parentRun },
  });
  return Buffer.concat([HEAD, context, evidence, NO_RESULT]);
}
