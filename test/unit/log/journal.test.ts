import { generateKeyPairSync } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Journal } from "../../../src/log/journal.ts";
import { parseLeaf } from "../../../src/log/leaf.ts";
import { type NoteSigner, noteSigner } from "../../../src/log/note.ts";
import { verifyLog } from "../../../src/log/verification.ts";
import {
  claimOf,
  denied,
  digest,
  FLOORS,
  type Home,
  intent,
  journalOf,
  makeHome,
  ORIGIN,
  outcome,
  PROVEN,
  SIGNER,
} from "../../support/journal.ts";

let home: Home;
let journal: Journal;
beforeEach(async () => {
  home = await makeHome();
  journal = journalOf(home.store);
});
afterEach(() => home.remove());

const conflict = (code: string) => expect.objectContaining({ name: "LedgerConflict", code });
const failing = (code: string) => expect.objectContaining({ name: "LogError", code });
const verified = () => verifyLog(home.store, { origin: ORIGIN, verifier: SIGNER.verifier });
const AK = new Uint8Array(34).fill(1);
const counters = (resetCount: number) => ({
  akName: AK,
  values: { resetCount, restartCount: 0, clock: 1n, firmwareVersion: 1n },
  seenSeconds: 1_000,
});

describe("claim", () => {
  test("uses, intent, floors, counters and run stand together", async () => {
    const claim = claimOf(50, 60, 3);
    const recorded = await journal.claim({
      ...claim,
      proven: { floors: { ...FLOORS, snapshotVersion: 4 }, counters: counters(2) },
    });
    expect(recorded).toMatchObject({ index: 0, size: 1, root: recorded.leafHash });
    expect(await home.store.uses([digest(60)])).toEqual([1]);
    expect((await home.store.floors())?.snapshotVersion).toBe(4);
    expect((await home.store.counters(AK))?.resetCount).toBe(2);
    expect((await home.store.openRuns()).map((run) => run.runId)).toEqual([digest(50)]);
    const [leaf] = await home.store.leaves(0, 1);
    expect(leaf && parseLeaf(leaf.bytes)).toEqual(claim.leaf);
    expect(Buffer.from((await home.store.lastHead())?.note ?? "").toString()).toBe(recorded.head);
    await verified();
  });

  test.each<[string, string, Parameters<Journal["claim"]>[0]]>([
    ["the same request again", "ledger.request", claimOf(50, 61, 3)],
    ["no use left", "ledger.use", claimOf(51, 60, 1)],
    [
      "an element that the time floor has passed",
      "ledger.expired",
      { ...claimOf(51, 60, 9), elements: [{ digest: digest(60), max: 9, expires: 100 }] },
    ],
    [
      "an older snapshot than another run proved",
      "ledger.floors",
      {
        ...claimOf(51, 60, 9),
        proven: { floors: { ...FLOORS, snapshotVersion: 0, snapshotDigest: null }, counters: null },
      },
    ],
    [
      "another snapshot of the same version",
      "ledger.floors",
      {
        ...claimOf(51, 60, 9),
        proven: { floors: { ...FLOORS, snapshotDigest: digest(99) }, counters: null },
      },
    ],
    [
      "an earlier boot than another run proved",
      "ledger.counters",
      { ...claimOf(51, 60, 9), proven: { floors: FLOORS, counters: counters(1) } },
    ],
  ])("%s is a conflict and writes nothing", async (_, code, claim) => {
    const first = { ...claimOf(50, 60, 9), proven: { floors: FLOORS, counters: counters(2) } };
    await journal.claim(first);
    const before = [
      await home.store.floors(),
      await home.store.tree(),
      await home.store.openRuns(),
    ];
    await expect(journal.claim(claim)).rejects.toThrow(conflict(code));
    const after = [await home.store.floors(), await home.store.tree(), await home.store.openRuns()];
    expect(after).toEqual(before);
    expect(await home.store.uses([digest(60), digest(61)])).toEqual([1, 0]);
  });

  test("the leaf must be the intent of that very request", async () => {
    const other = { ...claimOf(50, 60, 3), leaf: intent(digest(51)) };
    await expect(journal.claim(other)).rejects.toThrow(failing("log.malformed"));
  });

  test("two uses at once of a last one: one wins", async () => {
    const both = await Promise.allSettled([
      journal.claim(claimOf(50, 60, 1)),
      journalOf(home.store).claim(claimOf(51, 60, 1)),
    ]);
    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  });
});

describe("record", () => {
  test("an outcome closes its run, once", async () => {
    await journal.claim(claimOf(50, 60, 3));
    await journal.record({ proven: PROVEN, leaf: outcome(digest(50)) });
    expect(await home.store.openRuns()).toEqual([]);
    const again = journal.record({ proven: PROVEN, leaf: outcome(digest(50)) });
    await expect(again).rejects.toThrow(failing("log.closed"));
    expect((await verified()).size).toBe(2);
  });

  test("a denial whose floors are behind is recorded all the same, and lowers nothing", async () => {
    await journal.claim({
      ...claimOf(50, 60, 3),
      proven: { floors: { ...FLOORS, snapshotVersion: 7 }, counters: counters(5) },
    });
    const before = await home.store.floors();
    const contradicted = { ...FLOORS, snapshotVersion: 7, snapshotDigest: digest(98) };
    await journal.record({ proven: PROVEN, leaf: denied("window.expired") });
    await journal.record({
      proven: { floors: contradicted, counters: counters(4) },
      leaf: denied("window.expired"),
    });
    expect(await home.store.floors()).toEqual(before);
    expect((await home.store.counters(AK))?.resetCount).toBe(5);
    expect((await verified()).events.denied).toBe(2);
  });

  test("a leaf out of bounds is not written", async () => {
    const bad = { ...denied("window.expired"), code: "no code" };
    await expect(journal.record({ proven: null, leaf: bad })).rejects.toThrow(
      failing("log.unwritable"),
    );
    expect((await home.store.tree()).size).toBe(0);
  });
});

describe("settle", () => {
  const judged = (key: number, element: number, max: number) => ({
    proven: PROVEN,
    claim: { key: digest(key), elements: [{ digest: digest(element), max, expires: 1_000 }] },
    leaf: { ...denied("window.expired"), event: "checked", code: null } as const,
  });
  const stored = async () =>
    (await home.store.leaves(0, 20)).map(({ bytes }) => parseLeaf(bytes).code);

  test("each is judged by what those before it claimed; all share one head", async () => {
    const settled = await journal.settle([
      judged(50, 60, 2),
      judged(51, 60, 2),
      judged(52, 60, 2),
      judged(51, 61, 2),
      { proven: null, claim: null, leaf: denied("policy.user") },
      judged(53, 61, 1),
    ]);
    expect(settled.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
    const why = [null, null, "ledger.use", "ledger.request", null, null];
    expect(settled.map(({ conflict }) => conflict?.code ?? null)).toEqual(why);
    const lost = "internal.ledger";
    expect(await stored()).toEqual([null, null, lost, lost, "policy.user", null]);
    expect(await home.store.uses([digest(60), digest(61)])).toEqual([2, 1]);
    expect((await home.store.heads(0, 9)).map(({ size }) => size)).toEqual([6]);
    expect(await verified()).toMatchObject({ size: 6, events: { checked: 3, denied: 3 } });
  });

  test("with one that is out of bounds, nothing of any is written", async () => {
    const bad = { proven: null, claim: null, leaf: { ...denied("x"), code: "no code" } };
    await expect(journal.settle([judged(50, 60, 2), bad])).rejects.toThrow(
      failing("log.unwritable"),
    );
    expect(await home.store.uses([digest(60)])).toEqual([0]);
    expect((await home.store.tree()).size).toBe(0);
  });
});

describe("a log that is not this key's", () => {
  const signer = (origin: string) => noteSigner(origin, generateKeyPairSync("ed25519").privateKey);
  const other = (origin: string, key: NoteSigner) =>
    new Journal({ store: home.store, origin, signer: key });
  const tampered = expect.objectContaining({ name: "LogTampered", code: "log.head-signature" });

  test("is not continued: no claim, no record, and nothing is written", async () => {
    await journal.record({ proven: null, leaf: denied("artifact.missing") });
    const elsewhere = "example.org/elsewhere";
    const strangers = [other(ORIGIN, signer(ORIGIN)), other(elsewhere, signer(elsewhere))];
    for (const stranger of strangers) {
      await expect(stranger.claim(claimOf(50, 60, 3))).rejects.toEqual(tampered);
      const entry = { proven: null, leaf: denied("artifact.missing") } as const;
      await expect(stranger.record(entry)).rejects.toEqual(tampered);
    }
    expect(await home.store.uses([digest(60)])).toEqual([0]);
    await journal.record({ proven: null, leaf: denied("artifact.missing") });
    expect((await verified()).size).toBe(2);
  });

  test("nor one whose state for appending is another than its head's", async () => {
    await journal.record({ proven: null, leaf: denied("artifact.missing") });
    const sql = new DatabaseSync(home.file);
    sql.exec("UPDATE tree SET frontier = zeroblob(32)");
    sql.close();
    const again = journalOf(home.store).claim(claimOf(50, 60, 3));
    await expect(again).rejects.toEqual(tampered);
  });
});

describe("abortOpenRuns", () => {
  test("leaves runs of living gates alone, this one's too", async () => {
    await journal.claim(claimOf(50, 60, 3));
    expect(await journal.abortOpenRuns(200)).toEqual([]);
    expect(await journalOf(home.store).abortOpenRuns(200)).toEqual([]);
  });

  test("a dead gate's intent becomes aborted, with what the intent named", async () => {
    await journal.claim({ ...claimOf(50, 60, 3), leaf: { ...intent(digest(50)), job: digest(8) } });
    await journal.claim(claimOf(51, 60, 3));
    const dead = digest(50).join();
    const aborted = await journal.abortOpenRuns(200, (run) => run.runId.join() !== dead);
    expect(aborted.map(({ index }) => index)).toEqual([2]);
    const [leaf] = await home.store.leaves(2, 1);
    expect(leaf && parseLeaf(leaf.bytes)).toEqual({
      ...intent(digest(50)),
      job: digest(8),
      event: "aborted",
      time: 200,
      exit: { kind: "aborted", number: 0 },
    });
    expect((await verified()).open).toEqual([1]);
    const late = journal.record({ proven: null, leaf: outcome(digest(50)) });
    await expect(late).rejects.toThrow(failing("log.closed"));
  });

  test("two at once give one leaf a run", async () => {
    await journal.claim(claimOf(50, 60, 3));
    const dead = () => false;
    const both = await Promise.all([
      journal.abortOpenRuns(200, dead),
      journalOf(home.store).abortOpenRuns(200, dead),
    ]);
    expect(both.flat()).toHaveLength(1);
    expect((await verified()).events.aborted).toBe(1);
  });

  test("a run whose intent is not in the log is tampering, not silence", async () => {
    await home.store.transact((transaction) =>
      transaction.openRun({ runId: digest(50), leafIndex: 0, owner: "" }),
    );
    await expect(journal.abortOpenRuns(200)).rejects.toMatchObject({ code: "log.run" });
  });
});
