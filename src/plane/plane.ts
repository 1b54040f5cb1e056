/**
 * The second judge (docs/plane.md): the same evidence, the same core, a context of its own. It
 * signs agreement only after its nonce and one use of every element are durably claimed.
 */

import { compareBytes } from "../bytes.ts";
import { nowSeconds } from "../clock.ts";
import { type Code, denied, type Verdict } from "../core/index.ts";
import { LIMITS } from "../limits.ts";
import type { CaseFolder } from "../log/cases.ts";
import type { Journal, Judged, Proven, Settled } from "../log/journal.ts";
import type { Floors, Holding, Store } from "../store/contract.ts";
import type { Signer } from "../wire/keys.ts";
import { type Evidence, parsePlain, signObject } from "../wire/objects.ts";
import { elementDigest, parseNode, ZERO_NAME } from "../wire/subject.ts";
import { Batch } from "./batch.ts";
import { encodeCase, type Subject } from "./case.ts";
import { PlaneError } from "./error.ts";
import type { Governance, Published } from "./governance.ts";
import { Nonces } from "./nonces.ts";
import { Observations } from "./observations.ts";
import { Remembered } from "./remembered.ts";

/** The core, in this thread or in others. Gives a verdict for every case, a denial where it fails. */
export interface Judge {
  decide(caseBytes: Uint8Array): Promise<Verdict>;
}

export interface PlaneParts {
  readonly judge: Judge;
  readonly store: Store;
  readonly journal: Journal;
  /** Where decided cases are kept; null keeps none. */
  readonly cases: CaseFolder | null;
  readonly governance: Governance;
  /** A plane key of the charter. */
  readonly signer: Signer;
  /** SHA-256 of the core's bytes. */
  readonly coreDigest: Uint8Array;
  readonly clockSeconds?: () => number;
  readonly nonces?: Nonces;
}

export interface Opinion {
  /** COSE_Sign1 of kind result; null where the evidence names no request. */
  readonly result: Uint8Array | null;
  /** Why it denies; null where it agrees. */
  readonly code: Code | null;
}

/** How far a gate's clock may be behind the plane's. */
const CLOCK_SECONDS = 5;
const DECISIONS_PER_BATCH = 64;
/** A denied case is kept only up to this size: anyone who reaches the plane can be denied. */
const DENIED_CASE_BYTES = 65_536;

/** What the plane holds about one subject, when it decides. */
interface Known extends Holding {
  readonly published: Published;
  readonly floors: Floors;
}

/** A decision, not yet recorded. */
interface Reached {
  readonly verdict: Verdict;
  readonly nonce: Uint8Array | null;
  /** Null where none was made: the nonce had no right to a decision. */
  readonly caseBytes: Uint8Array | null;
}

export class Plane {
  readonly #parts: PlaneParts;
  readonly #nonces: Nonces;
  readonly #nodes = new Remembered(nodeOf);
  readonly #elements = new Remembered(elementDigest);
  readonly #asking: Batch<Subject, Known>;
  readonly #settling: Batch<Reached, Settled>;
  readonly observations = new Observations();

  constructor(parts: PlaneParts) {
    this.#parts = parts;
    this.#nonces = parts.nonces ?? new Nonces();
    this.#asking = new Batch((subjects) => this.#ask(subjects), DECISIONS_PER_BATCH);
    this.#settling = new Batch((all) => this.#settle(all), DECISIONS_PER_BATCH);
  }

  get governance(): Governance {
    return this.#parts.governance;
  }

  /** 32 bytes, good for one decision within 10 seconds. */
  nonce(): Uint8Array {
    return this.#nonces.issue();
  }

  /**
   * Judges evidence and signs what came of it:
   *  1. the nonce is taken, whatever follows;
   *  2. the core decides, in this plane's context;
   *  3. an agreement's nonce and uses are claimed, and the decision recorded, durably; those that
   *     are reached at the same time share a transaction;
   *  4. only then it is signed.
   *
   * @throws PlaneError; nothing is signed then.
   */
  async decide(evidence: Uint8Array): Promise<Opinion> {
    const { value } = read(evidence);
    const node = this.#nodes.of(value.node);
    const nonce = value.planeNonce;
    const fresh = nonce !== null && this.#nonces.take(nonce);
    const akName = node?.name ?? ZERO_NAME;
    const caseBytes = fresh ? await this.#encode(value, akName, evidence, nonce) : null;
    const verdict =
      caseBytes === null ? denied("replay.nonce") : await this.#parts.judge.decide(caseBytes);
    const settled = await this.#settling.add({ verdict, nonce, caseBytes });
    const code = settled.conflict === null ? verdict.code : "internal.ledger";
    this.observations.add({
      time: this.now(),
      code,
      ueid: node?.ueid ?? null,
      counters: verdict.counters,
      leaf: settled.index,
    });
    return { result: await this.#sign(verdict, code), code };
  }

  /**
   * Returns where a decision could be reached and recorded now.
   *
   * @throws PlaneError `plane.unready`, or what stands in the way.
   */
  async ready(): Promise<void> {
    const { governance, store, judge } = this.#parts;
    const { issued, expires } = await governance.current();
    const floors = await store.transact((transaction) => transaction.floors());
    const now = this.now();
    if (now < Math.max(issued, floors?.timeSeconds ?? Infinity)) {
      throw new PlaneError("plane.unready", "Signed state is from the future: set the clock.");
    }
    if (now >= expires)
      throw new PlaneError("plane.unready", "The snapshot has expired: renew it.");
    await judge.decide(new Uint8Array(0));
  }

  /** By this plane's clock, seconds since 1970. */
  now(): number {
    return (this.#parts.clockSeconds ?? nowSeconds)();
  }

  async #encode(
    value: Evidence,
    akName: Uint8Array,
    evidence: Uint8Array,
    nonce: Uint8Array,
  ): Promise<Uint8Array> {
    const elements = value.elements
      .slice(0, LIMITS.elements)
      .map((bytes) => this.#elements.of(bytes));
    const subject: Subject = { akName, elements, parentRun: value.run };
    const { published, floors, counters, uses } = await this.#asking.add(subject);
    const held = {
      pin: pinFor(value.charters, published) ?? floors.charterDigest,
      floors: raised(floors, published),
      counters,
      uses,
      nonce,
      nowSeconds: this.now(),
    };
    return encodeCase(subject, held, evidence);
  }

  /** One look for all decisions that begin in one turn of the event loop. */
  async #ask(subjects: readonly Subject[]): Promise<Known[]> {
    const { governance, store } = this.#parts;
    const published = await governance.current();
    const { floors, holdings } = await store.holdings(subjects);
    if (floors === null) throw new PlaneError("plane.unready", "No charter is pinned here.");
    return holdings.map((holding) => ({ ...holding, published, floors }));
  }

  /** Cases first: a leaf never names one that may be lost. */
  async #settle(all: readonly Reached[]): Promise<Settled[]> {
    try {
      const digests = await this.#keep(all);
      return await this.#parts.journal.settle(
        all.map((reached, i) => this.#judged(reached, digests[i] ?? null)),
      );
    } catch (cause) {
      // Why is not told to whoever asks: it names files.
      const what = "The decision was not recorded, or perhaps it was: the plane has told why.";
      throw new PlaneError("plane.unwritten", what, { cause });
    }
  }

  /** The digest of each that is kept; null for the others. */
  async #keep(all: readonly Reached[]): Promise<(Uint8Array | null)[]> {
    const { cases } = this.#parts;
    const kept = all.map(({ verdict, caseBytes }) => {
      if (cases === null || caseBytes === null) return null;
      return verdict.allow || caseBytes.length <= DENIED_CASE_BYTES ? caseBytes : null;
    });
    const bytes = kept.filter((one) => one !== null);
    const digests = cases === null || bytes.length === 0 ? [] : await cases.writeAll(bytes);
    return kept.map((one) => (one === null ? null : (digests.shift() ?? null)));
  }

  #judged({ verdict, nonce }: Reached, caseDigest: Uint8Array | null): Judged {
    const { request } = verdict;
    const leaf = {
      event: verdict.allow ? ("checked" as const) : ("denied" as const),
      time: this.now(),
      code: verdict.code,
      request: request?.requestDigest ?? null,
      run: null,
      parentRun: null,
      case: caseDigest,
      core: this.#parts.coreDigest,
      job: request?.jobDigest ?? null,
      chain: request?.chainDigest ?? null,
      exit: null,
      warnings: [],
      mark: verdict.allow && verdict.request.mark ? "break-glass" : null,
    };
    const claim =
      verdict.allow && nonce !== null ? { key: nonce, elements: boundedUses(verdict) } : null;
    return { proven: provenBy(verdict, this.now()), claim, leaf };
  }

  async #sign(verdict: Verdict, code: Code | null): Promise<Uint8Array | null> {
    const { request, evidenceDigest } = verdict;
    if (request === null || evidenceDigest === null) return null;
    // Gates refuse a result from their future, and no two clocks agree to the second.
    const iat = this.now() - CLOCK_SECONDS;
    const latest = iat + LIMITS.resultSeconds;
    const exp = code === null ? Math.min(latest, request.expires) : latest;
    const claims = {
      iat,
      exp,
      request: request.requestDigest,
      evidence: evidenceDigest,
      verdict: code === null ? ("allow" as const) : ("deny" as const),
    };
    return signObject("result", claims, [this.#parts.signer]);
  }
}

/** Who a credential says it is of. */
function nodeOf(credential: Uint8Array) {
  const claims = parseNode(credential);
  return claims && { name: claims.name, ueid: Buffer.from(claims.ueid).toString("hex") };
}

function read(evidence: Uint8Array): { readonly value: Evidence } {
  try {
    return parsePlain("evidence", evidence);
  } catch (cause) {
    throw new PlaneError("plane.evidence", `That is no evidence: ${String(cause)}`, { cause });
  }
}

/**
 * Gates pin other charters than the plane: each the one that was last proven to it. Evidence is
 * judged from its own first charter on where all of its charters are the plane's own, byte for byte
 * and to the last; so nobody can lead the plane into a fork of its lineage.
 */
function pinFor(charters: Evidence["charters"], published: Published): Uint8Array | null {
  const first = published.charters.length - charters.length;
  if (first < 0 || charters.length === 0) return null;
  const own = published.charters.slice(first);
  const same = own.every((bytes, i) => compareBytes(bytes, charters[i] ?? new Uint8Array(0)) === 0);
  return same ? (published.charterDigests[first] ?? null) : null;
}

/**
 * What the plane published itself is a floor as soon as it is published: a revocation holds for
 * every node at once, whatever each has seen.
 */
function raised(floors: Floors, published: Published): Floors {
  if (published.version <= floors.snapshotVersion) return floors;
  return { ...floors, snapshotVersion: published.version, snapshotDigest: published.digest };
}

/** A link without a maximum of its own is bound by its ancestors', each of which is counted too. */
function boundedUses(verdict: Verdict & { readonly allow: true }) {
  return verdict.request.elements.map((element) => ({
    ...element,
    max: element.max === 0 ? Number.MAX_SAFE_INTEGER : element.max,
  }));
}

function provenBy({ floors, counters }: Verdict, seenSeconds: number): Proven | null {
  if (floors === null) return null;
  const { signedTime, charterDigest, charterNumber, snapshotVersion, snapshotDigest } = floors;
  return {
    floors: {
      charterDigest,
      charterNumber,
      snapshotVersion,
      snapshotDigest,
      timeSeconds: signedTime,
    },
    counters: counters && { akName: counters.akName, values: counters, seenSeconds },
  };
}
