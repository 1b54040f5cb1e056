/**
 * The plane's part in a decision, as the gate sees it: someone far away who may be silent, slow or
 * lying. Its answer is bytes for the core; nothing that it says here allows.
 */
import { denied, type Verdict } from "../core/index.ts";
import { type Evidence, encodePlain } from "../wire/objects.ts";

/** What a plane answers: its signed result, and its own code where it denies. */
export interface PlaneAnswer {
  /** COSE_Sign1 of kind result; null where it could not even name the request. */
  readonly result: Uint8Array | null;
  readonly code: string | null;
}

/** A control plane; src/client is one. Each call ends by itself within seconds. */
export interface PlaneSource {
  /** A nonce of 32 bytes, good for one decision within 10 seconds. */
  nonce(): Promise<Uint8Array>;
  /** Has the plane judge evidence, the bytes that stand in the case. */
  judge(evidence: Uint8Array): Promise<PlaneAnswer>;
}

/** The plane did not answer, or not in a way that can be read. `cause` says how. */
export class PlaneFailure extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = "PlaneFailure";
  }
}

export interface Opinion {
  readonly result: Uint8Array | null;
  /** It said that it denies, perhaps without a result: it could not name the request. */
  readonly denies: boolean;
  /** Why there is no agreement, in words. */
  readonly failure: { readonly error: Error } | null;
}

/** @throws PlaneFailure where there is none. */
export function nonceOf(plane: PlaneSource): Promise<Uint8Array> {
  return plane.nonce().catch((cause: unknown) => {
    throw new PlaneFailure(cause);
  });
}

/** Never throws: silence is an opinion without a result. */
export async function askPlane(plane: PlaneSource, evidence: Evidence): Promise<Opinion> {
  try {
    const { result, code } = await plane.judge(encodePlain("evidence", evidence));
    const said = code === null ? null : { error: new Error(`the plane says ${code}`) };
    return { result, denies: code !== null, failure: said };
  } catch (error) {
    return { result: null, denies: false, failure: { error: new PlaneFailure(error) } };
  }
}

/** Where a plane was asked, its result is required, whether governance demands it or not. */
export function requireOpinion(verdict: Verdict, { result, denies }: Opinion): Verdict {
  if (!verdict.allow && verdict.code !== "plane.missing") return verdict;
  if (denies) return denied("plane.denied");
  return result === null ? denied("plane.missing") : verdict;
}
