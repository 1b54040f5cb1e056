/**
 * The end of the log: appends leaves, and one signed head over them, inside a transaction of the
 * store.
 */
import type { StoredHead, Transaction } from "../store/contract.ts";
import { signCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import { LogError, LogTampered } from "./error.ts";
import { encodeLeaf, type Leaf } from "./leaf.ts";
import {
  append,
  EMPTY_ROOT,
  encodeFrontier,
  type Frontier,
  leafHash,
  parseFrontier,
  rootOf,
} from "./merkle.ts";
import type { NoteSigner } from "./note.ts";

/** The last leaf that was appended, and the head over it. */
export interface Appended {
  readonly index: number;
  readonly leafHash: Uint8Array;
  /** index + 1 */
  readonly size: number;
  readonly root: Uint8Array;
  /** The signed checkpoint. */
  readonly head: string;
}

const NOT_OWN =
  "The log's last head is not by this key under this origin: restore the key that signed it " +
  "(node/log.pem) from a backup; `portcullis audit verify` tells whether the log itself holds.";

export class Appender {
  readonly #origin: string;
  readonly #signer: NoteSigner;
  /** The log was found to be this key's. */
  #continues = false;

  constructor(origin: string, signer: NoteSigner) {
    this.#origin = origin;
    this.#signer = signer;
  }

  /**
   * @throws LogTampered where what was appended before is not this key's; LogError or WireError for
   * a leaf out of bounds.
   */
  async append(transaction: Transaction, leaves: readonly Leaf[]): Promise<Appended> {
    const tree = await transaction.tree();
    let frontier = parseFrontier(tree.size, tree.frontier);
    await this.#requireOwn(transaction, frontier);
    let last: Uint8Array = EMPTY_ROOT;
    const stored = leaves.map((leaf) => {
      const bytes = encodeLeaf(leaf);
      last = leafHash(bytes);
      const index = frontier.size;
      frontier = append(frontier, last);
      return { index, bytes, hash: last };
    });
    const { size } = frontier;
    const root = rootOf(frontier);
    const head = signCheckpoint({ origin: this.#origin, size, root }, this.#signer);
    await transaction.appendLeaves(stored, encodeFrontier(frontier));
    await transaction.putHead({ size, note: Buffer.from(head) });
    return { index: size - 1, leafHash: last, size, root, head };
  }

  /**
   * Only the key that signed the log so far, under the same origin, continues it. One that was made
   * anew because the old one is lost would spoil the log for every auditor, and nobody would know
   * before the next audit.
   */
  async #requireOwn(transaction: Transaction, frontier: Frontier): Promise<void> {
    if (this.#continues) return;
    const head = await transaction.lastHead();
    if (head === null ? frontier.size > 0 : !this.#isOwn(head, frontier)) {
      throw new LogTampered("log.head-signature", frontier.size - 1, NOT_OWN);
    }
    this.#continues = true;
  }

  /** Whether this key signed the head, and over the very leaves that are continued. */
  #isOwn({ note }: StoredHead, frontier: Frontier): boolean {
    try {
      const { size, root } = verifyCheckpoint(note, this.#origin, [this.#signer.verifier]);
      return size === frontier.size && Buffer.compare(root, rootOf(frontier)) === 0;
    } catch (error) {
      if (error instanceof LogError) return false;
      throw error;
    }
  }
}
