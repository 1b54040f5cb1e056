import { expect, test } from "vitest";
import { encode } from "../../../src/wire/cbor.ts";
import {
  emptyStatusList,
  encodeStatusList,
  grown,
  isRevoked,
  parseStatusList,
  withElementRevoked,
  withStatus,
} from "../../../src/wire/status.ts";
import { refusal, unhex } from "../../support/wire.ts";

test("bits are counted from the least significant", () => {
  let list = emptyStatusList(16, 8);
  for (const index of [0, 9, 15]) list = withStatus(list, "grants", index, true);
  expect(unhex(list.grants)).toBe("0182");
  expect(unhex(list.nodes)).toBe("00");
  const revoked = Array.from({ length: 16 }, (_, i) => i).filter((i) =>
    isRevoked(list, "grants", i),
  );
  expect(revoked).toEqual([0, 9, 15]);
  expect(unhex(withStatus(list, "grants", 9, false).grants)).toBe("0180");
});

test("an index beyond the list is revoked, and cannot be set", () => {
  const list = emptyStatusList(9, 0);
  expect(list.grants).toHaveLength(2);
  expect(isRevoked(list, "grants", 15)).toBe(false);
  expect(isRevoked(list, "grants", 16)).toBe(true);
  expect(isRevoked(list, "nodes", 0)).toBe(true);
  for (const index of [16, -1, 0.5, 2 ** 40]) {
    expect(refusal(() => withStatus(list, "grants", index, true)).message).toMatch(
      /beyond 16 grants/,
    );
  }
});

test("a list grows and keeps what it said", () => {
  const list = withStatus(emptyStatusList(8, 8), "nodes", 7, true);
  const larger = grown(list, "nodes", 100);
  expect(larger.nodes).toHaveLength(13);
  expect(isRevoked(larger, "nodes", 7)).toBe(true);
  expect(grown(larger, "nodes", 1).nodes).toHaveLength(13);
});

test("elements are a sorted set", () => {
  const digest = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
  const list = [3, 1, 2, 1].reduce(
    (all, byte) => withElementRevoked(all, digest(byte)),
    emptyStatusList(0, 0),
  );
  expect(list.elements.map((each) => each[0])).toEqual([1, 2, 3]);
  expect(parseStatusList(encodeStatusList(list))).toEqual(list);
  const empty = new Uint8Array();
  for (const elements of [
    [digest(2), digest(1)],
    [digest(1), digest(1)],
  ]) {
    expect(refusal(() => parseStatusList(encode([empty, empty, elements]))).message).toMatch(
      /not in order/,
    );
  }
  expect(refusal(() => parseStatusList(encode([empty, empty, [empty]]))).message).toMatch(
    /32 bytes/,
  );
});

test("a list beyond 256 KiB is refused", () => {
  expect(refusal(() => encodeStatusList(emptyStatusList(2 ** 21, 8))).message).toMatch(
    /more than 262144/,
  );
});
