/**
 * A store whose n-th write fails: lost, or done and yet reported as failed. The rest is the store
 * beneath.
 */
import { type Store, StoreError, type Transaction } from "../../src/store/contract.ts";

export type Fault = "lost" | "reported";

const WRITES = [
  "raiseFloors",
  "raiseCounters",
  "setAnchor",
  "raiseImaPrefix",
  "claimUses",
  "openRun",
  "closeRun",
  "appendLeaves",
  "putHead",
] as const;

export interface FaultyStore extends Store {
  /** How many writes were begun so far; a commit is one. */
  readonly writes: () => number;
}

/** `at` counts writes from 0, the commit of each transaction included. Each fault strikes once. */
export function faultyStore(store: Store, at: number, fault: Fault): FaultyStore {
  let count = 0;
  const struck = async <T>(write: () => Promise<T>): Promise<T> => {
    const fails = count++ === at;
    if (fails && fault === "lost") throw new StoreError("store.failed", "injected: lost");
    const result = await write();
    if (fails) throw new StoreError("store.failed", "injected: done, reported as failed");
    return result;
  };
  const wrap = (transaction: Transaction): Transaction =>
    new Proxy(transaction, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        const call = (...parameters: unknown[]) => value.apply(target, parameters);
        return WRITES.some((write) => write === name)
          ? (...parameters: unknown[]) => struck(() => call(...parameters))
          : call;
      },
    });
  return {
    writes: () => count,
    floors: () => store.floors(),
    counters: (name) => store.counters(name),
    anchor: () => store.anchor(),
    imaPrefix: (name, policies) => store.imaPrefix(name, policies),
    uses: (digests) => store.uses(digests),
    holdings: (subjects) => store.holdings(subjects),
    openRuns: () => store.openRuns(),
    tree: () => store.tree(),
    leaves: (from, number) => store.leaves(from, number),
    heads: (from, number) => store.heads(from, number),
    lastHead: () => store.lastHead(),
    close: () => store.close(),
    async transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
      // A lost commit undoes what was done; a reported one is there.
      let fails = false;
      const result = await store.transact(async (transaction) => {
        const value = await work(wrap(transaction));
        fails = count++ === at;
        if (fails && fault === "lost") throw new StoreError("store.failed", "injected: lost");
        return value;
      });
      if (fails) throw new StoreError("store.failed", "injected: done, reported as failed");
      return result;
    },
  };
}
