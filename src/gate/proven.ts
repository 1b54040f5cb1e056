/** What a verdict leaves behind: floors and counters for the decisions after it. */
import type { Allowed, Verdict } from "../core/index.ts";
import type { Proven } from "../log/journal.ts";

/** Floors and counters that the core itself verified; null where it verified no snapshot. */
export function provenBy(verdict: Verdict, seenSeconds: number): Proven | null {
  const { floors, counters, ima, request } = verdict;
  if (floors === null) return null;
  return {
    floors: {
      charterDigest: floors.charterDigest,
      charterNumber: floors.charterNumber,
      snapshotVersion: floors.snapshotVersion,
      snapshotDigest: floors.snapshotDigest,
      timeSeconds: floors.signedTime,
    },
    counters: counters && {
      akName: counters.akName,
      values: counters,
      seenSeconds,
      ima: ima && request && { policies: request.policies, ...ima },
    },
  };
}

export function requireProven(allowed: Allowed, seenSeconds: number): Proven {
  const proven = provenBy(allowed, seenSeconds);
  if (proven === null) throw new TypeError("An Allowed without verified floors cannot be.");
  return proven;
}
