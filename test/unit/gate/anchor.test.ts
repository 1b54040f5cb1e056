/**
 * The counter beside the state: what of both belongs together, and that no crash, no race and no
 * fault of either makes an honest state look old, nor an old copy look new.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { raiseAnchor, requireAnchored, StateRollback } from "../../../src/gate/anchor.ts";
import { LIMITS } from "../../../src/limits.ts";
import type { Anchor, Store } from "../../../src/store/contract.ts";
import { faultyStore } from "../../support/faulty-store.ts";
import { claimOf, type Home, journalOf, makeHome } from "../../support/journal.ts";

const NAME = new Uint8Array(34).fill(9);
const ANCHOR: Anchor = {
  index: 0x01805043,
  name: NAME,
  value: 5n,
  announced: false,
  snapshotVersion: 0,
  size: 0,
};
const ANNOUNCED = { ...ANCHOR, announced: true };

describe("what belongs together", () => {
  const other = new Uint8Array(34).fill(8);
  test.each([
    ["no counter anywhere", null, null, null, null, true],
    ["exactly what was certified", ANCHOR, ANCHOR, NAME, 5n, true],
    ["an increment announced, and not done", ANNOUNCED, ANNOUNCED, NAME, 5n, true],
    ["an increment announced, and done", ANNOUNCED, ANNOUNCED, NAME, 6n, true],
    ["another gate announced meanwhile", ANCHOR, ANNOUNCED, NAME, 6n, true],
    ["another gate was done meanwhile", ANNOUNCED, { ...ANCHOR, value: 6n }, NAME, 5n, true],
    ["the counter is ahead: an older copy", ANCHOR, ANCHOR, NAME, 6n, false],
    ["the counter is two ahead", ANNOUNCED, ANNOUNCED, NAME, 7n, false],
    ["the counter is behind", ANCHOR, ANCHOR, NAME, 4n, false],
    ["the counter is not read", ANCHOR, ANCHOR, NAME, null, false],
    ["a copy from before enrollment", null, null, NAME, 5n, false],
    ["a credential from before there was a counter", ANCHOR, ANCHOR, null, 5n, false],
    ["a credential of another counter", ANCHOR, ANCHOR, other, 5n, false],
    ["the state lost its anchor meanwhile", ANCHOR, null, NAME, 5n, false],
    ["the state gained an anchor meanwhile", null, ANCHOR, null, null, false],
  ] as const)("%s", (_name, before, after, credential, counter, holds) => {
    const judge = (): void => requireAnchored({ before, after, credential, counter });
    if (holds) expect(judge).not.toThrow();
    else expect(judge).toThrow(StateRollback);
  });
});

/** A TPM's counter, which only rises; each increment can be lost, or done and reported as failed. */
class Counter {
  value = 5n;
  increments = 0;
  fault: "lost" | "reported" | null = null;

  async raise(value: bigint): Promise<bigint> {
    if (this.value !== value) return this.value;
    const { fault } = this;
    this.fault = null;
    if (fault === "lost") throw new Error("injected: lost");
    this.value += 1n;
    this.increments++;
    if (fault === "reported") throw new Error("injected: done, reported as failed");
    return this.value;
  }
}

async function anchored(): Promise<Home> {
  const home = await makeHome();
  await home.store.transact((transaction) => transaction.setAnchor(ANCHOR));
  return home;
}

/** Whether the state may be believed, as a gate would ask before the next run. */
async function believed(store: Store, counter: Counter): Promise<boolean> {
  const anchor = await store.anchor();
  try {
    requireAnchored({ before: anchor, after: anchor, credential: NAME, counter: counter.value });
    return true;
  } catch (error) {
    if (error instanceof StateRollback) return false;
    throw error;
  }
}

describe("raising it", () => {
  test("a claim announces under a new snapshot, and once enough leaves have come", async () => {
    const home = await anchored();
    const journal = journalOf(home.store);
    const counter = new Counter();
    const due: number[] = [];
    for (let i = 0; i < 2 * LIMITS.anchorLeaves + 2; i++) {
      const { anchorDue } = await journal.claim(claimOf(i, 200, 1_000));
      if (!anchorDue) continue;
      due.push(i);
      await raiseAnchor(home.store, counter);
    }
    expect(due).toEqual([0, LIMITS.anchorLeaves, 2 * LIMITS.anchorLeaves]);
    expect(counter.increments).toBe(3);
    expect(await home.store.anchor()).toMatchObject({ value: 8n, announced: false });
    await home.remove();
  });

  test.each(["lost", "reported"] as const)(
    "an increment %s: the next one mends it",
    async (fault) => {
      const home = await anchored();
      const counter = new Counter();
      await home.store.transact((transaction) => transaction.setAnchor(ANNOUNCED));
      counter.fault = fault;
      await expect(raiseAnchor(home.store, counter)).rejects.toThrow("injected");
      expect(await believed(home.store, counter)).toBe(true);
      await raiseAnchor(home.store, counter);
      expect(counter.value).toBe(6n);
      expect(await home.store.anchor()).toMatchObject({ value: 6n, announced: false });
      await home.remove();
    },
  );

  test.each([
    [0, "lost"],
    [0, "reported"],
    [1, "lost"],
    [1, "reported"],
  ] as const)("write %i of the state %s: the next one mends it", async (at, fault) => {
    const home = await anchored();
    const counter = new Counter();
    await home.store.transact((transaction) => transaction.setAnchor(ANNOUNCED));
    const faulty = faultyStore(home.store, at, fault);
    await expect(raiseAnchor(faulty, counter)).rejects.toThrow("injected");
    expect(await believed(home.store, counter)).toBe(true);
    await raiseAnchor(home.store, counter);
    expect(counter.value).toBe(6n);
    expect(await home.store.anchor()).toMatchObject({ value: 6n, announced: false });
    await home.remove();
  });

  test("of many gates at once, one increments", async () => {
    const home = await anchored();
    const counter = new Counter();
    await home.store.transact((transaction) => transaction.setAnchor(ANNOUNCED));
    await Promise.all(Array.from({ length: 8 }, () => raiseAnchor(home.store, counter)));
    expect(counter.increments).toBe(1);
    await home.remove();
  });

  test("a counter that skips is refused", async () => {
    const home = await anchored();
    const counter = new Counter();
    counter.value = 9n;
    await home.store.transact((transaction) => transaction.setAnchor(ANNOUNCED));
    await expect(raiseAnchor(home.store, counter)).rejects.toThrow(StateRollback);
    await home.remove();
  });
});

type Step = "announce" | "raise" | "lost" | "reported" | "copy" | "restore";

test("against a model: an honest state is believed, a copy older than a rise is not", async () => {
  const home = await anchored();
  const { store } = home;
  const step = fc.constantFrom<Step>("announce", "raise", "lost", "reported", "copy", "restore");
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const set = (anchor: Anchor | null): Promise<void> =>
        store.transact((transaction) => transaction.setAnchor(anchor));
      await set(ANCHOR);
      const counter = new Counter();
      let copy: { anchor: Anchor | null; value: bigint } = { anchor: ANCHOR, value: 5n };
      for (const one of steps) {
        if (one === "announce") {
          const anchor = await store.anchor();
          if (anchor !== null) await set({ ...anchor, announced: true });
        } else if (one === "copy") {
          copy = { anchor: await store.anchor(), value: counter.value };
        } else if (one === "restore") {
          await set(copy.anchor);
          // Of an increment that the copy announced nobody can tell whether it was done then.
          const slack =
            copy.anchor?.announced === true ? (copy.anchor.value ?? 0n) + 1n : copy.value;
          const young = counter.value <= (slack > copy.value ? slack : copy.value);
          expect(await believed(store, counter)).toBe(young);
          if (!young) return;
        } else {
          if (one !== "raise") counter.fault = one;
          await raiseAnchor(store, counter).catch(() => undefined);
          counter.fault = null;
        }
        expect(await believed(store, counter)).toBe(true);
      }
    }),
    { numRuns: 200 },
  );
  await home.remove();
});
