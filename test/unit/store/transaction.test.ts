import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Counters, Floors, Transaction } from "../../../src/store/contract.ts";
import { digest, FLOORS, type Home, makeHome } from "../../support/journal.ts";

let home: Home;
beforeEach(async () => {
  home = await makeHome();
});
afterEach(() => home.remove());

const failing = (code: string) => expect.objectContaining({ code, name: "StoreError" });
const transact = <T>(work: (transaction: Transaction) => Promise<T>) => home.store.transact(work);
const raise = (floors: Partial<Floors>) =>
  transact((transaction) => transaction.raiseFloors({ ...FLOORS, ...floors }));

describe("floors", () => {
  test("the first pin is set once, and moves only by raiseFloors", async () => {
    const again = transact((transaction) => transaction.pinCharter(digest(9), 9));
    await expect(again).rejects.toThrow(failing("store.pinned"));
  });

  test("pin, snapshot and time rise", async () => {
    const higher: Floors = {
      charterDigest: digest(20),
      charterNumber: 3,
      snapshotVersion: 8,
      snapshotDigest: digest(21),
      timeSeconds: 900,
    };
    expect(await raise(higher)).toBe("raised");
    expect(await home.store.floors()).toEqual(higher);
  });

  test("time at, above and below what is held", async () => {
    expect(await raise({})).toBe("raised");
    expect(await raise({ timeSeconds: 101 })).toBe("raised");
    expect(await raise({ timeSeconds: 99 })).toBe("raised");
    expect((await home.store.floors())?.timeSeconds).toBe(101);
  });

  test("a lower snapshot or charter is behind; the other parts rise all the same", async () => {
    await raise({ snapshotVersion: 5, charterNumber: 2, charterDigest: digest(22) });
    const old = { snapshotVersion: 4, snapshotDigest: digest(4), timeSeconds: 200 };
    expect(await raise({ ...old, charterNumber: 2, charterDigest: digest(22) })).toBe("behind");
    expect(await raise({ snapshotVersion: 6, snapshotDigest: digest(6) })).toBe("behind");
    expect(await home.store.floors()).toEqual({
      charterDigest: digest(22),
      charterNumber: 2,
      snapshotVersion: 6,
      snapshotDigest: digest(6),
      timeSeconds: 200,
    });
  });

  test("an equal number with another digest is contradicted and changes nothing", async () => {
    await raise({});
    const before = await home.store.floors();
    const time = { timeSeconds: 999 };
    expect(await raise({ ...time, snapshotDigest: digest(77) })).toBe("contradicted");
    expect(await raise({ ...time, charterDigest: digest(77) })).toBe("contradicted");
    expect(await raise({ ...time, charterDigest: digest(7), snapshotVersion: 9 })).toBe(
      "contradicted",
    );
    expect(await home.store.floors()).toEqual(before);
  });

  test("values out of bounds are refused", async () => {
    for (const bad of [
      { timeSeconds: -1 },
      { timeSeconds: 2 ** 53 },
      { timeSeconds: Number.NaN },
      { snapshotVersion: 1.5 },
      { charterNumber: 2, charterDigest: new Uint8Array(31) },
      { snapshotVersion: 2, snapshotDigest: new Uint8Array(33) },
      { snapshotVersion: 2, snapshotDigest: null },
      { snapshotVersion: 0 },
    ]) {
      await expect(raise(bad)).rejects.toThrow(failing("store.input"));
    }
  });
});

test("holdings are what single reads tell, outside of a transaction and within one", async () => {
  const [name, elements] = [new Uint8Array(34).fill(1), [digest(60), digest(61)]];
  const counters = { resetCount: 1, restartCount: 2, clock: 3n, firmwareVersion: 4n };
  const subjects = [
    { akName: new Uint8Array(34), elements: [digest(61)] },
    { akName: name, elements },
    { akName: name, elements: [] },
  ];
  const told = await transact(async (transaction) => {
    await transaction.raiseCounters(name, counters, 1_000);
    await transaction.claimUses(digest(50), [{ digest: digest(61), max: 2, expires: 5_000 }]);
    return transaction.holdings(subjects);
  });
  expect(told).toEqual({
    floors: await home.store.floors(),
    holdings: [
      { counters: null, uses: [1] },
      { counters, uses: [0, 1] },
      { counters, uses: [] },
    ],
  });
  expect(await home.store.holdings(subjects)).toEqual(told);
  // The view of one moment was given back: the next transaction begins, and is seen.
  await transact((transaction) =>
    transaction.claimUses(digest(51), [{ digest: digest(60), max: 2, expires: 5_000 }]),
  );
  expect((await home.store.holdings(subjects)).holdings[1]?.uses).toEqual([1, 1]);
});

describe("counters", () => {
  const AK = new Uint8Array(34).fill(7);
  const at = (
    resetCount: number,
    restartCount: number,
    clock: bigint,
    firmware = 5n,
  ): Counters => ({
    resetCount,
    restartCount,
    clock,
    firmwareVersion: firmware,
  });
  const offer = (counters: Counters, seen = 1_000) =>
    transact((transaction) => transaction.raiseCounters(AK, counters, seen));

  test("the boot session is lexicographic: a reset zeroes restartCount and may set the clock back", async () => {
    expect(await home.store.counters(AK)).toBeNull();
    expect(await offer(at(4, 7, 1_000n))).toBe("raised");
    expect(await offer(at(5, 0, 10n))).toBe("raised");
    expect(await home.store.counters(AK)).toEqual(at(5, 0, 10n));
    expect(await offer(at(4, 8, 5_000n))).toBe("behind");
    expect(await home.store.counters(AK)).toEqual(at(5, 0, 10n));
  });

  test("within one reset the clock only rises, over restarts too; a lower one is not behind", async () => {
    await offer(at(4, 1, 1_000n));
    expect(await offer(at(4, 1, 900n))).toBe("raised");
    expect(await offer(at(4, 2, 950n))).toBe("raised");
    expect(await home.store.counters(AK)).toEqual(at(4, 2, 1_000n));
    expect(await offer(at(4, 1, 2_000n))).toBe("behind");
    expect(await home.store.counters(AK)).toEqual(at(4, 2, 2_000n));
  });

  test("firmware never falls, and each key has its own counters", async () => {
    const max = 2n ** 64n - 1n;
    await offer(at(1, 1, max, max));
    expect(await offer(at(2, 0, 0n, 1n))).toBe("behind");
    expect(await home.store.counters(AK)).toEqual(at(2, 0, 0n, max));
    expect(await home.store.counters(new Uint8Array(34))).toBeNull();
  });

  test("enrollment may set them back; values out of bounds are refused", async () => {
    await offer(at(9, 9, 9n, 9n));
    await transact((transaction) => transaction.replaceCounters(AK, at(0, 0, 0n, 9n), 0));
    expect(await home.store.counters(AK)).toEqual(at(0, 0, 0n, 9n));
    for (const bad of [at(-1, 0, 0n), at(0, 0.5, 0n), at(10, 0, 2n ** 64n), at(10, 0, -1n)]) {
      await expect(offer(bad)).rejects.toThrow(failing("store.input"));
    }
    const nameless = transact((transaction) =>
      transaction.raiseCounters(new Uint8Array(0), at(0, 0, 0n), 0),
    );
    await expect(nameless).rejects.toThrow(failing("store.input"));
  });

  // 100 s on the TPM's clock: at 30 % fast that is 70 s, less 10 s for what is rounded.
  test.each([
    ["as much time", 1_100, "raised"],
    ["exactly as little as may be", 1_060, "raised"],
    ["a second less", 1_059, "slow"],
    ["none", 1_000, "slow"],
    ["a clock set back", 10, "slow"],
    ["far more: the TPM had no power", 9_000_000, "raised"],
  ])("this machine's clock against the TPM's: %s", async (_name, seen, said) => {
    await offer(at(4, 1, 1_000n), 1_000);
    expect(await offer(at(4, 1, 101_000n), seen)).toBe(said);
    const held = said === "raised" ? at(4, 1, 101_000n) : at(4, 1, 1_000n);
    expect(await home.store.counters(AK)).toEqual(held);
  });

  test("a refused clock is refused again: what it said is not the new floor", async () => {
    await offer(at(4, 1, 1_000n), 1_000);
    expect(await offer(at(4, 1, 101_000n), 1_001)).toBe("slow");
    expect(await offer(at(4, 1, 102_000n), 1_002)).toBe("slow");
    expect(await offer(at(5, 0, 102_000n), 1_002)).toBe("slow");
    // A reset may set the clock back: then it says nothing about the time.
    expect(await offer(at(5, 0, 500n), 1_002)).toBe("raised");
  });
});

describe("the anchor", () => {
  const anchor = {
    index: 0x01805043,
    name: new Uint8Array(34).fill(3),
    value: 2n ** 64n - 1n,
    announced: true,
    snapshotVersion: 7,
    size: 9,
  };

  test("is what was set last, or none", async () => {
    expect(await home.store.anchor()).toBeNull();
    await transact((transaction) => transaction.setAnchor(anchor));
    expect(await home.store.anchor()).toEqual(anchor);
    const next = { ...anchor, value: 0n, announced: false };
    await transact((transaction) => transaction.setAnchor(next));
    expect(await home.store.anchor()).toEqual(next);
    await transact((transaction) => transaction.setAnchor(null));
    expect(await home.store.anchor()).toBeNull();
  });

  test.each([
    ["no Name", { name: new Uint8Array(0) }],
    ["a value below 0", { value: -1n }],
    ["a value of 65 bits", { value: 2n ** 64n }],
    ["a size below 0", { size: -1 }],
    ["half a version", { snapshotVersion: 0.5 }],
  ])("out of bounds: %s", async (_name, change) => {
    const bad = transact((transaction) => transaction.setAnchor({ ...anchor, ...change }));
    await expect(bad).rejects.toThrow(failing("store.input"));
  });
});

describe("the ledger", () => {
  const element = (number: number, max: number, expires = 1_000) => ({
    digest: digest(number),
    max,
    expires,
  });
  const claim = (request: number, ...elements: ReturnType<typeof element>[]) =>
    transact((transaction) => transaction.claimUses(digest(request), elements));

  test("every element of a chain is counted, or none", async () => {
    expect(await claim(50, element(60, 2), element(61, 1))).toBeNull();
    expect(await claim(51, element(60, 2), element(61, 1))).toBe("use");
    expect(await home.store.uses([digest(60), digest(61), digest(62)])).toEqual([1, 1, 0]);
    expect(await claim(52, element(60, 2))).toBeNull();
    expect(await claim(53, element(60, 2))).toBe("use");
  });

  test("one request is claimed once, for whatever elements", async () => {
    expect(await claim(50, element(60, 9))).toBeNull();
    expect(await claim(50, element(60, 9))).toBe("request");
    expect(await claim(50, element(61, 9))).toBe("request");
    expect(await home.store.uses([digest(60), digest(61)])).toEqual([1, 0]);
  });

  test("a maximum of 0 is never claimed", async () => {
    expect(await claim(50, element(60, 0))).toBe("use");
  });

  test("nothing to claim, or one element twice, is a mistake of the caller", async () => {
    await expect(claim(50)).rejects.toThrow(failing("store.input"));
    await expect(claim(50, element(60, 2), element(60, 2))).rejects.toThrow(failing("store.input"));
  });

  test("without a pin nothing is claimed", async () => {
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(home.file);
    database.exec("DELETE FROM floors");
    database.close();
    await expect(claim(50, element(60, 2))).rejects.toThrow(failing("store.unpinned"));
    await expect(raise({})).rejects.toThrow(failing("store.unpinned"));
  });

  test("entries go in the transaction that raises time beyond their expiry, and not before", async () => {
    await claim(50, element(60, 1, 500), element(61, 1, 600));
    await raise({ timeSeconds: 500 });
    expect(await home.store.uses([digest(60), digest(61)])).toEqual([1, 1]);
    await raise({ timeSeconds: 501 });
    expect(await home.store.uses([digest(60), digest(61)])).toEqual([0, 1]);
    expect(await claim(50, element(62, 1))).toBe("request");
    await raise({ timeSeconds: 601 });
    expect(await home.store.uses([digest(61)])).toEqual([0]);
  });

  test("a request is known as long as an element's expiry is not below the time floor", async () => {
    await claim(50, element(60, 1, 500));
    await raise({ timeSeconds: 500 });
    expect(await claim(50, element(62, 1))).toBe("request");
    await raise({ timeSeconds: 501 });
    expect(await claim(50, element(62, 1))).toBeNull();
  });

  test("what was dropped cannot be claimed again with the clock turned back", async () => {
    await claim(50, element(60, 1, 500));
    await raise({ timeSeconds: 501 });
    expect(await claim(50, element(60, 1, 500))).toBe("expired");
    expect(await claim(51, element(60, 1, 501))).toBe("expired");
    expect(await claim(51, element(60, 1, 502))).toBeNull();
  });

  test("against a model that forgets nothing", async () => {
    const step = fc.record({
      request: fc.integer({ min: 0, max: 12 }),
      elements: fc.uniqueArray(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 3 }),
      advance: fc.integer({ min: 0, max: 2 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const fresh = await makeHome();
        /** Request to the last expiry of its elements. */
        const claimed = new Map<number, number>();
        const uses = new Map<number, number>();
        let time = 100;
        for (const { request, elements, advance } of steps) {
          time += advance;
          // An element's number fixes its expiry and maximum, as its digest does.
          const chain = elements.map((n) => element(n, n + 1, 104 + 4 * n));
          const dead = chain.some(({ expires }) => expires <= time);
          const spent = elements.some((n) => (uses.get(n) ?? 0) >= n + 1);
          const refusal = await fresh.store.transact(async (transaction) => {
            await transaction.raiseFloors({ ...FLOORS, timeSeconds: time });
            return transaction.claimUses(digest(100 + request), chain);
          });
          // What is known of a request may go once all its elements have expired, not a second
          // before.
          const known = (claimed.get(request) ?? -1) >= time;
          if (refusal === null) {
            expect({ dead, spent, known }).toEqual({ dead: false, spent: false, known: false });
            claimed.set(request, Math.max(...chain.map(({ expires }) => expires)));
            for (const n of elements) uses.set(n, (uses.get(n) ?? 0) + 1);
          } else {
            expect(dead || spent || known).toBe(true);
          }
        }
        await fresh.remove();
      }),
      { numRuns: 60 },
    );
  });
});

describe("runs and leaves", () => {
  const leaf = (index: number) => ({ index, bytes: Uint8Array.of(index), hash: digest(index) });

  test("a run opens once and closes once", async () => {
    const run = { runId: digest(70), leafIndex: 0, owner: "me" };
    await transact((transaction) => transaction.openRun(run));
    expect(await home.store.openRuns()).toEqual([run]);
    const twice = transact((transaction) => transaction.openRun({ ...run, leafIndex: 1 }));
    await expect(twice).rejects.toThrow(failing("store.input"));
    expect(await transact((transaction) => transaction.closeRun(run.runId))).toBe(true);
    expect(await transact((transaction) => transaction.closeRun(run.runId))).toBe(false);
    expect(await home.store.openRuns()).toEqual([]);
  });

  test("leaves and heads follow each other without a gap", async () => {
    await transact(async (transaction) => {
      await transaction.appendLeaves([leaf(0)], digest(5));
      await transaction.putHead({ size: 1, note: Uint8Array.of(9) });
      await transaction.appendLeaves([leaf(1), leaf(2)], digest(6));
    });
    expect(await home.store.tree()).toEqual({ size: 3, frontier: digest(6) });
    expect(await home.store.leaves(0, 9)).toEqual([leaf(0), leaf(1), leaf(2)]);
    expect(await home.store.leaves(2, 9)).toEqual([leaf(2)]);
    expect(await home.store.leaves(0, 1)).toEqual([leaf(0)]);
    expect(await home.store.lastHead()).toEqual({ size: 1, note: Uint8Array.of(9) });
    for (const indexes of [[0], [2], [4], [3, 3], [3, 5]]) {
      const wrong = transact((transaction) =>
        transaction.appendLeaves(indexes.map(leaf), digest(7)),
      );
      await expect(wrong).rejects.toThrow(failing("store.input"));
    }
    expect(await home.store.tree()).toEqual({ size: 3, frontier: digest(6) });
    const early = transact((transaction) =>
      transaction.putHead({ size: 4, note: Uint8Array.of(1) }),
    );
    await expect(early).rejects.toThrow(failing("store.input"));
  });

  test.each([
    "UPDATE leaves SET bytes = x'00'",
    "DELETE FROM leaves",
    "UPDATE heads SET note = x'00'",
    "DELETE FROM heads",
  ])("append-only: %s", async (sql) => {
    await transact(async (transaction) => {
      await transaction.appendLeaves([leaf(0)], digest(5));
      await transaction.putHead({ size: 1, note: Uint8Array.of(9) });
    });
    const { DatabaseSync } = await import("node:sqlite");
    const database = new DatabaseSync(home.file);
    expect(() => database.exec(sql)).toThrow("append-only");
    database.close();
  });
});
