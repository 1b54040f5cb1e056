/** A home with a store and a journal in it, for tests of both. Also imported by child processes. */
import { createPrivateKey } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Journal } from "../../src/log/journal.ts";
import type { Leaf } from "../../src/log/leaf.ts";
import { noteSigner } from "../../src/log/note.ts";
import type { Floors, Store } from "../../src/store/contract.ts";
import { createSqliteStore, openSqliteStore, type SqliteStore } from "../../src/store/sqlite.ts";
import { quickFolder } from "./quick-folder.ts";

export const ORIGIN = "example.org/portcullis/node-1";
/** RFC 8032 §7.1, TEST 1: children of a test must sign with the same key. */
const SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PKCS8_ED25519 = "302e020100300506032b657004220420";
export const SIGNER = noteSigner(
  ORIGIN,
  createPrivateKey({
    key: Buffer.from(PKCS8_ED25519 + SEED, "hex"),
    format: "der",
    type: "pkcs8",
  }),
);

/** 32 bytes that a number tells apart. */
export function digest(number: number): Uint8Array {
  const bytes = new Uint8Array(32).fill(0xa5);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

export const CHARTER = digest(1);
export const FLOORS: Floors = {
  charterDigest: CHARTER,
  charterNumber: 1,
  snapshotVersion: 1,
  snapshotDigest: digest(2),
  timeSeconds: 100,
};
export const PROVEN = { floors: FLOORS, counters: null };

const BLANK = {
  time: 100,
  code: null,
  request: null,
  run: null,
  parentRun: null,
  case: null,
  core: digest(3),
  job: null,
  chain: null,
  exit: null,
  warnings: [],
  mark: null,
} satisfies Omit<Leaf, "event">;

export const intent = (request: Uint8Array) =>
  ({ ...BLANK, event: "intent", request, run: request }) as const;
export const outcome = (run: Uint8Array) =>
  ({ ...BLANK, event: "outcome", request: run, run, exit: { kind: "code", number: 0 } }) as const;
export const denied = (code: string) => ({ ...BLANK, event: "denied", code }) as const;

export interface Home {
  readonly path: string;
  readonly file: string;
  readonly store: SqliteStore;
  readonly remove: () => Promise<void>;
}

/** A fresh home whose store has a pinned charter. */
export async function makeHome(): Promise<Home> {
  const path = quickFolder("portcullis-store-");
  const file = join(path, "state.db");
  createSqliteStore(file);
  const store = openSqliteStore(file);
  await store.transact((transaction) => transaction.pinCharter(CHARTER, 1));
  const remove = async () => {
    await store.close();
    rmSync(path, { recursive: true, force: true });
  };
  return { path, file, store, remove };
}

export function journalOf(store: Store): Journal {
  return new Journal({ store, origin: ORIGIN, signer: SIGNER });
}

/** A claim of one use of one element, both told apart by numbers. */
export function claimOf(request: number, element: number, max: number) {
  const requestDigest = digest(request);
  return {
    requestDigest,
    elements: [{ digest: digest(element), max, expires: 1_000 }],
    proven: PROVEN,
    leaf: intent(requestDigest),
  };
}
