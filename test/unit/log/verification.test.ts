import { generateKeyPairSync } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { signCheckpoint } from "../../../src/log/checkpoint.ts";
import { LogTampered } from "../../../src/log/error.ts";
import { encodeLeaf, type Leaf } from "../../../src/log/leaf.ts";
import {
  append,
  EMPTY_FRONTIER,
  encodeFrontier,
  leafHash,
  rootOf,
} from "../../../src/log/merkle.ts";
import { noteSigner } from "../../../src/log/note.ts";
import { verifyLog } from "../../../src/log/verification.ts";
import type { StoreReader } from "../../../src/store/contract.ts";
import { openSqliteStore } from "../../../src/store/sqlite.ts";
import {
  claimOf,
  denied,
  digest,
  type Home,
  intent,
  journalOf,
  makeHome,
  ORIGIN,
  outcome,
  PROVEN,
  SIGNER,
} from "../../support/journal.ts";

const OPTIONS = { origin: ORIGIN, verifier: SIGNER.verifier };
const TRIGGERS = ["leaves_kept", "leaves_stay", "heads_kept", "heads_stay"];
let home: Home;
let heads: string[];

/** Six leaves: a run, a denial, a run left open, a check. */
beforeEach(async () => {
  home = await makeHome();
  const journal = journalOf(home.store);
  const recorded = [
    await journal.claim(claimOf(50, 60, 9)),
    await journal.record({ proven: PROVEN, leaf: outcome(digest(50)) }),
    await journal.record({ proven: null, leaf: denied("policy.arguments") }),
    await journal.claim(claimOf(51, 60, 9)),
    await journal.record({
      proven: null,
      leaf: { ...denied("policy.arguments"), event: "checked", code: null },
    }),
    await journal.record({ proven: null, leaf: denied("window.expired") }),
  ];
  heads = recorded.map(({ head }) => head);
});
afterEach(() => home.remove());

/**
 * What verifyLog says of a copy of the file that `tamper` changed: null, or the code and the index.
 */
async function findingOf(
  tamper: (database: DatabaseSync) => void,
  earlier?: string,
): Promise<readonly [code: string, index: number] | null> {
  const file = join(home.path, "tampered.db");
  rmSync(file, { force: true });
  await home.store.backup(file);
  const database = new DatabaseSync(file);
  for (const trigger of TRIGGERS) database.exec(`DROP TRIGGER ${trigger}`);
  tamper(database);
  database.close();
  const store = openSqliteStore(file);
  try {
    const options = earlier === undefined ? OPTIONS : { ...OPTIONS, earlier: Buffer.from(earlier) };
    await verifyLog(store, options);
    return null;
  } catch (error) {
    if (!(error instanceof LogTampered)) throw error;
    return [error.code, error.index];
  } finally {
    await store.close();
  }
}

/**
 * Rewrites leaf, hash, every later root and the state, as one who holds everything but the log's
 * key.
 */
function rewrite(database: DatabaseSync, index: number, leaf: Leaf, signer = SIGNER): void {
  const bytes = encodeLeaf(leaf);
  database
    .prepare("UPDATE leaves SET bytes = ?, hash = ? WHERE leaf_index = ?")
    .run(bytes, leafHash(bytes), index);
  let frontier = EMPTY_FRONTIER;
  for (const { hash } of database.prepare("SELECT hash FROM leaves ORDER BY leaf_index").all()) {
    if (!(hash instanceof Uint8Array)) throw new Error("a hash is a blob");
    frontier = append(frontier, hash);
    const { size } = frontier;
    if (size <= index) continue;
    const note = signCheckpoint({ origin: ORIGIN, size, root: rootOf(frontier) }, signer);
    database.prepare("UPDATE heads SET note = ? WHERE size = ?").run(Buffer.from(note), size);
  }
  database.prepare("UPDATE tree SET frontier = ?").run(encodeFrontier(frontier));
}

test("an untouched log verifies and tells what it holds", async () => {
  expect(await findingOf(() => undefined)).toBeNull();
  const verified = await verifyLog(home.store, OPTIONS);
  expect(verified).toMatchObject({
    size: 6,
    events: { denied: 2, intent: 2, outcome: 1, checked: 1, aborted: 0 },
    open: [3],
  });
});

test("an empty log verifies", async () => {
  const empty = await makeHome();
  expect(await verifyLog(empty.store, OPTIONS)).toMatchObject({ size: 0, open: [] });
  await empty.remove();
});

describe("every byte", () => {
  const flip = (bytes: Uint8Array, at: number) => bytes.with(at, (bytes[at] ?? 0) ^ 1);

  /** What verifyLog says of each reader that lies in one byte, `bytes` long, as a set. */
  async function findings(bytes: number, lie: (at: number) => Partial<StoreReader>) {
    const { store } = home;
    const found = new Set<string>();
    for (let at = 0; at < bytes; at++) {
      const truth: StoreReader = {
        floors: () => store.floors(),
        counters: (name) => store.counters(name),
        anchor: () => store.anchor(),
        imaPrefix: (name, policies) => store.imaPrefix(name, policies),
        uses: (digests) => store.uses(digests),
        holdings: (subjects) => store.holdings(subjects),
        openRuns: () => store.openRuns(),
        tree: () => store.tree(),
        leaves: (from, count) => store.leaves(from, count),
        heads: (from, count) => store.heads(from, count),
        lastHead: () => store.lastHead(),
      };
      const said = await verifyLog({ ...truth, ...lie(at) }, OPTIONS).catch((error) => error);
      found.add(said instanceof LogTampered ? `${said.code} ${said.index}` : `byte ${at}: ${said}`);
    }
    return [...found].sort();
  }

  test("of every leaf", async () => {
    for (const { index, bytes } of await home.store.leaves(0, 10)) {
      const found = await findings(bytes.length, (at) => ({
        leaves: async (from, count) =>
          (await home.store.leaves(from, count)).map((leaf) =>
            leaf.index === index ? { ...leaf, bytes: flip(leaf.bytes, at) } : leaf,
          ),
      }));
      expect(found).toEqual([`log.leaf-bytes ${index}`]);
    }
  });

  test("of every stored hash", async () => {
    for (let index = 0; index < 6; index++) {
      const found = await findings(32, (at) => ({
        leaves: async (from, count) =>
          (await home.store.leaves(from, count)).map((leaf) =>
            leaf.index === index ? { ...leaf, hash: flip(leaf.hash, at) } : leaf,
          ),
      }));
      expect(found).toEqual([`log.leaf-bytes ${index}`]);
    }
  });

  test("of a head", async () => {
    const found = await findings(Buffer.byteLength(heads[3] ?? ""), (at) => ({
      heads: async (from, count) =>
        (await home.store.heads(from, count)).map((head) =>
          head.size === 4 ? { ...head, note: flip(head.note, at) } : head,
        ),
    }));
    expect(found).toEqual(["log.head-malformed 3", "log.head-signature 3"]);
  });

  test("of the state kept for appending", async () => {
    const found = await findings(64, (at) => ({
      tree: async () => ({ size: 6, frontier: flip((await home.store.tree()).frontier, at) }),
    }));
    expect(found).toEqual(["log.tree 6"]);
  });
});

describe("tampering", () => {
  const forger = noteSigner(ORIGIN, generateKeyPairSync("ed25519").privateKey);
  const sql = (text: string) => (database: DatabaseSync) => database.exec(text);

  test.each<[string, (database: DatabaseSync) => void, readonly [string, number]]>([
    [
      "a leaf and its hash replaced",
      (database) => {
        const bytes = encodeLeaf(denied("policy.user"));
        database
          .prepare("UPDATE leaves SET bytes = ?, hash = ? WHERE leaf_index = 2")
          .run(bytes, leafHash(bytes));
      },
      ["log.head-root", 2],
    ],
    [
      "everything rewritten under another key",
      (database) => rewrite(database, 2, denied("policy.user"), forger),
      ["log.head-signature", 2],
    ],
    [
      "bytes that are no leaf, consistently",
      (database) => {
        const bytes = Buffer.of(0xa0);
        database
          .prepare("UPDATE leaves SET bytes = ?, hash = ? WHERE leaf_index = 2")
          .run(bytes, leafHash(bytes));
      },
      ["log.leaf-malformed", 2],
    ],
    ["a leaf removed", sql("DELETE FROM leaves WHERE leaf_index = 1"), ["log.leaf-missing", 1]],
    [
      "the last leaf removed",
      sql("DELETE FROM leaves WHERE leaf_index = 5"),
      ["log.leaf-missing", 5],
    ],
    [
      "the first leaf removed",
      sql("DELETE FROM leaves WHERE leaf_index = 0"),
      ["log.leaf-missing", 0],
    ],
    ["an intent's head removed", sql("DELETE FROM heads WHERE size = 4"), ["log.head-missing", 3]],
    ["an outcome's removed", sql("DELETE FROM heads WHERE size = 2"), ["log.head-missing", 1]],
    ["the last head removed", sql("DELETE FROM heads WHERE size = 6"), ["log.head-missing", 5]],
    [
      "two leaves exchanged",
      sql(
        "UPDATE leaves SET leaf_index = 99 WHERE leaf_index = 2; " +
          "UPDATE leaves SET leaf_index = 2 WHERE leaf_index = 5; " +
          "UPDATE leaves SET leaf_index = 5 WHERE leaf_index = 99",
      ),
      ["log.head-root", 2],
    ],
    [
      "a head of another size in its place",
      sql("UPDATE heads SET note = (SELECT note FROM heads WHERE size = 2) WHERE size = 4"),
      ["log.head-malformed", 3],
    ],
    [
      "a leaf beyond the end",
      sql("INSERT INTO leaves SELECT 6, bytes, hash FROM leaves WHERE leaf_index = 5"),
      ["log.surplus", 6],
    ],
    ["a head beyond the end", sql("INSERT INTO heads VALUES (9, x'00')"), ["log.surplus", 6]],
    ["the end forgotten", sql("UPDATE tree SET size = 5"), ["log.surplus", 5]],
    ["all forgotten", sql("UPDATE tree SET size = 0, frontier = x''"), ["log.surplus", 0]],
    [
      "an outcome without an intent, by the key's holder",
      (database) => rewrite(database, 2, outcome(digest(99))),
      ["log.run", 2],
    ],
    [
      "a second outcome, by the key's holder",
      (database) => rewrite(database, 2, outcome(digest(50))),
      ["log.run", 2],
    ],
    [
      "a second intent of an open run, by the key's holder",
      (database) => rewrite(database, 5, intent(digest(51))),
      ["log.run", 5],
    ],
  ])("%s", async (_, tamper, said) => {
    expect(await findingOf(tamper)).toEqual(said);
  });

  test("heads of another origin", async () => {
    const other = { ...OPTIONS, origin: "example.org/portcullis/node-2" };
    await expect(verifyLog(home.store, other)).rejects.toMatchObject({
      code: "log.head-malformed",
    });
  });
});

test("decisions that were settled together stand under one head", async () => {
  const leaf = denied("window.expired");
  const both = [leaf, leaf].map((one) => ({ proven: null, claim: null, leaf: one }));
  await journalOf(home.store).settle(both);
  expect(await findingOf(() => undefined)).toBeNull();
  const forget = (database: DatabaseSync) => database.exec("DELETE FROM heads WHERE size = 8");
  expect(await findingOf(forget)).toEqual(["log.head-missing", 7]);
  const bytes = encodeLeaf(denied("policy.user"));
  const replace = (database: DatabaseSync) => {
    database
      .prepare("UPDATE leaves SET bytes = ?, hash = ? WHERE leaf_index = 6")
      .run(bytes, leafHash(bytes));
  };
  expect(await findingOf(replace)).toEqual(["log.head-root", 7]);
});

describe("an earlier head, kept elsewhere", () => {
  const cut = (database: DatabaseSync) => {
    database.exec("DELETE FROM leaves WHERE leaf_index >= 4; DELETE FROM heads WHERE size > 4");
    const rows = database.prepare("SELECT hash FROM leaves ORDER BY leaf_index").all();
    const frontier = rows.reduce(
      (tree, { hash }) => (hash instanceof Uint8Array ? append(tree, hash) : tree),
      EMPTY_FRONTIER,
    );
    database.prepare("UPDATE tree SET size = 4, frontier = ?").run(encodeFrontier(frontier));
  };

  test("is extended by the true log, at every size", async () => {
    for (const head of heads) expect(await findingOf(() => undefined, head)).toBeNull();
    const empty = signCheckpoint({ origin: ORIGIN, size: 0, root: rootOf(EMPTY_FRONTIER) }, SIGNER);
    expect(await findingOf(() => undefined, empty)).toBeNull();
  });

  test("shows a log that was cut, which else verifies", async () => {
    expect(await findingOf(cut)).toBeNull();
    expect(await findingOf(cut, heads[5])).toEqual(["log.shorter", 4]);
  });

  test("shows a log that the key's holder rewrote, which else verifies", async () => {
    const forge = (database: DatabaseSync) => rewrite(database, 2, denied("policy.user"));
    expect(await findingOf(forge)).toBeNull();
    expect(await findingOf(forge, heads[4])).toEqual(["log.forked", 4]);
    expect(await findingOf(forge, heads[1])).toBeNull();
  });

  test("must itself be signed", async () => {
    const forged = (heads[4] ?? "").replace(/\n5\n/, "\n6\n");
    await expect(findingOf(() => undefined, forged)).rejects.toMatchObject({
      code: "log.signature",
    });
  });
});

test("leaves appended meanwhile do not disturb it", async () => {
  const journal = journalOf(home.store);
  const [verified] = await Promise.all([
    verifyLog(home.store, OPTIONS),
    journal.record({ proven: null, leaf: denied("window.expired") }),
    journal.record({ proven: null, leaf: denied("window.expired") }),
  ]);
  expect(verified.size).toBeGreaterThanOrEqual(6);
});
