/** Cores in threads give the verdicts of a core; what dies denies what it had, and no more. */
import { afterEach, expect, test } from "vitest";
import { isAllowed, loadCore } from "../../../src/core/index.ts";
import { createPool, type Pool, type PoolOptions } from "../../../src/core/pool.ts";
import { makeWorld } from "../../support/world.ts";

const world = makeWorld();
let pool: Pool;
afterEach(() => pool.close());
const open = async (options: Partial<PoolOptions> = {}) => {
  pool = await createPool({ workers: 2, ...options });
};
const DYING = new URL("../../support/dying-worker.mjs", import.meta.url);
const POISON = Uint8Array.of(0xff);

test("many at once are decided as one core decides each", async () => {
  await open();
  const cases = await Promise.all([
    world.caseBytes(),
    world.caseBytes({ grant: { exp: world.now } }),
    Promise.resolve(new Uint8Array(3)),
  ]);
  const core = await loadCore();
  const all = Array.from({ length: 60 }, (_, i) => cases[i % 3] ?? new Uint8Array(0));
  const verdicts = await Promise.all(all.map((bytes) => pool.decide(bytes)));
  expect(verdicts).toEqual(all.map((bytes) => core.decide(bytes)));
  expect(verdicts.filter(isAllowed)).toHaveLength(20);
});

test("a worker that dies denies its own, is replaced, and the others go on", async () => {
  await open({ workers: 1, batchMax: 1, entry: DYING });
  const all = [POISON, new Uint8Array(1), POISON, new Uint8Array(1)];
  const codes = (await Promise.all(all.map((bytes) => pool.decide(bytes)))).map(({ code }) => code);
  expect(codes).toEqual([
    "internal.undecided",
    "internal.trap",
    "internal.undecided",
    "internal.trap",
  ]);
  expect(pool.threads).toHaveLength(1);
});

test("what is asked for in the same breath goes to a worker together", async () => {
  await open({ workers: 1, entry: DYING });
  const all = [POISON, new Uint8Array(1), new Uint8Array(1)];
  const verdicts = await Promise.all(all.map((bytes) => pool.decide(bytes)));
  // The worker dies of a batch by its first case: the others were in it.
  expect(verdicts.map(({ code }) => code)).toEqual(all.map(() => "internal.undecided"));
});

test("one after the other dies, and there is an end to it", async () => {
  await open({ workers: 1, entry: DYING });
  for (let i = 0; i < 17; i++) expect((await pool.decide(POISON)).code).toBe("internal.undecided");
  await expect(pool.decide(POISON)).rejects.toMatchObject({ code: "pool.failed" });
});

test("a worker that takes too long is given up", async () => {
  await open({ workers: 1, batchMs: 0, batchMax: 1_000 });
  const good = await world.caseBytes();
  const all = Array.from({ length: 500 }, () => pool.decide(good));
  const codes = new Set((await Promise.all(all)).map(({ code }) => code));
  expect(codes).toContain("internal.timeout");
});

test("beyond its room it is busy, and says so before anything is decided", async () => {
  await open({ workers: 1, batchMax: 1, waitingMax: 2 });
  const good = await world.caseBytes();
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => pool.decide(good)));
  const refused = results.filter(({ status }) => status === "rejected");
  expect(refused.length).toBeGreaterThanOrEqual(3);
  for (const result of results) {
    if (result.status === "fulfilled") expect(result.value.code).toBeNull();
    else expect(result.reason).toMatchObject({ code: "pool.busy" });
  }
});

test("closed, it denies what waits and takes nothing more", async () => {
  await open({ workers: 1, batchMax: 1 });
  const good = await world.caseBytes();
  const waiting = [pool.decide(good), pool.decide(good), pool.decide(good)];
  await pool.close();
  expect((await Promise.all(waiting)).at(-1)?.code).toBe("internal.undecided");
  await expect(pool.decide(good)).rejects.toMatchObject({ code: "pool.busy" });
});
