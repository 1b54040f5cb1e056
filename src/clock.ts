/** The only readers of the system's clocks. */
import { readFileSync } from "node:fs";

/** Seconds since 1970, whole; the wall clock, which its owner can set to anything. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** Milliseconds on a clock that never goes back; only differences mean anything. */
export function monotonicMs(): number {
  return performance.now();
}

/**
 * CLOCK_BOOTTIME in ms: it never goes back, does not follow the wall clock, and counts while the
 * machine is suspended, which monotonicMs does not. Deadlines are absolute values of this clock.
 *
 * Read from /proc/uptime (proc_uptime(5)), which truncates to 10 ms: what is derived from it ends
 * up to 10 ms early, never late. Throws where /proc is not mounted.
 */
export function boottimeMs(): number {
  const seconds = /^(\d+)\.(\d\d) /.exec(readFileSync("/proc/uptime", "latin1"));
  if (seconds === null) throw new Error("/proc/uptime does not hold a time");
  return Number(seconds[1]) * 1000 + Number(seconds[2]) * 10;
}
