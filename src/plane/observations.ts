/**
 * What the plane shows of its decisions: the last ones, the last of each node, and how many of each
 * code in each of the last minutes. All of it bounded, in memory, and no part of any decision.
 */
import type { VerifiedCounters } from "../core/index.ts";

export interface Observed {
  /** Seconds since 1970. */
  readonly time: number;
  /** Null where the plane agreed. */
  readonly code: string | null;
  /** As the evidence states it, in hex; null where no credential was readable. */
  readonly ueid: string | null;
  /** Of a quote that is the node's; null else. */
  readonly counters: VerifiedCounters | null;
  readonly leaf: number;
}

const LAST_MAX = 256;
const NODES_MAX = 16_384;
const MINUTES = 60;
export const ALLOWED = "allowed";

export class Observations {
  readonly #last: Observed[] = [];
  /** The newest by ueid, whoever sent it. */
  readonly #nodes = new Map<string, Observed>();
  /** By ueid, of quotes alone that are the node's: nobody else can take its place here. */
  readonly #counters = new Map<string, VerifiedCounters>();
  /** Minute since 1970 to counts by code. */
  readonly #minutes = new Map<number, Map<string, number>>();
  readonly #listeners = new Set<(observed: Observed) => void>();
  readonly #totals = new Map<string, number>();

  add(observed: Observed): void {
    this.#last.push(observed);
    if (this.#last.length > LAST_MAX) this.#last.shift();
    const { ueid, counters } = observed;
    if (ueid !== null) remember(this.#nodes, ueid, observed);
    if (ueid !== null && counters !== null) remember(this.#counters, ueid, counters);
    const code = observed.code ?? ALLOWED;
    this.#totals.set(code, (this.#totals.get(code) ?? 0) + 1);
    this.#count(Math.floor(observed.time / 60), code);
    for (const listener of this.#listeners) listener(observed);
  }

  #count(minute: number, code: string): void {
    const counts = this.#minutes.get(minute) ?? new Map<string, number>();
    counts.set(code, (counts.get(code) ?? 0) + 1);
    this.#minutes.set(minute, counts);
    for (const old of this.#minutes.keys()) {
      if (old <= minute - MINUTES) this.#minutes.delete(old);
    }
  }

  /** Oldest first. */
  last(): readonly Observed[] {
    return [...this.#last];
  }

  lastOf(ueid: string): Observed | null {
    return this.#nodes.get(ueid) ?? null;
  }

  /** Of the last quote that is this node's. */
  countersOf(ueid: string): VerifiedCounters | null {
    return this.#counters.get(ueid) ?? null;
  }

  /** Since this process began, by code; agreements under ALLOWED. */
  totals(): ReadonlyMap<string, number> {
    return this.#totals;
  }

  /** Counts by code of each minute that has any, ascending. */
  minutes(): readonly { readonly minute: number; readonly counts: Record<string, number> }[] {
    return [...this.#minutes]
      .sort(([a], [b]) => a - b)
      .map(([minute, counts]) => ({ minute, counts: Object.fromEntries(counts) }));
  }

  /** Calls back for each decision from now on; returns what ends it. */
  listen(listener: (observed: Observed) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** As the newest; beyond the bound the oldest is forgotten. */
function remember<T>(known: Map<string, T>, ueid: string, value: T): void {
  known.delete(ueid);
  known.set(ueid, value);
  if (known.size <= NODES_MAX) return;
  const [oldest] = known.keys();
  if (oldest !== undefined) known.delete(oldest);
}
