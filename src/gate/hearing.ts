/**
 * One hearing: a job asks to start, evidence is taken once, and the core judges it, case after case
 * as long as another might be allowed: one with the whole IMA list, with another document of a
 * policy, with the plane's result. What was said last stands. A hearing changes nothing.
 */
import { randomBytes } from "node:crypto";
import { compareBytes } from "../bytes.ts";
import { nowSeconds } from "../clock.ts";
import type { Core, Verdict } from "../core/index.ts";
import { type Store, StoreError } from "../store/contract.ts";
import { encodePlain } from "../wire/objects.ts";
import { counterNameOf, requireAnchored } from "./anchor.ts";
import { EVIDENCE_SECONDS_MAX } from "./bounds.ts";
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
import { askPlane, nonceOf, type PlaneSource, requireOpinion } from "./plane.ts";
import { EvidenceFailure, EvidenceTimeout } from "./refusal.ts";

const NO_PIN = "No charter is pinned: `portcullis init` or a restore sets it.";

/** Who judges, and who is asked. */
export interface Bench {
  readonly core: Core;
  readonly store: Store;
  readonly evidence: EvidenceSource;
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

/** What the host could not do: it explains a denial, and makes none. */
export interface Failure {
  readonly error: unknown;
}

export interface Heard {
  readonly verdict: Verdict;
  readonly caseBytes: Uint8Array;
  /** The time in the case. */
  readonly decidedSeconds: number;
  readonly failure: Failure | null;
  /** What could not be collected beside the quote. */
  readonly missing: string | undefined;
}

/** What was taken, once; the cases of one hearing differ in what they show of it. */
interface Taken {
  readonly subject: UnverifiedSubject;
  readonly held: Held;
  readonly job: Uint8Array;
  readonly attested: AttestedRequest | null;
  readonly proof: Uint8Array | null;
  readonly failure: Failure | null;
}

/** One case, and what the core says of it. */
interface Round {
  readonly gathered: Gathered;
  readonly caseBytes: Uint8Array;
  readonly verdict: Verdict;
}

/** @throws what codeOfFailure names. */
export async function hear(bench: Bench, { materials, ...asked }: Asked): Promise<Heard> {
  const taken = await takeEvidence(bench, { materials, ...asked });
  const { held, attested } = taken;
  const judge = (from: Held, policies = materials.policies): Round => {
    const { subject, job, proof } = taken;
    const gathered = evidenceOf(subject, from, { ...materials, policies }, job, attested, proof);
    const caseBytes = encodeCase(subject, from, gathered, null);
    return { gathered, caseBytes, verdict: bench.core.decide(caseBytes) };
  };
  const whole = { ...held, ima: null };
  let round = judge(held);
  // Another boot, other banks, or a list that lost its beginning: the whole list is judged instead,
  // by the same core, behind the same quote.
  if (held.ima !== null && isOf(round, "environment.ima-")) round = judge(whole);
  // Several documents may be active under one name: the machine has to meet one of them.
  for (const policies of materials.alternatives ?? []) {
    if (!isOf(round, "environment.")) break;
    const other = judge(whole, policies);
    if (!isOf(other, "environment.")) round = other;
  }
  const { verdict, caseBytes } = round;
  const { failure } = taken;
  const heard = {
    verdict,
    caseBytes,
    decidedSeconds: held.nowSeconds,
    failure,
    missing: attested?.missing,
  };
  // What this gate denies by itself claims no use on the plane.
  const open = verdict.allow || verdict.code === "plane.missing";
  return bench.plane && open ? hearPlane(bench.core, bench.plane, taken, heard, round) : heard;
}

const isOf = ({ verdict }: Round, codes: string): boolean =>
  verdict.code?.startsWith(codes) === true;

/** The same evidence again, with what the plane says about it. */
async function hearPlane(
  core: Core,
  plane: PlaneSource,
  { subject, held }: Taken,
  heard: Heard,
  { gathered }: Round,
): Promise<Heard> {
  const opinion = await askPlane(plane, gathered.evidence);
  // The result was signed after this gate had looked at its clock.
  const now = nowSeconds();
  const caseBytes = encodeCase(subject, { ...held, nowSeconds: now }, gathered, opinion.result);
  return {
    ...heard,
    verdict: requireOpinion(core.decide(caseBytes), opinion),
    caseBytes,
    decidedSeconds: now,
    failure: heard.failure ?? opinion.failure,
  };
}

async function takeEvidence(bench: Bench, asked: Asked): Promise<Taken> {
  const { store, plane } = bench;
  const { materials, prover, prepared } = asked;
  const subject = parseSubject(materials, asked.parentRun);
  const planeNonce = plane ? await nonceOf(plane) : null;
  const before = await store.anchor();
  const held = await hold(store, subject, planeNonce);
  const job = encodePlain("job", prepared.job);
  const request = requestOf(subject, held, job);
  let failure: Failure | null = null;
  const attested =
    request &&
    (await attest(bench.evidence, request).catch((error: unknown) => {
      failure = { error };
      return null;
    }));
  const credential = counterNameOf(materials.node);
  // What is no credential, or has no quote, the core denies for that.
  if (attested !== null && credential !== undefined) {
    const after = await store.anchor();
    requireAnchored({ before, after, credential, counter: attested.counter ?? null });
  }
  const proof = request && subject.heldByKey && prover ? await prover(request) : null;
  return { subject, held, job, attested, proof, failure };
}

async function hold(
  store: Store,
  subject: UnverifiedSubject,
  planeNonce: Uint8Array | null,
): Promise<Held> {
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
    parentRun: await underWay(store, subject.parentRun),
  };
}

/**
 * Nobody can hang its job below a run that does not exist, or is over: the log would tell a false
 * origin.
 */
async function underWay(store: Store, run: Uint8Array | null): Promise<Uint8Array | null> {
  if (run === null) return null;
  const open = await store.openRuns();
  return open.find(({ runId }) => compareBytes(runId, run) === 0)?.runId ?? null;
}

async function attest(source: EvidenceSource, request: Uint8Array): Promise<AttestedRequest> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, fail) => {
    const late = (): void => fail(new EvidenceTimeout(EVIDENCE_SECONDS_MAX));
    timer = setTimeout(late, EVIDENCE_SECONDS_MAX * 1000);
  });
  const attested = source.attest(request).catch((cause: unknown) => {
    throw new EvidenceFailure(cause);
  });
  try {
    return await Promise.race([attested, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
