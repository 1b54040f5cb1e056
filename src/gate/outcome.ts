import { EXIT } from "./exit-codes.ts";

/** How a job ended. */
export type Outcome =
  | { readonly kind: "exited"; readonly code: number }
  /**
   * `runtime`: the gate killed it at its limit. Signal 9 without that also stands for a waiter that
   * was killed.
   */
  | { readonly kind: "signalled"; readonly signal: number; readonly runtime: boolean }
  /** Released, but the kernel did not start it. Nothing of it ran. */
  | { readonly kind: "not-executable"; readonly code: 126 | 127; readonly reason: string };

/**
 * The gate's exit code for a job that was admitted: its own, 128+n for signal n, 126 or 127 as a
 * shell does.
 */
export function exitCodeOf(outcome: Outcome): number {
  return outcome.kind === "signalled" ? EXIT.signal + outcome.signal : outcome.code;
}
