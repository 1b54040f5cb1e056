/** What was proven of an IMA list: kept for its boot session, its policies and its key, and only raised. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ImaPrefix, Transaction } from "../../../src/store/contract.ts";
import { digest, type Home, makeHome } from "../../support/journal.ts";

let home: Home;
beforeEach(async () => {
  home = await makeHome();
});
afterEach(() => home.remove());

const AK = new Uint8Array(34).fill(7);
const POLICIES = [digest(2), digest(1)];
const transact = <T>(work: (transaction: Transaction) => Promise<T>) => home.store.transact(work);
const prefix = (entries: number, resetCount = 5, restartCount = 0): ImaPrefix => ({
  ...{ resetCount, restartCount, entries },
  values: [new Uint8Array(20).fill(entries), new Uint8Array(32).fill(entries)],
});
const counters = (resetCount: number, restartCount = 0) => ({
  ...{ resetCount, restartCount, clock: 1n, firmwareVersion: 1n },
});
const boot = (resetCount: number, restartCount = 0) =>
  transact((one) => one.raiseCounters(AK, counters(resetCount, restartCount), 1));
const raise = (offered: ImaPrefix, policies = POLICIES, ak = AK) =>
  transact((one) => one.raiseImaPrefix(ak, policies, offered));
const held = (policies = POLICIES, ak = AK) => home.store.imaPrefix(ak, policies);

test("is kept under its policies in any order, and for no others and no other key", async () => {
  await boot(5);
  expect(await held()).toBe(null);
  await raise(prefix(3));
  expect(await held([digest(1), digest(2)])).toEqual(prefix(3));
  expect(await held([digest(1)])).toBe(null);
  expect(await held(POLICIES, new Uint8Array(34))).toBe(null);
});

test("only rises", async () => {
  await boot(5);
  await raise(prefix(3));
  await raise(prefix(2));
  await raise({ ...prefix(3), values: [new Uint8Array(32)] });
  expect(await held()).toEqual(prefix(3));
  await raise(prefix(4));
  expect(await held()).toEqual(prefix(4));
});

test("is that of the boot session of the counters: an earlier or later one is not kept", async () => {
  await raise(prefix(3));
  expect(await held()).toBe(null);
  await boot(5, 1);
  for (const [reset, restart] of [
    [5, 0],
    [5, 2],
    [6, 1],
  ] as const) {
    await raise(prefix(3, reset, restart));
    expect(await held()).toBe(null);
  }
});

test("is dropped by a later session, under any policies, and by an enrollment", async () => {
  for (const drop of [() => boot(5, 1), () => boot(6)]) {
    const now = await home.store.counters(AK);
    await boot(now?.resetCount ?? 5, now?.restartCount ?? 0);
    const { resetCount, restartCount } = (await home.store.counters(AK)) ?? counters(5);
    await raise(prefix(3, resetCount, restartCount));
    await raise(prefix(3, resetCount, restartCount), [digest(9)]);
    await drop();
    expect([await held(), await held([digest(9)])]).toEqual([null, null]);
  }
  await raise(prefix(3, 6));
  // TPM2_Clear zeroed the counters, and they came to the same numbers again.
  await transact((one) => one.replaceCounters(AK, counters(6), 1));
  expect(await held()).toBe(null);
});

test("is held for a bounded number of sets of policies", async () => {
  await boot(5);
  for (let i = 1; i <= 20; i++) await raise(prefix(i), [digest(i)]);
  const kept = await Promise.all(Array.from({ length: 20 }, (_, i) => held([digest(i + 1)])));
  expect(kept.filter((one) => one !== null)).toHaveLength(16);
  expect(kept.at(-1)).toEqual(prefix(20));
});

test("refuses what no bank and no digest has", async () => {
  await boot(5);
  await expect(raise({ ...prefix(1), values: [new Uint8Array(21)] })).rejects.toThrow("no bank");
  await expect(raise(prefix(1), [new Uint8Array(31)])).rejects.toThrow("policy digest");
});
