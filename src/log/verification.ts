/**
 * Verifies the log from its first leaf, as an auditor who trusts nothing but the log's public key:
 *
 * 1. every index from 0 on has a leaf, and nothing lies beyond the end;
 * 2. each leaf's bytes give the hash stored with them, and parse strictly;
 * 3. a head lies over every leaf: over a run's own, none but it; decisions that a plane settled
 *   together share the one over the last of them. Each is signed by the log's key for this origin,
 *   and its root is the root recomputed so far;
 * 4. the state kept for appending is that of the leaves;
 * 5. each outcome or abortion closes one intent that stands before it, once;
 * 6. the log extends an earlier head that the auditor kept, if one is given.
 *
 * Without 6, a log that was cut and whose store was cut with it verifies: only a head kept
 * elsewhere shows that. The holder of the log key can rewrite everything (DESIGN.md §9, Log).
 */
import type { StoredHead, StoredLeaf, StoreReader } from "../store/contract.ts";
import { type VerifiedCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import { LogError, LogTampered, type TamperCode } from "./error.ts";
import { type Leaf, parseLeaf } from "./leaf.ts";
import {
  append,
  EMPTY_FRONTIER,
  EMPTY_ROOT,
  encodeFrontier,
  type Frontier,
  leafHash,
  rootOf,
} from "./merkle.ts";
import type { NoteVerifier } from "./note.ts";

const PAGE = 500;

export interface LogVerification {
  readonly origin: string;
  readonly verifier: NoteVerifier;
  /** A checkpoint (the signed note) that was copied from this log earlier. */
  readonly earlier?: Uint8Array;
}

export interface VerifiedLog {
  readonly size: number;
  readonly root: Uint8Array;
  /** How many leaves of each kind. */
  readonly events: { readonly [event in Leaf["event"]]: number };
  /** Indexes of intents without an outcome, ascending. */
  readonly open: readonly number[];
  /** How many runs a mark stands by, such as break-glass, by mark. */
  readonly marks: ReadonlyMap<string, number>;
}

/**
 * Leaves may be appended meanwhile; what was there at the end is verified.
 *
 * @throws LogTampered with the first thing that is wrong; LogError where `earlier` is no checkpoint
 * of this log's key; StoreError where the store cannot be read.
 */
export async function verifyLog(
  reader: StoreReader,
  { origin, verifier, earlier }: LogVerification,
): Promise<VerifiedLog> {
  const anchor = earlier === undefined ? null : verifyCheckpoint(earlier, origin, [verifier]);
  const replay = new Replay(origin, verifier, anchor);
  let tree = await reader.tree();
  for (;;) {
    while (replay.size < tree.size) {
      const count = Math.min(PAGE, tree.size - replay.size);
      const leaves = await reader.leaves(replay.size, count);
      const heads = await reader.heads(replay.size + 1, count);
      replay.take(leaves, heads, count, tree.size);
    }
    const surplus = await reader.leaves(tree.size, 1);
    const head = await reader.lastHead();
    const later = await reader.tree();
    if (later.size === tree.size) {
      replay.finish(tree.frontier, surplus.length > 0 || (head?.size ?? 0) > tree.size);
      return replay.result();
    }
    if (later.size < tree.size) throw tampered("log.tree", later.size, "The log became shorter.");
    tree = later;
  }
}

class Replay {
  readonly #origin: string;
  readonly #verifier: NoteVerifier;
  readonly #anchor: VerifiedCheckpoint | null;
  #frontier: Frontier = EMPTY_FRONTIER;
  readonly #events = { denied: 0, intent: 0, outcome: 0, checked: 0, aborted: 0 };
  readonly #marks = new Map<string, number>();
  /** Run ids in hex of intents without an outcome, to their index. */
  readonly #open = new Map<string, number>();

  constructor(origin: string, verifier: NoteVerifier, anchor: VerifiedCheckpoint | null) {
    this.#origin = origin;
    this.#verifier = verifier;
    this.#anchor = anchor;
    if (anchor?.size === 0) this.#requireAnchor(EMPTY_ROOT);
  }

  get size(): number {
    return this.#frontier.size;
  }

  /** The next `count` leaves of `end`, and the heads over them. */
  take(
    leaves: readonly StoredLeaf[],
    heads: readonly StoredHead[],
    count: number,
    end: number,
  ): void {
    const bySize = new Map(heads.map((head) => [head.size, head]));
    for (let place = 0; place < count; place++) {
      const index = this.size;
      const stored = leaves[place];
      if (stored?.index !== index) throw tampered("log.leaf-missing", index, "The leaf is absent.");
      const leaf = this.#leaf(stored);
      this.#frontier = append(this.#frontier, stored.hash);
      const head = bySize.get(index + 1);
      const alone = (leaf.event !== "denied" && leaf.event !== "checked") || index + 1 === end;
      if (head !== undefined) this.#head(index, head);
      else if (alone) throw tampered("log.head-missing", index, "Its head is absent.");
      if (this.#anchor?.size === this.size) this.#requireAnchor(rootOf(this.#frontier));
      this.#run(index, leaf);
      this.#events[leaf.event] += 1;
      const { mark } = leaf;
      if (mark !== null && leaf.event === "intent") {
        this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + 1);
      }
    }
  }

  #leaf({ index, bytes, hash }: StoredLeaf): Leaf {
    if (Buffer.compare(leafHash(bytes), hash) !== 0) {
      throw tampered("log.leaf-bytes", index, "The leaf's bytes do not give its stored hash.");
    }
    try {
      return parseLeaf(bytes);
    } catch (cause) {
      throw tampered("log.leaf-malformed", index, "The leaf does not parse.", cause);
    }
  }

  #head(index: number, head: StoredHead): void {
    const root = rootOf(this.#frontier);
    const { size, root: signed } = this.#checkpoint(index, head);
    if (size !== index + 1)
      throw tampered("log.head-malformed", index, "Its head has another size.");
    if (Buffer.compare(signed, root) !== 0) {
      throw tampered(
        "log.head-root",
        index,
        "The leaf was replaced together with its hash: the signed head has another root.",
      );
    }
  }

  #checkpoint(index: number, head: StoredHead): VerifiedCheckpoint {
    try {
      return verifyCheckpoint(head.note, this.#origin, [this.#verifier]);
    } catch (cause) {
      const signature = cause instanceof LogError && cause.code === "log.signature";
      const code = signature ? "log.head-signature" : "log.head-malformed";
      throw tampered(code, index, "The head over this leaf is not the log key's.", cause);
    }
  }

  #requireAnchor(root: Uint8Array): void {
    if (this.#anchor === null || Buffer.compare(this.#anchor.root, root) === 0) return;
    throw tampered("log.forked", this.#anchor.size - 1, "The earlier head is of another history.");
  }

  #run(index: number, { event, run }: Leaf): void {
    if (run === null || event === "denied" || event === "checked") return;
    const key = Buffer.from(run).toString("hex");
    if (event !== "intent") {
      if (this.#open.delete(key)) return;
      throw tampered("log.run", index, "An outcome without an open intent before it.");
    }
    if (this.#open.has(key)) throw tampered("log.run", index, "A second intent of an open run.");
    this.#open.set(key, index);
  }

  finish(frontier: Uint8Array, surplus: boolean): void {
    if (surplus)
      throw tampered("log.surplus", this.size, "There are leaves or heads beyond the end.");
    if (Buffer.compare(encodeFrontier(this.#frontier), frontier) !== 0) {
      throw tampered("log.tree", this.size, "The state kept for appending is not the leaves'.");
    }
    if (this.#anchor !== null && this.#anchor.size > this.size) {
      throw tampered(
        "log.shorter",
        this.size,
        `The earlier head has ${this.#anchor.size} leaves: the rest was removed.`,
      );
    }
  }

  result(): VerifiedLog {
    const open = [...this.#open.values()];
    const events = { ...this.#events };
    return { size: this.size, root: rootOf(this.#frontier), events, open, marks: this.#marks };
  }
}

function tampered(code: TamperCode, index: number, what: string, cause?: unknown): LogTampered {
  return new LogTampered(code, index, `Leaf ${index}: ${what}`, { cause });
}
