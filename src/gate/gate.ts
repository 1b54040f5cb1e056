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
import { randomBytes } from "node:crypto";
import { boottimeMs, nowSeconds } from "../clock.ts";
import {
  type Allowed,
  type Code,
  type Core,
  denied,
  isAllowed,
  type Verdict,
} from "../core/index.ts";
import { LIMITS } from "../limits.ts";
import type { CaseFolder } from "../log/cases.ts";
import type { Journal, Recorded } from "../log/journal.ts";
import type { Leaf } from "../log/leaf.ts";
import { type Store, StoreError } from "../store/contract.ts";
import { compareBytes } from "../wire/cbor.ts";
import { encodePlain } from "../wire/objects.ts";
import { counterNameOf, raiseAnchor, requireAnchored, type StateCounter } from "./anchor.ts";
import {
  encodeCase,
  evidenceOf,
  type Gathered,
  type Held,
  parseSubject,
  requestOf,
  type UnverifiedSubject,
} from "./case.ts";
import type { AttestedRequest, EvidenceSource, Materials, Prover } from "./evidence.ts";
import type { PreparedJob } from "./job.ts";
import { launch, type Pending } from "./launch.ts";
import type { Outcome } from "./outcome.ts";
import { askPlane, nonceOf, type PlaneSource, requireOpinion } from "./plane.ts";
import { provenBy, requireProven } from "./proven.ts";
import { codeOfFailure, EvidenceFailure, EvidenceTimeout, messageOf, reasonOf } from "./refusal.ts";

/**
 * Longest wait for a quote: what is left of the nonce's 10 seconds must suffice to claim and start.
 */
const EVIDENCE_SECONDS_MAX = 8;
const IMA_CODES = "environment.ima-";
const NO_PIN = "No charter is pinned: `portcullis init` or a restore sets it.";

export interface GateParts {
  readonly core: Core;
  readonly store: Store;
  readonly journal: Journal;
  readonly cases: CaseFolder;
  readonly evidence: EvidenceSource;
  /** SHA-256 of the core's bytes. */
  readonly coreDigest: Uint8Array;
  /** Absent where no counter guards the state: then nothing that needs one is admitted. */
  readonly counter?: StateCounter;
  /** Decides before this gate does; absent where no plane is asked. */
  readonly plane?: PlaneSource;
}

export interface Asked {
  readonly prepared: PreparedJob;
  readonly materials: Materials;
  /** Needed where a key holds the chain's leaf; null otherwise. */
  readonly prover: Prover | null;
  /** The run under way that this one is started by, 32 bytes. */
  readonly parentRun: Uint8Array | null;
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
    const startMs = boottimeMs();
    let failure: { readonly error: unknown } | null = null;
    let caseBytes: Uint8Array | null = null;
    try {
      const subject = parseSubject(asked.materials, asked.parentRun);
      const { plane: source } = this.#parts;
      const planeNonce = source ? await nonceOf(source) : null;
      const before = await this.#parts.store.anchor();
      let held = await this.#hold(subject, planeNonce);
      const job = encodePlain("job", asked.prepared.job);
      const request = requestOf(subject, held, job);
      let attested: AttestedRequest | null = null;
      if (request !== null) {
        attested = await this.#attest(request).catch((error: unknown) => {
          failure = { error };
          return null;
        });
      }
      const credential = counterNameOf(asked.materials.node);
      // What is no credential, or has no quote, the core denies for that.
      if (attested !== null && credential !== undefined) {
        const after = await this.#parts.store.anchor();
        requireAnchored({ before, after, credential, counter: attested.counter ?? null });
      }
      const proof =
        request && subject.heldByKey && asked.prover ? await asked.prover(request) : null;
      const gather = (from: Held, policies = asked.materials.policies): Gathered =>
        evidenceOf(subject, from, { ...asked.materials, policies }, job, attested, proof);
      let gathered = gather(held);
      caseBytes = encodeCase(subject, held, gathered, null);
      let verdict = this.#parts.core.decide(caseBytes);
      if (held.ima !== null && verdict.code?.startsWith(IMA_CODES)) {
        // Another boot, other banks, or a list that lost its beginning: the whole list is judged
        // instead, by the same core, behind the same quote.
        gathered = gather({ ...held, ima: null });
        caseBytes = encodeCase(subject, held, gathered, null);
        verdict = this.#parts.core.decide(caseBytes);
      }
      // Several documents may be active under one name: the machine has to meet one of them.
      for (const policies of asked.materials.alternatives ?? []) {
        if (!verdict.code?.startsWith("environment.")) break;
        const other = gather({ ...held, ima: null }, policies);
        const bytes = encodeCase(subject, held, other, null);
        const second = this.#parts.core.decide(bytes);
        if (second.code?.startsWith("environment.")) continue;
        [gathered, caseBytes, verdict] = [other, bytes, second];
      }
      const { plane } = this.#parts;
      // What this gate denies by itself claims no use on the plane.
      if (plane && (verdict.allow || verdict.code === "plane.missing")) {
        const opinion = await askPlane(plane, gathered.evidence);
        // The result was signed after this gate had looked at its clock.
        held = { ...held, nowSeconds: nowSeconds() };
        caseBytes = encodeCase(subject, held, gathered, opinion.result);
        verdict = requireOpinion(this.#parts.core.decide(caseBytes), opinion);
        failure ??= opinion.failure;
      }
      if (isAllowed(verdict)) {
        const leftMs = (verdict.request.expires - held.nowSeconds) * 1000;
        const deadlineMs = startMs + Math.min(leftMs, LIMITS.nonceSeconds * 1000);
        const decidedSeconds = held.nowSeconds;
        this.#issued.set(verdict, { asked, caseBytes, decidedSeconds, deadlineMs });
      }
      return { verdict, caseBytes, ...reasonOf(verdict, failure, attested?.missing) };
    } catch (error) {
      const verdict = denied(codeOfFailure(error));
      return { verdict, caseBytes, code: verdict.code, failure: messageOf(error) };
    }
  }

  async #hold(subject: UnverifiedSubject, planeNonce: Uint8Array | null): Promise<Held> {
    const { store } = this.#parts;
    const floors = await store.floors();
    if (floors === null) throw new StoreError("store.unpinned", NO_PIN);
    return {
      floors,
      counters: await store.counters(subject.akName),
      // A plane holds no prefix: it is shown the whole list.
      ima:
        planeNonce === null && subject.policies
          ? await store.imaPrefix(subject.akName, subject.policies)
          : null,
      uses: await store.uses(subject.elements),
      nonce: randomBytes(32),
      planeNonce,
      nowSeconds: nowSeconds(),
      parentRun: await this.#underWay(subject.parentRun),
    };
  }

  /**
   * Nobody can hang its job below a run that does not exist, or is over: the log would tell a false
   * origin.
   */
  async #underWay(run: Uint8Array | null): Promise<Uint8Array | null> {
    if (run === null) return null;
    const open = await this.#parts.store.openRuns();
    return open.find(({ runId }) => compareBytes(runId, run) === 0)?.runId ?? null;
  }

  async #attest(request: Uint8Array): Promise<AttestedRequest> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, fail) => {
      const late = (): void => fail(new EvidenceTimeout(EVIDENCE_SECONDS_MAX));
      timer = setTimeout(late, EVIDENCE_SECONDS_MAX * 1000);
    });
    const attested = this.#parts.evidence.attest(request).catch((cause: unknown) => {
      throw new EvidenceFailure(cause);
    });
    try {
      return await Promise.race([attested, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Records a decision that starts nothing: a denial, or a check (of either verdict). The case is
   * kept first.
   *
   * @throws LogError where case or leaf cannot be made durable.
   */
  async record(asked: Asked, decision: Decision, event: "denied" | "checked"): Promise<Recorded> {
    const { caseBytes, verdict } = decision;
    const digest = caseBytes && (await this.#parts.cases.write(caseBytes));
    return this.#parts.journal.record({
      proven: provenBy(verdict, nowSeconds()),
      leaf: this.#leaf(asked, verdict, digest, { event, code: decision.code }),
    });
  }

  #leaf<E extends Leaf["event"]>(
    asked: Asked,
    verdict: Verdict,
    caseDigest: Uint8Array | null,
    rest: { readonly event: E; readonly code: Code | null; readonly run?: Uint8Array },
  ): Leaf & { readonly event: E } {
    const { request } = verdict;
    return {
      event: rest.event,
      time: nowSeconds(),
      code: rest.code,
      request: request?.requestDigest ?? null,
      run: rest.run ?? null,
      parentRun: asked.parentRun,
      case: caseDigest,
      core: this.#parts.coreDigest,
      job: request?.jobDigest ?? null,
      chain: request?.chainDigest ?? null,
      exit: null,
      warnings: [...asked.prepared.warnings],
      mark: isMarked(verdict) ? "break-glass" : null,
    };
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
      const digest = await this.#parts.cases.write(caseBytes);
      const run = allowed.request.requestDigest;
      const plain = this.#leaf(asked, allowed, digest, { event: "intent", code: null, run });
      const leaf = { ...plain, warnings: [...pending.warnings] };
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
      const warnings = pending.warnings;
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
   * Starts the job and waits for its end. The deadline is checked after the durable intent,
   * immediately before exec.
   *
   * @throws LogError where the outcome cannot be recorded; the job has ended all the same, and the
   * run will be found open and declared aborted.
   */
  async execute(admitted: Admitted, onStart: (pending: Pending) => void): Promise<Ended> {
    const released = this.#admitted.get(admitted);
    if (released === undefined)
      throw new TypeError("Only what was claimed here executes, and once.");
    this.#admitted.delete(admitted);
    const { pending, leaf, anchorDue, deadlineMs } = released;
    onStart(pending);
    let outcome: Outcome | null = null;
    let code: Code | null = null;
    let failure: string | null = null;
    try {
      if (anchorDue) await this.#raiseAnchor();
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

/**
 * Whether the class of a grant that was proven to be signed marks every use: an attempt that was
 * denied for another reason stands out as well, and nobody else can set marks.
 */
function isMarked({ request, families }: Verdict): boolean {
  return request?.mark === true && families.signature === "proven";
}

function exitOf(outcome: Outcome | null): Leaf["exit"] {
  if (outcome === null) return { kind: "aborted", number: 0 };
  if (outcome.kind === "signalled") return { kind: "signal", number: outcome.signal };
  return { kind: "code", number: outcome.code };
}
