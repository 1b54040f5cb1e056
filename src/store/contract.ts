/**
 * What a gate or a plane must remember to stay safe, and the one contract behind which it lies. The
 * store keeps numbers, counts and bytes; what a leaf or a head means is the log's business, what a
 * digest means the gate's.
 *
 * Durability: what a transaction wrote is on stable storage once `transact` resolves, and survives
 * SIGKILL and loss of power. When it rejects, nothing of it is visible to a later transaction, with
 * one exception that no store can exclude: a commit whose acknowledgement was lost may have
 * happened. Callers treat a rejection as "perhaps".
 *
 * Concurrency: transactions are serializable, also across processes that share the store: one
 * writes at a time, others wait, for a bounded time, then reject with `store.busy`. Single reads
 * see the last commit; two reads outside one transaction may straddle another's commit.
 */
import { PortcullisError } from "../errors.ts";

export type StoreErrorCode =
  | "store.missing" // there is no store at that path
  | "store.exists" // there is one already
  | "store.private" // it, or its folder, is open to others
  | "store.newer" // its schema is newer than this program
  | "store.corrupt" // its bytes are not what was written
  | "store.moved" // another file lies at its path since it was opened
  | "store.busy" // another process held it for too long
  | "store.full" // no space
  | "store.readonly" // the file or its file system cannot be written
  | "store.failed" // the system refused otherwise; the message says how
  | "store.closed" // used after close, or after its transaction ended
  | "store.unpinned" // no charter is pinned yet
  | "store.pinned" // a charter is pinned already
  | "store.input"; // a value out of bounds: a mistake in the caller

/**
 * The state could not be read or written. `cause` holds the system's or the database's own error.
 */
export class StoreError extends PortcullisError {
  declare readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(code, message, options);
  }
}

/** What was proven once and may never be unlearned. */
export interface Floors {
  /** Digest of the pinned charter: governance is judged from here on. */
  readonly charterDigest: Uint8Array;
  readonly charterNumber: number;
  /** 0 with a null digest: no snapshot seen yet. */
  readonly snapshotVersion: number;
  readonly snapshotDigest: Uint8Array | null;
  /** Seconds since 1970. */
  readonly timeSeconds: number;
}

/**
 * TPM counters last proven for one attestation key (TPMS_CLOCK_INFO and firmwareVersion of
 * TPMS_ATTEST).
 */
export interface Counters {
  readonly resetCount: number;
  readonly restartCount: number;
  /** Unsigned, 64 bits. */
  readonly clock: bigint;
  /** Unsigned, 64 bits. */
  readonly firmwareVersion: bigint;
}

/**
 * The NV counter of this machine's TPM that stands beside the state, so that an older copy of the
 * state is noticed (gate/anchor.ts). Set when the machine is enrolled.
 */
export interface Anchor {
  /** NV index and its Name. */
  readonly index: number;
  readonly name: Uint8Array;
  /** The counter as last certified, unsigned, 64 bits. */
  readonly value: bigint;
  /** One increment was announced, and is not yet seen done. */
  readonly announced: boolean;
  /** The snapshot version and the log's size that the last increment, or announcement, covers. */
  readonly snapshotVersion: number;
  readonly size: number;
}

/**
 * What was proven of one machine's IMA list, under one set of policies: the next list may begin
 * behind it, in the same boot session.
 */
export interface ImaPrefix {
  readonly resetCount: number;
  readonly restartCount: number;
  /** 1 or more, from the boot's first on. */
  readonly entries: number;
  /** PCR 10 after them: one value for each quoted bank, of 20, 32, 48 or 64 bytes. */
  readonly values: readonly Uint8Array[];
}

/** One element of the chain whose use is claimed. */
export interface ElementUse {
  /** Element digest, 32 bytes. */
  readonly digest: Uint8Array;
  /** How often it may be used in all. */
  readonly max: number;
  /** Its `exp`, seconds since 1970. */
  readonly expires: number;
}

/**
 * How offered values compare with those held, part by part (pin, snapshot; for counters the boot
 * session): `raised`: none is below; the higher of each is held now. `behind`: one is below what is
 * held; the others were raised. `contradicted`: one has the number held but another digest; nothing
 * was changed. `slow`: this machine's clock advanced by less than the TPM's since the quote that is
 * held; the counters stay, so that the next is measured against the same.
 */
export type Raise = "raised" | "behind" | "contradicted" | "slow";

/**
 * Why uses were not claimed. `request`: that request was claimed before. `use`: an element has no
 * use left. `expired`: an element's expiry is not above the time floor, so the ledger may have
 * dropped what it knew of it.
 */
export type ClaimRefusal = "request" | "use" | "expired";

/** An intent whose outcome is not recorded yet. */
export interface OpenRun {
  /** 32 bytes. */
  readonly runId: Uint8Array;
  /** Index of the leaf that states the intent. */
  readonly leafIndex: number;
  /** Who runs it, in words that only the log's `owner` module reads. */
  readonly owner: string;
}

export interface StoredLeaf {
  readonly index: number;
  readonly bytes: Uint8Array;
  /** As it was stored with the bytes, 32 bytes; not recomputed. */
  readonly hash: Uint8Array;
}

/**
 * The log's state: how many leaves it has, and what the log needs to append another, opaque here.
 */
export interface StoredTree {
  readonly size: number;
  readonly frontier: Uint8Array;
}

export interface StoredHead {
  readonly size: number;
  /** The signed note, UTF-8. */
  readonly note: Uint8Array;
}

/** Whom a decision is about. */
export interface StoredSubject {
  readonly akName: Uint8Array;
  /** Element digests. */
  readonly elements: readonly Uint8Array[];
}

/** What is held about a subject, as `counters` and `uses` tell it. */
export interface Holding {
  readonly counters: Counters | null;
  readonly uses: readonly number[];
}

export interface StoreReader {
  /** Null until a charter is pinned. */
  floors(): Promise<Floors | null>;
  /** Null where nothing was proven for the key with this Name yet. */
  counters(akName: Uint8Array): Promise<Counters | null>;
  /** Null where no counter guards this state. */
  anchor(): Promise<Anchor | null>;
  /**
   * The prefix last proven for this key under exactly these policies (digests, in any order); null
   * where there is none.
   */
  imaPrefix(akName: Uint8Array, policies: readonly Uint8Array[]): Promise<ImaPrefix | null>;
  /** Uses so far, in the order asked; 0 for an element never claimed. */
  uses(digests: readonly Uint8Array[]): Promise<number[]>;
  /** The floors, and what is held about each subject, all of one moment. */
  holdings(subjects: readonly StoredSubject[]): Promise<{
    readonly floors: Floors | null;
    readonly holdings: readonly Holding[];
  }>;
  /** In the order in which they were opened. */
  openRuns(): Promise<OpenRun[]>;
  tree(): Promise<StoredTree>;
  /** At most `count` leaves from index `from` on, ascending; what is absent is left out. */
  leaves(from: number, count: number): Promise<StoredLeaf[]>;
  /** At most `count` heads of size `from` or more, ascending. */
  heads(from: number, count: number): Promise<StoredHead[]>;
  /** The head of the greatest size, or null. */
  lastHead(): Promise<StoredHead | null>;
}

/** Valid until `work` settles; each call sees what the calls before it wrote. */
export interface Transaction extends StoreReader {
  /** Sets the first pin, once, when a trust domain is set up. */
  pinCharter(digest: Uint8Array, number: number): Promise<void>;
  /**
   * Raises pin, snapshot and time, each only upward; time alone is never "behind". A raised time
   * drops the ledger's entries that expired below it, in this transaction.
   */
  raiseFloors(floors: Floors): Promise<Raise>;
  /**
   * Raises the counters of one key: the boot session (resetCount, restartCount) in lexicographic
   * order, firmwareVersion by itself; the clock only upward within one resetCount, and taken as it
   * is in a later one (DESIGN.md §5). A lower clock is never "behind": another process may have
   * quoted later and committed first. `seenSeconds` is this machine's time of the quote.
   */
  raiseCounters(akName: Uint8Array, counters: Counters, seenSeconds: number): Promise<Raise>;
  /**
   * Keeps a prefix: only one of more entries replaces another of the same boot session and
   * policies. One of another session than the key's counters is not kept, and a later session drops
   * those of all earlier ones, under any policies.
   */
  raiseImaPrefix(
    akName: Uint8Array,
    policies: readonly Uint8Array[],
    prefix: ImaPrefix,
  ): Promise<void>;
  /**
   * Replaces them, also downward, and drops the key's IMA prefixes: boot sessions are counted anew.
   * For enrollment only, where TPM2_Clear has zeroed them.
   */
  replaceCounters(akName: Uint8Array, counters: Counters, seenSeconds: number): Promise<void>;
  /** Null: no counter guards this state any more. For enrollment, and to record the counter's rise. */
  setAnchor(anchor: Anchor | null): Promise<void>;
  /**
   * Claims one use of every element for this request, or of none. A request digest is claimed at
   * most once; what is known of it is dropped only when the time floor has passed the expiry of its
   * elements.
   */
  claimUses(request: Uint8Array, elements: readonly ElementUse[]): Promise<ClaimRefusal | null>;
  openRun(run: OpenRun): Promise<void>;
  /** False where that run is not open. */
  closeRun(runId: Uint8Array): Promise<boolean>;
  /** They follow each other from the tree's size on; `frontier` is the one after the last. */
  appendLeaves(leaves: readonly StoredLeaf[], frontier: Uint8Array): Promise<void>;
  /** One head a size, the tree's; leaves that were appended together share the one over the last. */
  putHead(head: StoredHead): Promise<void>;
}

export interface Store extends StoreReader {
  /**
   * Runs `work` in one transaction and commits it. Whatever `work` throws undoes everything and is
   * thrown on. While `work` runs, every other writer waits: it waits for nothing but this
   * transaction, or for what must not be done twice (gate/anchor.ts).
   */
  transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
