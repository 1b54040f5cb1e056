/**
 * The runs that a log tells of, and which started which: an agent's work can be followed from its
 * origin. Reads leaves as they are; whether the log holds, verification.ts tells.
 */
import type { StoreReader } from "../store/contract.ts";
import { type Leaf, parseLeaf } from "./leaf.ts";

export interface LoggedRun {
  /** The request digest of its start, 32 bytes. */
  readonly runId: Uint8Array;
  readonly parentRun: Uint8Array | null;
  /** Element digest of the leaf of the chain that it ran under. */
  readonly chain: Uint8Array | null;
  /** Seconds since 1970. */
  readonly time: number;
  /** Null while no leaf tells of it. */
  readonly end: Leaf["exit"];
}

const PAGE = 1_000;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * Every run whose intent is in the log, in the order of the intents. Throws LogError where a leaf
 * is none.
 */
export async function loggedRuns(
  store: Pick<StoreReader, "leaves" | "tree">,
): Promise<LoggedRun[]> {
  const runs = new Map<string, LoggedRun>();
  const { size } = await store.tree();
  for (let from = 0; from < size; from += PAGE) {
    for (const { bytes } of await store.leaves(from, Math.min(PAGE, size - from))) {
      note(runs, parseLeaf(bytes));
    }
  }
  return [...runs.values()];
}

function note(runs: Map<string, LoggedRun>, leaf: Leaf): void {
  const { run: runId, parentRun, chain, time, exit } = leaf;
  if (runId === null) return;
  const known = runs.get(hex(runId));
  if (leaf.event === "intent") runs.set(hex(runId), { runId, parentRun, chain, time, end: null });
  else if (known !== undefined) runs.set(hex(runId), { ...known, end: exit });
}

export interface PlacedRun {
  /** 0 for a run that nobody here started. */
  readonly depth: number;
  readonly run: LoggedRun;
}

/** The runs as a tree in preorder; one whose parent is not among them stands at depth 0. */
export function runTree(runs: readonly LoggedRun[]): PlacedRun[] {
  const known = new Set(runs.map(({ runId }) => hex(runId)));
  const children = new Map<string, LoggedRun[]>();
  for (const run of runs) {
    const { parentRun } = run;
    const above = parentRun !== null && known.has(hex(parentRun)) ? hex(parentRun) : "";
    children.set(above, [...(children.get(above) ?? []), run]);
  }
  const placed: PlacedRun[] = [];
  // A stack instead of recursion: how long a line of runs is, nobody bounds.
  const waiting = (children.get("") ?? []).map((run) => ({ depth: 0, run })).reverse();
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    placed.push(next);
    const depth = next.depth + 1;
    const below = children.get(hex(next.run.runId)) ?? [];
    waiting.push(...below.map((run) => ({ depth, run })).reverse());
  }
  return placed;
}

/**
 * All runs of the tree that this one belongs to, from its origin on; none where the log does not
 * know it.
 */
export function familyOf(runs: readonly LoggedRun[], runId: Uint8Array): LoggedRun[] {
  const placed = runTree(runs);
  const at = placed.findIndex(({ run }) => hex(run.runId) === hex(runId));
  if (at < 0) return [];
  const first = placed.findLastIndex(({ depth }, i) => depth === 0 && i <= at);
  const next = placed.findIndex(({ depth }, i) => depth === 0 && i > at);
  return placed.slice(first, next < 0 ? placed.length : next).map(({ run }) => run);
}
