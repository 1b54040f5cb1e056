/** The enroller's part of docs/enrollment.md over a network: challenges wait, bounded, for answers. */
import { randomBytes } from "node:crypto";
import { monotonicMs, nowSeconds } from "../clock.ts";
import type { Enroller, PendingEnrollment } from "../enroll/index.ts";
import type { Store } from "../store/contract.ts";
import { type EnrollmentRequest, encodeEnrollment, parseEnrollment } from "../wire/enrollment.ts";
import { parseSigned } from "../wire/objects.ts";
import { PlaneError } from "./error.ts";

/** What the holder of a token may have enrolled. */
export interface EnrollmentTerms {
  readonly labels: readonly string[];
  /** Whether a known node may get another key. */
  readonly replace: boolean;
}

/** Where credentials are numbered and kept. */
export interface NodeRegister {
  /** What this node is enrolled with now; null if it is new. */
  enrolled(
    ueid: Uint8Array,
  ): Promise<{ readonly ueid: Uint8Array; readonly name: Uint8Array } | null>;
  /** A status index that no credential had before, covered by the status list. */
  reserve(): Promise<number>;
  keep(statusIndex: number, credential: Uint8Array): Promise<void>;
}

export interface EnrollmentParts {
  readonly enroller: Enroller;
  readonly register: NodeRegister;
  readonly store: Store;
  /** How long a credential is valid. */
  readonly lifetimeSeconds: number;
  /** How many challenges may wait for their answers at once. */
  readonly waitingMax?: number;
}

interface Waiting {
  readonly pending: PendingEnrollment;
  readonly terms: EnrollmentTerms;
  readonly untilMs: number;
}

export const ANSWER_SECONDS = 60;
const WAITING_MAX = 256;

export class Enrollments {
  readonly #parts: EnrollmentParts;
  readonly #waiting = new Map<string, Waiting>();
  /** Challenges that are being made. */
  #begun = 0;

  constructor(parts: EnrollmentParts) {
    this.#parts = parts;
  }

  /** @throws WireError, EnrollError, PlaneError `plane.busy` */
  async challenge(message: Uint8Array, terms: EnrollmentTerms) {
    const request = parseEnrollment("request", message);
    this.#forget();
    if (this.#waiting.size + this.#begun >= (this.#parts.waitingMax ?? WAITING_MAX)) {
      throw new PlaneError("plane.busy", "Too many enrollments wait for their answers: ask again.");
    }
    const pending = await this.#begin(request);
    const id = new Uint8Array(randomBytes(16));
    const untilMs = monotonicMs() + ANSWER_SECONDS * 1000;
    this.#waiting.set(hex(id), { pending, terms, untilMs });
    const challenge = encodeEnrollment("challenge", pending.challenge);
    return { id, challenge, seconds: ANSWER_SECONDS };
  }

  async #begin(request: EnrollmentRequest): Promise<PendingEnrollment> {
    this.#begun += 1;
    try {
      return await this.#parts.enroller.challenge(request, new Date());
    } finally {
      this.#begun -= 1;
    }
  }

  /**
   * Judges the one answer to a challenge. The terms are those of the token that began.
   *
   * @throws WireError, EnrollError, PlaneError `plane.enrollment`
   */
  async issue(id: string, message: Uint8Array): Promise<Uint8Array> {
    this.#forget();
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (waiting === undefined) {
      throw new PlaneError("plane.enrollment", "That enrollment is unknown, or over: begin again.");
    }
    const { enroller, register, store, lifetimeSeconds } = this.#parts;
    const answer = parseEnrollment("answer", message);
    const iat = nowSeconds();
    const credential = await enroller.issue(waiting.pending, answer, {
      ...waiting.terms,
      statusIndex: () => register.reserve(),
      iat,
      exp: iat + lifetimeSeconds,
      enrolled: await register.enrolled(waiting.pending.ueid),
    });
    const { name, counters, statusIndex } = parseSigned("node", credential).claims;
    await store.transact((transaction) => transaction.replaceCounters(name, counters, iat));
    await register.keep(statusIndex, credential);
    return credential;
  }

  #forget(): void {
    const nowMs = monotonicMs();
    for (const [id, { untilMs }] of this.#waiting) {
      if (untilMs > nowMs) return;
      this.#waiting.delete(id);
    }
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
