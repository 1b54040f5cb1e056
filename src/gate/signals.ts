import type { ForwardedSignal, Pending } from "./launch.ts";

const FORWARDED: readonly ForwardedSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/**
 * Passes SIGINT, SIGTERM and SIGHUP on to the job instead of ending the gate, which stays to record
 * the outcome. Returns what undoes it.
 */
export function forwardSignals(pending: Pending): () => void {
  const forward = (name: ForwardedSignal): void => pending.signal(name);
  for (const name of FORWARDED) process.on(name, forward);
  return () => {
    for (const name of FORWARDED) process.off(name, forward);
  };
}
