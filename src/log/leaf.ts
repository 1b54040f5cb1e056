/**
 * One leaf of the log: what was decided or what came of it, in deterministic CBOR. It holds digests
 * only, never arguments, variables or paths: the log may be shown to those who may not see the
 * jobs.
 */
import { decode, encode } from "../wire/cbor.ts";
import {
  choice,
  claims,
  list,
  nullable,
  type Of,
  required,
  time,
  tuple,
  uint,
  where,
} from "../wire/schema.ts";
import { digest, ident } from "../wire/shapes.ts";
import { LogError } from "./error.ts";

const WARNINGS_MAX = 16;

const leaf = where(
  claims({
    event: required(1, choice({ denied: 1, intent: 2, outcome: 3, checked: 4, aborted: 5 })),
    /** Seconds since 1970, by the gate's clock. */
    time: required(2, time),
    /** Why it was denied, or why an outcome is none; null for what was allowed. */
    code: required(3, nullable(ident)),
    request: required(4, nullable(digest)),
    /** The request digest of the run's start. */
    run: required(5, nullable(digest)),
    parentRun: required(6, nullable(digest)),
    /** SHA-256 of the recorded case: the name under which cases.ts keeps it. */
    case: required(7, nullable(digest)),
    /** SHA-256 of the WebAssembly module that decided. */
    core: required(8, digest),
    job: required(9, nullable(digest)),
    chain: required(10, nullable(digest)),
    /** How the job ended: its exit code, the signal that killed it, or that nobody saw it end. */
    exit: required(
      11,
      nullable(tuple({ kind: choice({ code: 0, signal: 1, aborted: 2 }), number: uint() })),
    ),
    warnings: required(12, list(ident, { max: WARNINGS_MAX })),
    /** Set where the grant's class marks every use (break-glass). */
    mark: required(13, nullable(ident)),
  }),
  (value) => {
    const ended = value.event === "outcome" || value.event === "aborted";
    if ((value.exit !== null) !== ended) return "exit stands in an outcome or aborted, only there";
    if ((ended || value.event === "intent") && value.run === null) return "names no run";
    if (value.event === "denied" && value.code === null) return "denied without a code";
    if (value.event === "intent" && (value.code !== null || value.request === null)) {
      return "an intent has a request and no code";
    }
    return null;
  },
);

export type Leaf = Of<typeof leaf>;

/**
 * Throws WireError `wire.shape` for a leaf out of bounds, or one whose members contradict its
 * event.
 */
export function encodeLeaf(value: Leaf): Uint8Array {
  return encode(leaf.encode(value, "leaf"));
}

/**
 * Inverse of encodeLeaf; refuses everything that encodeLeaf would not write. Throws LogError
 * `log.malformed`.
 */
export function parseLeaf(bytes: Uint8Array): Leaf {
  try {
    return leaf.decode(decode(bytes), "leaf");
  } catch (cause) {
    throw new LogError("log.malformed", `That is no leaf: ${String(cause)}.`, { cause });
  }
}

/** A leaf as people read it: digests in hex, times in ISO 8601. */
export function showLeaf(value: Leaf): unknown {
  return leaf.show(value);
}
