/** The only readers of the system's clocks. */
import { openSync, readSync } from "node:fs";

/** Milliseconds since 1970; the wall clock, which its owner can set to anything. */
export function nowMs(): number {
  return Date.now();
}

/** The same in whole seconds, as everything that is signed or judged counts. */
export function nowSeconds(): number {
  return Math.floor(nowMs() / 1000);
}

/** Milliseconds on a clock that never goes back; only differences mean anything. */
export function monotonicMs(): number {
  return performance.now();
}

/** Kept open: a plane reads it for every nonce. */
let uptime: number | null = null;
const line = Buffer.alloc(64);

/**
 * CLOCK_BOOTTIME in ms: it never goes back, does not follow the wall clock, and counts while the
 * machine is suspended, which monotonicMs does not. Deadlines are absolute values of this clock.
 *
 * Read from /proc/uptime (proc_uptime(5)), which truncates to 10 ms: what is derived from it ends
 * up to 10 ms early, never late. Throws where /proc is not mounted.
 */
export function boottimeMs(): number {
  uptime ??= openSync("/proc/uptime", "r");
  const length = readSync(uptime, line, 0, line.length, 0);
  const seconds = /^(\d+)\.(\d\d) /.exec(line.toString("latin1", 0, length));
  if (seconds === null) throw new Error("/proc/uptime does not hold a time");
  return Number(seconds[1]) * 1000 + Number(seconds[2]) * 10;
}
