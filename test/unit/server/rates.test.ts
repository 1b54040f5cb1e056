/** Whose requests are counted together, and how many are served. */
import { expect, test } from "vitest";
import { callerOf, Rates } from "../../../src/server/rates.ts";

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::1", "0:0:0:0"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8:1:2:ffff::", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["2001:db8:0:2::", "2001:db8:0:2"],
  ["1::3:4:5:6:7:8", "1:0:3:4"],
  ["fe80::1%eth0", "fe80:0:0:0"],
])("%s is counted as %s", (address, caller) => {
  expect(callerOf(address)).toBe(caller);
});

test("each caller has its own count, and one network of IPv6 has one", () => {
  let now = 0;
  const rates = new Rates(2, () => now);
  const all = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"];
  const ask = () => all.map((address) => rates.admits(address));
  expect(ask()).toEqual([true, true, true, true]);
  expect(ask()).toEqual([true, true, false, false]);
  now = 999;
  expect(ask().some(Boolean)).toBe(false);
  now = 1_000;
  expect(ask()).toEqual([true, true, true, true]);
});

test("many callers are not remembered for ever: the first is forgotten", () => {
  const rates = new Rates(1, () => 0);
  expect(rates.admits("first")).toBe(true);
  expect(rates.admits("first")).toBe(false);
  for (let i = 0; i < 10_000; i++) rates.admits(`caller ${i}`);
  expect(rates.admits("first")).toBe(true);
});
