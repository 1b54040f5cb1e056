/**
 * The anchor: a counter in the TPM's NV memory that cannot be set back, beside a state that can. An
 * older copy of the state (a restored backup, an older image of the disk) would give claimed uses
 * back and lower the floors; the counter has moved on, and shows it.
 *
 * The counter rises when a claim is the first under a snapshot, or enough leaves have come since
 * (LIMITS.anchorLeaves): TPMs bear some 100,000 writes, so not for each job. What a copy of the
 * state forgets since the last increment goes unnoticed; SECURITY.md says so.
 *
 *     the claim's transaction   announced = true                            crash: value or value + 1
 *     the next transaction      increment, certify, value = it, announced = false
 *
 * The increment is done inside the store's transaction, so that of two gates one increments, and
 * the other finds it done. A counter starts above the highest value that the TPM ever had (Part 1
 * §37.2.3), and never at what the state says: the state records what was certified.
 */

import { compareBytes } from "../bytes.ts";
import { type Anchor, type Store, StoreError } from "../store/contract.ts";
import { parseSigned } from "../wire/objects.ts";

/** The counter of this node's TPM. */
export interface StateCounter {
  /**
   * Increments the counter, unless it has passed `value` already.
   * @returns What the enrolled key certifies that it holds now.
   */
  raise(value: bigint): Promise<bigint>;
}

/** State and counter do not belong together. */
export class StateRollback extends Error {
  constructor(message: string) {
    super(message);
    this.name = "StateRollback";
  }
}

/** What the state said before the counter was read and after, and what must hold. */
export interface Anchored {
  readonly before: Anchor | null;
  readonly after: Anchor | null;
  /** Name of the counter in the node credential; null where it names none. */
  readonly credential: Uint8Array | null;
  /** As certified; null where the evidence holds none. */
  readonly counter: bigint | null;
}

/** The counter that a node credential names, null where it names none; undefined if it is none. */
export function counterNameOf(node: Uint8Array): Uint8Array | null | undefined {
  try {
    return parseSigned("node", node).claims.nvIndexName;
  } catch {
    return undefined;
  }
}

/**
 * Requires that the state is the newest that the counter has stood beside:
 * 1. Credential and state name the same counter, or neither names one.
 * 2. The counter was read.
 * 3. It is not below what the state had certified: then it is another counter.
 * 4. It is not above what the state announced: then this is an older copy of the state.
 * Another gate may raise the counter meanwhile: the state before and after bound it.
 *
 * @throws StateRollback
 */
export function requireAnchored({ before, after, credential, counter }: Anchored): void {
  if (before === null || after === null) {
    if (credential === null && before === after) return;
    throw new StateRollback("The credential names a counter that this state knows nothing of.");
  }
  if (credential === null || compareBytes(credential, after.name) !== 0) {
    throw new StateRollback("The state is guarded by another counter than the credential names.");
  }
  if (counter === null) throw new StateRollback("The counter that guards the state was not read.");
  if (counter < before.value) {
    throw new StateRollback(`The counter is ${counter}, below the ${before.value} of the state.`);
  }
  const most = after.value + (after.announced ? 1n : 0n);
  if (counter > most) {
    throw new StateRollback(
      `The TPM's counter is ${counter}, the state knows ${most} at most: this is an older copy.`,
    );
  }
}

/**
 * Does what was announced. Returns once the counter and the state agree.
 *
 * @throws StateRollback, StoreError, or what the TPM's access throws: nothing may be started.
 */
export function raiseAnchor(store: Store, counter: StateCounter): Promise<void> {
  return store.transact(async (transaction) => {
    const anchor = await transaction.anchor();
    if (anchor === null) throw new StoreError("store.corrupt", "The store has lost its anchor.");
    if (!anchor.announced) return;
    const value = await counter.raise(anchor.value);
    if (value !== anchor.value + 1n) {
      throw new StateRollback(`The counter is ${value}, not the one after ${anchor.value}.`);
    }
    await transaction.setAnchor({ ...anchor, value, announced: false });
  });
}
