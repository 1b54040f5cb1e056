/** The only readers of the system's clocks. */

/** Seconds since 1970, whole; the wall clock, which its owner can set to anything. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** Milliseconds on a clock that never goes back; only differences mean anything. */
export function monotonicMs(): number {
  return performance.now();
}
