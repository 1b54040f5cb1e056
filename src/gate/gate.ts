/**
 * The gate: collect, decide, claim, record, execute, record. Each step's result is a type that only
 * the step makes:
 *
 *   decide(job) -> Allowed        made by the core alone
 *   claim(Allowed) -> Admitted    uses, run and intent leaf are durable; the job waits, confined
 *   execute(Admitted) -> outcome  once, before its deadline
 *
 * The gate knows no TPM and no network; it is handed a source of evidence. It never allows
 * anything: what the core did not allow, no path through here starts.
 */
import { boottimeMs, nowMs, nowSeconds } from "../clock.ts";
import { type Allowed, type Code, denied, isAllowed, type Verdict } from "../core/index.ts";
import { LIMITS } from "../limits.ts";
import type { CaseFolder } from "../log/cases.ts";
import type { Journal, Recorded } from "../log/journal.ts";
import type { Leaf } from "../log/leaf.ts";
import { raiseAnchor, type StateCounter } from "./anchor.ts";
import { type Asked, type Bench, hear } from "./hearing.ts";
import type { PreparedJob } from "./job.ts";
import { launch, type Pending } from "./launch.ts";
import { exitOf, leafOf } from "./leaves.ts";
import type { Outcome } from "./outcome.ts";
import { provenBy, requireProven } from "./proven.ts";
import { codeOfFailure, EvidenceFailure, messageOf, reasonOf } from "./refusal.ts";

export interface GateParts extends Bench {
  readonly journal: Journal;
  readonly cases: CaseFolder;
  /** SHA-256 of the core's bytes. */
  readonly coreDigest: Uint8Array;
  /** Absent where no counter guards the state: then nothing that needs one is admitted. */
  readonly counter?: StateCounter;
}

/** A decision, with the case that it was made of. */
export interface Decision {
  readonly verdict: Verdict;
  /**
   * The verdict's code, or the host's own reason, which explains the verdict's; null where allowed.
   */
  readonly code: Code | null;
  /** What the host could not do, in words; null if nothing failed. */
  readonly failure: string | null;
  readonly caseBytes: Uint8Array | null;
}

/** Nothing was decided, because the host could not do this: a denial. */
export function failed(error: unknown): Decision {
  const verdict = denied(codeOfFailure(error));
  return { verdict, caseBytes: null, code: verdict.code, failure: messageOf(error) };
}

/** What a record says beside the decision. */
export interface Circumstances {
  readonly prepared: Pick<PreparedJob, "warnings">;
  readonly parentRun: Uint8Array | null;
}

declare const admission: unique symbol;

/**
 * A job whose uses, run and intent are durable. Holds nothing: what it stands for is the gate's to
 * know.
 */
export interface Admitted {
  readonly [admission]: true;
  readonly runId: Uint8Array;
  /** Where the intent stands in the log. */
  readonly intent: Recorded;
  readonly warnings: readonly string[];
}

interface Issued {
  readonly asked: Asked;
  readonly caseBytes: Uint8Array;
  /** The time in the case. */
  readonly decidedSeconds: number;
  readonly deadlineMs: number;
}

interface Released {
  readonly pending: Pending;
  readonly leaf: Leaf;
  /** The counter that guards the state must rise first. */
  readonly anchorDue: boolean;
  readonly deadlineMs: number;
}

/** How an admitted job ended, or why it never began; and the leaf that says so. */
export interface Ended {
  readonly outcome: Outcome | null;
  readonly code: Code | null;
  readonly failure: string | null;
  readonly recorded: Recorded;
}

export class Gate {
  readonly #parts: GateParts;
  /** What each genuine Allowed was decided from; taken out when it is claimed. */
  readonly #issued = new WeakMap<Allowed, Issued>();
  readonly #admitted = new WeakMap<Admitted, Released>();

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /**
   * Collects evidence for the job and has the core decide. Changes nothing. Never throws for what
   * is wrong with files, TPM or state: that is a denial.
   */
  async decide(asked: Asked): Promise<Decision> {
    try {
      const startMs = boottimeMs();
      const { verdict, caseBytes, decidedSeconds, failure, missing } = await hear(
        this.#parts,
        asked,
      );
      if (isAllowed(verdict)) {
        // The case has whole seconds; a clock that was set back since gives no time either.
        const leftMs = verdict.request.expires * 1000 - Math.max(nowMs(), decidedSeconds * 1000);
        const deadlineMs = Math.min(boottimeMs() + leftMs, startMs + LIMITS.nonceSeconds * 1000);
        this.#issued.set(verdict, { asked, caseBytes, decidedSeconds, deadlineMs });
      }
      return { verdict, caseBytes, ...reasonOf(verdict, failure, missing) };
    } catch (error) {
      return failed(error);
    }
  }

  /**
   * Records a decision that starts nothing: a denial, or a check (of either verdict). The case is
   * kept first; where it cannot be, the leaf names none, and is written all the same.
   *
   * @throws LogError where case or leaf cannot be made durable.
   */
  async record(
    { prepared, parentRun }: Circumstances,
    decision: Decision,
    event: "denied" | "checked",
  ): Promise<Recorded> {
    const { caseBytes, verdict } = decision;
    const { cases, journal, coreDigest } = this.#parts;
    let unkept: unknown = null;
    const digest =
      caseBytes &&
      (await cases.write(caseBytes).catch((error: unknown) => {
        unkept = error;
        return null;
      }));
    const recorded = await journal.record({
      proven: provenBy(verdict, nowSeconds()),
      leaf: leafOf(verdict, {
        ...{ event, code: decision.code, run: null, parentRun },
        ...{ case: digest, core: coreDigest, warnings: prepared.warnings },
      }),
    });
    if (unkept !== null) throw unkept;
    return recorded;
  }

  /**
   * Confines the job, then claims one use of every element together with the intent, durably. The
   * job does not start.
   *
   * @throws what codeOfFailure names; then nothing will start, and at worst a use is spent.
   */
  async claim(allowed: Allowed): Promise<Admitted> {
    const issued = this.#issued.get(allowed);
    const { role, purpose } = allowed.request;
    if (!isAllowed(allowed) || issued === undefined || role !== "gate" || purpose !== "start") {
      throw new TypeError("Only this gate's own verdict on a start can be claimed, and only once.");
    }
    this.#issued.delete(allowed);
    const { asked, caseBytes, decidedSeconds, deadlineMs } = issued;
    const pending = await launch(asked.prepared);
    try {
      const { cases, coreDigest } = this.#parts;
      const digest = await cases.write(caseBytes);
      const run = allowed.request.requestDigest;
      const { warnings } = pending;
      const leaf = leafOf(allowed, {
        ...{ event: "intent", code: null, run, parentRun: asked.parentRun },
        ...{ case: digest, core: coreDigest, warnings },
      });
      const intent = await this.#parts.journal.claim({
        requestDigest: run,
        elements: allowed.request.elements.map((element) => ({
          ...element,
          // A link without a maximum of its own is bound by its ancestors', each of which is
          // counted too.
          max: element.max === 0 ? Number.MAX_SAFE_INTEGER : element.max,
        })),
        proven: requireProven(allowed, decidedSeconds),
        leaf,
      });
      const admitted = Object.freeze({ runId: run, intent, warnings }) as unknown as Admitted;
      const { anchorDue } = intent;
      this.#admitted.set(admitted, { pending, leaf, anchorDue, deadlineMs });
      return admitted;
    } catch (error) {
      await pending.cancel();
      throw error;
    }
  }

  async #raiseAnchor(): Promise<void> {
    const { store, counter } = this.#parts;
    if (counter === undefined) throw new EvidenceFailure("The gate has no way to the counter.");
    const raise = (value: bigint): Promise<bigint> =>
      counter.raise(value).catch((cause: unknown) => {
        throw new EvidenceFailure(cause);
      });
    await raiseAnchor(store, { raise });
  }

  /**
   * Starts the job and waits for its end. `onStart` comes right before the start, with nothing to wait
   * for in between: where it throws, nothing starts. The deadline is checked after it and after the
   * durable intent, immediately before exec.
   *
   * @throws LogError where the outcome cannot be recorded; the job has ended all the same, and the
   * run will be found open and declared aborted.
   */
  async execute(
    admitted: Admitted,
    onStart: (pending: Pending) => void | Promise<void>,
  ): Promise<Ended> {
    const released = this.#admitted.get(admitted);
    if (released === undefined)
      throw new TypeError("Only what was claimed here executes, and once.");
    this.#admitted.delete(admitted);
    const { pending, leaf, anchorDue, deadlineMs } = released;
    let outcome: Outcome | null = null;
    let code: Code | null = null;
    let failure: string | null = null;
    try {
      if (anchorDue) await this.#raiseAnchor();
      await onStart(pending);
      outcome = await pending.release(deadlineMs);
    } catch (error) {
      await pending.cancel();
      code = codeOfFailure(error);
      failure = messageOf(error);
    }
    const recorded = await this.#parts.journal.record({
      proven: null,
      leaf: { ...leaf, event: "outcome", time: nowSeconds(), code, exit: exitOf(outcome) },
    });
    return { outcome, code, failure, recorded };
  }
}
