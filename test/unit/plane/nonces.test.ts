import { describe, expect, test } from "vitest";
import { PlaneError } from "../../../src/plane/index.ts";
import { Nonces } from "../../../src/plane/nonces.ts";

function clocked(usedMax?: number) {
  const clock = { ms: 1_000_000 };
  const nonces = new Nonces({ clockMs: () => clock.ms, ...(usedMax && { usedMax }) });
  return { clock, nonces };
}

describe("a nonce", () => {
  test("has 32 bytes, no two alike, and is taken once", () => {
    const { nonces } = clocked();
    const [one, two] = [nonces.issue(), nonces.issue()];
    expect([one.length, two.length]).toEqual([32, 32]);
    expect(one).not.toEqual(two);
    expect([nonces.take(one), nonces.take(one), nonces.take(two)]).toEqual([true, false, true]);
  });

  test.each([
    [9_999, true],
    [10_000, false],
    [10_001, false],
  ])("%i ms after its issue: %s", (ms, good) => {
    const { clock, nonces } = clocked();
    const nonce = nonces.issue();
    clock.ms += ms;
    expect(nonces.take(nonce)).toBe(good);
  });

  test("stays used until it has expired, however many come after it", () => {
    const { clock, nonces } = clocked();
    const nonce = nonces.issue();
    expect(nonces.take(nonce)).toBe(true);
    for (let i = 0; i < 99; i++) {
      clock.ms += 100;
      expect(nonces.take(nonces.issue())).toBe(true);
      expect(nonces.take(nonce)).toBe(false);
    }
  });

  test("of another process, or changed in any bit, is none (CVE-2026-6420)", () => {
    const { nonces } = clocked();
    const nonce = nonces.issue();
    expect(clocked().nonces.take(nonce)).toBe(false);
    for (let bit = 0; bit < 256; bit++) {
      const changed = nonce.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(nonces.take(changed)).toBe(false);
    }
    for (const size of [0, 16, 31, 33]) expect(nonces.take(new Uint8Array(size))).toBe(false);
    expect(nonces.take(nonce)).toBe(true);
  });

  test("beyond the bound of used ones the plane is busy, until they expire", () => {
    const { clock, nonces } = clocked(2);
    expect([nonces.take(nonces.issue()), nonces.take(nonces.issue())]).toEqual([true, true]);
    expect(() => nonces.take(nonces.issue())).toThrow(PlaneError);
    clock.ms += 10_000;
    expect(nonces.take(nonces.issue())).toBe(true);
  });
});
