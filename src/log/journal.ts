/**
 * The gate's durable steps. Each is one transaction of the store: the leaf, the signed head over
 * it, the floors that the decision proved, the uses, the run. Either all of it is on disk when the
 * call returns, or the call throws, and nothing may be started.
 */
import { randomBytes } from "node:crypto";
import { LIMITS } from "../limits.ts";
import {
  type Counters,
  type ElementUse,
  type Floors,
  type OpenRun,
  type Store,
  StoreError,
  type Transaction,
} from "../store/contract.ts";
import { type Appended, Appender } from "./appender.ts";
import { LedgerConflict, type LedgerErrorCode, LogError, LogTampered } from "./error.ts";
import { type Leaf, parseLeaf } from "./leaf.ts";
import type { NoteSigner } from "./note.ts";
import { currentProcess, formatProcess, mayLive, type Process } from "./owner.ts";

export interface JournalOptions {
  readonly store: Store;
  /** Names the log in its heads: one line. */
  readonly origin: string;
  /** The node's log key. */
  readonly signer: NoteSigner;
}

/** What the core verified, from which floors rise. */
export interface Proven {
  readonly floors: Floors;
  readonly counters: ProvenCounters | null;
}

export interface ProvenCounters {
  readonly akName: Uint8Array;
  readonly values: Counters;
  /** This machine's time when it quoted, seconds since 1970. */
  readonly seenSeconds: number;
  /** What the IMA list has proven in the same boot session, and by which policies. */
  readonly ima?: {
    readonly policies: readonly Uint8Array[];
    readonly entries: number;
    readonly values: readonly Uint8Array[];
  } | null;
}

export interface Claim {
  readonly requestDigest: Uint8Array;
  /** Every element of the chain. */
  readonly elements: readonly ElementUse[];
  readonly proven: Proven;
  /** An intent. */
  readonly leaf: Leaf & { readonly event: "intent" };
}

/** An intent that is durable. */
export interface Claimed extends Recorded {
  /** The counter that guards the state must rise before the job starts. */
  readonly anchorDue: boolean;
}

export interface Entry {
  /** What the core verified, where it did; null raises nothing. */
  readonly proven: Proven | null;
  /** Anything but an intent. An outcome closes the run that it names. */
  readonly leaf: Leaf & { readonly event: "denied" | "outcome" | "checked" };
}

/** What a plane decided. Agreement is claimed; what cannot be claimed is recorded as a denial. */
export interface Judged {
  readonly proven: Proven | null;
  /** The key is claimed at most once: the plane's nonce, which the request digest holds. */
  readonly claim: { readonly key: Uint8Array; readonly elements: readonly ElementUse[] } | null;
  readonly leaf: Leaf & { readonly event: "denied" | "checked" };
}

export interface Settled {
  /** Of the leaf, which is durable, under the head over all that were settled with it. */
  readonly index: number;
  /** Why the uses were not claimed; null where they were, or none were asked for. */
  readonly conflict: LedgerConflict | null;
}

/** A leaf that is durable, and the head over the log up to it. */
export interface Recorded extends Appended {
  /** The leaf's: set where the grant's class marks every use. */
  readonly mark: Leaf["mark"];
}

/** One per process is enough; calls may overlap. */
export class Journal {
  readonly #store: Store;
  readonly #appender: Appender;
  readonly #process: Process;
  readonly #owner: string;
  /**
   * Runs of this very object, in hex: others in this process tell themselves apart by the owner's
   * last part.
   */
  readonly #running = new Set<string>();

  /** Throws LogError `log.owner` where the system does not identify processes. */
  constructor({ store, origin, signer }: JournalOptions) {
    this.#store = store;
    this.#appender = new Appender(origin, signer);
    this.#process = currentProcess();
    this.#owner = `${formatProcess(this.#process)}/${randomBytes(8).toString("hex")}`;
  }

  /**
   * Claims one use of every element and records the intent. Must have returned before the job
   * starts.
   *
   * @throws LedgerConflict when another run was first: nothing is written.
   * @throws LogError `log.unwritable` when it could not be made durable. It may have been all the
   * same: then the use is spent and the run becomes aborted.
   * @throws StoreError `store.busy` when other processes wrote for too long: nothing is written.
   */
  async claim({ requestDigest, elements, proven, leaf }: Claim): Promise<Claimed> {
    const { run } = leaf;
    if (run === null || leaf.event !== "intent" || !equal(leaf.request, requestDigest)) {
      throw new LogError("log.malformed", "The leaf is not the intent of this request.");
    }
    const key = hex(run);
    this.#running.add(key);
    try {
      return await this.#durably(async (transaction) => {
        // Floors first, so that the ledger judges expiry at the time that this very decision
        // proves.
        await raise(transaction, proven, (code) => {
          throw conflict(code);
        });
        const refusal = await transaction.claimUses(requestDigest, elements);
        if (refusal !== null) throw conflict(`ledger.${refusal}`);
        const recorded = await this.#append(transaction, leaf);
        await transaction.openRun({ runId: run, leafIndex: recorded.index, owner: this.#owner });
        const { snapshotVersion } = proven.floors;
        const anchorDue = await announceAnchor(transaction, snapshotVersion, recorded.size);
        return { ...recorded, anchorDue };
      });
    } catch (error) {
      this.#running.delete(key);
      throw error;
    }
  }

  /**
   * Records a denial, a check or an outcome. What it proved raises the floors as far as they are
   * above those held: another decision may have proven more in the meantime, and the leaf is
   * written all the same.
   *
   * @throws LogError `log.closed` for an outcome of a run that is not open (a repeated call, for
   * one); nothing is written. `log.unwritable` and StoreError as for claim; an outcome may be
   * recorded again.
   */
  async record({ proven, leaf }: Entry): Promise<Recorded> {
    const closes = leaf.event === "outcome" ? leaf.run : null;
    try {
      return await this.#durably(async (transaction) => {
        if (closes !== null && !(await transaction.closeRun(closes))) {
          throw new LogError("log.closed", "This run is not open: its end is recorded already.");
        }
        if (proven !== null) await raise(transaction, proven, () => undefined);
        return this.#append(transaction, leaf);
      });
    } finally {
      // Recorded or not, the job has ended: if nobody tries again, abortOpenRuns finds the run.
      if (closes !== null) this.#running.delete(hex(closes));
    }
  }

  /**
   * Claims and records many decisions in one transaction, in order, so that they share its way to
   * the disk. Each is judged by what those before it claimed.
   *
   * @throws LogError, StoreError as for claim: then nothing may be signed for any of them.
   */
  async settle(all: readonly Judged[]): Promise<Settled[]> {
    return this.#durably(async (transaction) => {
      const conflicts: (LedgerConflict | null)[] = [];
      for (const { proven, claim } of all) {
        conflicts.push(await claimed(transaction, proven, claim));
      }
      const leaves = all.map(({ leaf }, i): Leaf => {
        if (!conflicts[i]) return leaf;
        return { ...leaf, event: "denied", code: "internal.ledger" };
      });
      const { size } = await this.#appender.append(transaction, leaves);
      const first = size - leaves.length;
      return conflicts.map((conflict, i) => ({ index: first + i, conflict }));
    });
  }

  /**
   * Whether a run may still be under way: of this object while it is, of another process while that
   * lives.
   */
  mayRun(run: OpenRun): boolean {
    if (run.owner === this.#owner) return this.#running.has(hex(run.runId));
    return mayLive(run.owner, this.#process);
  }

  /**
   * Declares every open run aborted that, by `lives`, is not under way: its gate was killed between
   * intent and outcome. Two processes may do this at once; each run gets one leaf.
   *
   * @throws LogError `log.unwritable`, LogTampered where an intent is not in the log; runs declared
   * before stay so.
   */
  async abortOpenRuns(
    timeSeconds: number,
    lives: (run: OpenRun) => boolean = (run) => this.mayRun(run),
  ): Promise<Recorded[]> {
    const aborted: Recorded[] = [];
    for (const run of await this.#unwritable(() => this.#store.openRuns())) {
      if (lives(run)) continue;
      const recorded = await this.#durably(async (transaction) => {
        if (!(await transaction.closeRun(run.runId))) return null;
        const intent = await intentOf(transaction, run);
        return this.#append(transaction, {
          ...intent,
          event: "aborted",
          time: timeSeconds,
          exit: { kind: "aborted", number: 0 },
        });
      });
      if (recorded !== null) aborted.push(recorded);
    }
    return aborted;
  }

  async #append(transaction: Transaction, leaf: Leaf): Promise<Recorded> {
    return { ...(await this.#appender.append(transaction, [leaf])), mark: leaf.mark };
  }

  #durably<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#unwritable(() => this.#store.transact(work));
  }

  /**
   * Whatever fails beneath a leaf leaves the decision without its record; that is what callers must
   * know.
   */
  async #unwritable<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (cause) {
      if (cause instanceof LedgerConflict || cause instanceof LogError) throw cause;
      // The store waits for its turn before it writes: nothing was written, and asking again may
      // help.
      if (cause instanceof StoreError && cause.code === "store.busy") throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new LogError("log.unwritable", `The audit log was not written: ${why}`, { cause });
    }
  }
}

/** Raises floors and counters; `refuse` hears of each that lies below or beside what is held. */
async function raise(
  transaction: Transaction,
  { floors, counters }: Proven,
  refuse: (code: "ledger.floors" | "ledger.counters" | "ledger.clock") => void,
): Promise<void> {
  if ((await transaction.raiseFloors(floors)) !== "raised") refuse("ledger.floors");
  if (counters === null) return;
  const { akName, values, seenSeconds, ima } = counters;
  const raised = await transaction.raiseCounters(akName, values, seenSeconds);
  if (raised !== "raised") refuse(raised === "slow" ? "ledger.clock" : "ledger.counters");
  if (!ima) return;
  const { resetCount, restartCount } = values;
  const prefix = { resetCount, restartCount, entries: ima.entries, values: ima.values };
  await transaction.raiseImaPrefix(akName, ima.policies, prefix);
}

/**
 * Announces an increment where the last one does not cover the snapshot in force, or lies too many
 * leaves back. Announced in the transaction of the claim that needs it: a copy of the state that
 * lacks the claim lacks the announcement, too.
 */
async function announceAnchor(
  transaction: Transaction,
  snapshotVersion: number,
  size: number,
): Promise<boolean> {
  const anchor = await transaction.anchor();
  if (anchor === null) return false;
  if (anchor.announced) return true;
  const due = snapshotVersion > anchor.snapshotVersion || size - anchor.size >= LIMITS.anchorLeaves;
  if (due) await transaction.setAnchor({ ...anchor, announced: true, snapshotVersion, size });
  return due;
}

/** Raises floors and, for an agreement, claims; gives what stood against it. */
async function claimed(
  transaction: Transaction,
  proven: Proven | null,
  claim: Judged["claim"],
): Promise<LedgerConflict | null> {
  let conflict: LedgerConflict | null = null;
  const refuse = (code: LedgerErrorCode): void => {
    conflict ??= new LedgerConflict(code, CONFLICTS[code]);
  };
  if (proven !== null) await raise(transaction, proven, refuse);
  if (claim === null) return null;
  if (conflict !== null) return conflict;
  const refusal = await transaction.claimUses(claim.key, claim.elements);
  return refusal === null
    ? null
    : new LedgerConflict(`ledger.${refusal}`, CONFLICTS[`ledger.${refusal}`]);
}

async function intentOf(transaction: Transaction, run: OpenRun): Promise<Leaf> {
  const [stored] = await transaction.leaves(run.leafIndex, 1);
  const intent = stored?.index === run.leafIndex ? parseLeaf(stored.bytes) : null;
  if (intent?.event === "intent" && equal(intent.run, run.runId)) return intent;
  throw new LogTampered("log.run", run.leafIndex, "An open run has no intent in the log.");
}

const CONFLICTS: { readonly [code in LedgerErrorCode]: string } = {
  "ledger.request": "This request was claimed before.",
  "ledger.use": "Another run has claimed the last use.",
  "ledger.expired": "A time past the authorization's expiry has been proven since the decision.",
  "ledger.floors": "Another charter or snapshot has been proven since the decision.",
  "ledger.counters": "A later boot or firmware of this TPM has been proven since the decision.",
  "ledger.clock":
    "Since the last run more time has passed on the TPM's clock than on this machine's.",
};

function conflict(code: LedgerErrorCode): LedgerConflict {
  return new LedgerConflict(code, CONFLICTS[code]);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function equal(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && Buffer.compare(a, b) === 0;
}
