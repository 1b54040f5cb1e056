/**
 * The receipt: what the gate did, signed by the node's log key, tied to the leaf and the head that
 * say the same.
 */
import { nowSeconds } from "../clock.ts";
import type { Code } from "../core/index.ts";
import type { Recorded } from "../log/journal.ts";
import type { Signer } from "../wire/keys.ts";
import { type Receipt, signObject } from "../wire/objects.ts";

export interface ReceiptFacts {
  readonly event: Receipt["event"];
  readonly code: Code | null;
  readonly runId: Uint8Array | null;
  /** The gate's own exit code. */
  readonly exit: number | null;
  readonly warnings: readonly string[];
}

/** A COSE_Sign1 of kind receipt (docs/wire-format.md). */
export function makeReceipt(
  facts: ReceiptFacts,
  recorded: Recorded,
  coreDigest: Uint8Array,
  signer: Signer,
): Promise<Uint8Array> {
  const claims = {
    iat: nowSeconds(),
    event: facts.event,
    code: facts.code,
    run: facts.runId,
    leafIndex: recorded.index,
    leafHash: recorded.leafHash,
    exit: facts.exit,
    core: coreDigest,
    warnings: facts.warnings,
    checkpoint: { size: recorded.size, root: recorded.root },
    ...(recorded.mark !== null && { mark: recorded.mark }),
  };
  return signObject("receipt", claims, [signer]);
}
