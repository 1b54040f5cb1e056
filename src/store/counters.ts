/** The rules of a TPM's counters between two quotes (DESIGN.md §5). */
import type { Counters } from "./contract.ts";
import { bytesOf, requireCount } from "./values.ts";

/** Counters, and this machine's time when they were quoted. */
export type Seen = Counters & { readonly seen: number };

/**
 * How much of the time that its clock tells has passed at least: TPM 2.0 Part 1 §36.3 lets it run
 * fast by 15 %, and an owner may adjust its rate by as much again (TPM2_ClockRateAdjust).
 */
const SHARE_MIN = 0.7;
/** Whole seconds are compared, and quote and reading of the time are apart. */
const SLACK_SECONDS = 10;

export function requireCounters(counters: Counters): void {
  const { resetCount, restartCount, clock, firmwareVersion } = counters;
  requireCount(resetCount, "resetCount");
  requireCount(restartCount, "restartCount");
  bytesOf(clock, "clock");
  bytesOf(firmwareVersion, "firmwareVersion");
}

/**
 * Within one resetCount the clock only rises; an unorderly reset may set it back by seconds
 * (DESIGN.md §5).
 */
export function clockFloor(held: Counters, offered: Counters): bigint {
  if (offered.resetCount > held.resetCount) return offered.clock;
  if (offered.resetCount < held.resetCount) return held.clock;
  return higher(held.clock, offered.clock);
}

/**
 * Whether the machine's time advanced by less than the TPM's clock says has passed. Who holds a
 * clock back keeps an old snapshot alive. The TPM counts only while it has power, so that the
 * other direction says nothing.
 */
export function isSlow(held: Seen, offered: Seen): boolean {
  if (offered.clock <= held.clock || offered.resetCount < held.resetCount) return false;
  const passedSeconds = Number(offered.clock - held.clock) / 1000;
  return offered.seen - held.seen < passedSeconds * SHARE_MIN - SLACK_SECONDS;
}

export function higher(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}
