/** What a decision, and what came of it, leaves in the log: digests, and no argument or value. */
import { nowSeconds } from "../clock.ts";
import type { Verdict } from "../core/index.ts";
import type { Leaf } from "../log/leaf.ts";
import type { Outcome } from "./outcome.ts";

/** What the verdict does not know of its leaf. */
type Circumstances<E extends Leaf["event"]> = Pick<
  Leaf,
  "code" | "run" | "parentRun" | "case" | "core" | "warnings"
> & { readonly event: E };

export function leafOf<E extends Leaf["event"]>(
  verdict: Verdict,
  circumstances: Circumstances<E>,
): Leaf & { readonly event: E } {
  const { request } = verdict;
  return {
    ...circumstances,
    time: nowSeconds(),
    request: request?.requestDigest ?? null,
    job: request?.jobDigest ?? null,
    chain: request?.chainDigest ?? null,
    exit: null,
    mark: isMarked(verdict) ? "break-glass" : null,
  };
}

/**
 * Whether the class of a grant that was proven to be signed marks every use: an attempt that was
 * denied for another reason stands out as well, and nobody else can set marks.
 */
function isMarked({ request, families }: Verdict): boolean {
  return request?.mark === true && families.signature === "proven";
}

export function exitOf(outcome: Outcome | null): Leaf["exit"] {
  if (outcome === null) return { kind: "aborted", number: 0 };
  if (outcome.kind === "signalled") return { kind: "signal", number: outcome.signal };
  return { kind: "code", number: outcome.code };
}
