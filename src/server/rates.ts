/** How often each caller asks: in every second, so many requests are served, and no more. */
import { monotonicMs } from "../clock.ts";

const WINDOW_MS = 1_000;
/** Beyond it the caller counted first is forgotten: nobody may fill the memory. */
const CALLERS_MAX = 10_000;
const GROUPS = 8;

export class Rates {
  readonly #max: number;
  readonly #clockMs: () => number;
  readonly #counts = new Map<string, number>();
  #began = -Infinity;

  constructor(maxPerSecond: number, clockMs = monotonicMs) {
    this.#max = maxPerSecond;
    this.#clockMs = clockMs;
  }

  /** Counts a request from this address; false where it is one too many. */
  admits(address: string): boolean {
    const now = this.#clockMs();
    if (now - this.#began >= WINDOW_MS) {
      this.#counts.clear();
      this.#began = now;
    }
    const caller = callerOf(address);
    const count = (this.#counts.get(caller) ?? 0) + 1;
    this.#counts.set(caller, count);
    if (this.#counts.size > CALLERS_MAX) {
      const [first] = this.#counts.keys();
      if (first !== undefined) this.#counts.delete(first);
    }
    return count <= this.#max;
  }
}

/**
 * Who holds an address of IPv6 holds all of its network of 64 bits (RFC 6177 §2), and could ask by
 * each. `address` is as the system writes it (RFC 5952).
 */
export function callerOf(address: string): string {
  if (!address.includes(":")) return address;
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [head = [], tail = []] = address
    .split("::")
    .map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = Array<string>(Math.max(0, GROUPS - head.length - tail.length)).fill("0");
  return [...head, ...zeros, ...tail].slice(0, GROUPS / 2).join(":");
}
