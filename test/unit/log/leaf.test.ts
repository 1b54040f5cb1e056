import { describe, expect, test } from "vitest";
import { encodeLeaf, type Leaf, parseLeaf, showLeaf } from "../../../src/log/leaf.ts";
import { decode, encode } from "../../../src/wire/cbor.ts";
import { isMap } from "../../../src/wire/cbor-value.ts";
import { denied, digest, intent, outcome } from "../../support/journal.ts";

const failing = expect.objectContaining({ name: "LogError", code: "log.malformed" });
const full: Leaf = {
  ...outcome(digest(4)),
  code: "internal.deadline",
  parentRun: digest(5),
  case: digest(6),
  job: digest(7),
  chain: digest(8),
  exit: { kind: "signal", number: 9 },
  warnings: ["exec.namespaces"],
  mark: "break-glass",
};
const LEAVES: Leaf[] = [
  intent(digest(4)),
  outcome(digest(4)),
  denied("policy.executable"),
  { ...denied("policy.executable"), event: "checked" },
  { ...intent(digest(4)), event: "aborted", exit: { kind: "aborted", number: 0 } },
  full,
];

test.each(LEAVES)("is read back: $event", (leaf) => {
  expect(parseLeaf(encodeLeaf(leaf))).toEqual(leaf);
});

test("has the documented bytes", () => {
  const map = decode(encodeLeaf(full));
  expect(isMap(map) && [...map.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  expect(isMap(map) && [map.get(1), map.get(2), map.get(3), map.get(11), map.get(12)]).toEqual([
    3,
    100,
    "internal.deadline",
    [1, 9],
    ["exec.namespaces"],
  ]);
});

describe("nothing else is a leaf", () => {
  const bytes = encodeLeaf(full);

  test("cut at any length, or with a byte after it", () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parseLeaf(bytes.subarray(0, length))).toThrow(failing);
    }
    expect(() => parseLeaf(Uint8Array.of(...bytes, 0))).toThrow(failing);
  });

  test("an unknown or missing member", () => {
    const map = decode(bytes);
    if (!isMap(map)) throw new Error("a leaf is a map");
    const more = new Map(map).set(14, null);
    expect(() => parseLeaf(encode(more))).toThrow(failing);
    for (const key of map.keys()) {
      const less = new Map(map);
      less.delete(key);
      expect(() => parseLeaf(encode(less)), `without ${key}`).toThrow(failing);
    }
  });

  test.each<[string, Partial<Leaf>]>([
    ["an intent with a code", { ...intent(digest(4)), code: "internal.store" }],
    ["an intent without a run", { ...intent(digest(4)), run: null }],
    ["an intent without a request", { ...intent(digest(4)), request: null }],
    ["an intent with an exit", { ...intent(digest(4)), exit: { kind: "code", number: 0 } }],
    ["an outcome without a run", { ...outcome(digest(4)), run: null }],
    ["an outcome without an exit", { ...outcome(digest(4)), exit: null }],
    ["a denial without a code", { ...denied("x.y"), code: null }],
    ["a code with a space", { ...denied("x y") }],
    ["a short digest", { job: new Uint8Array(31) }],
    ["a negative time", { time: -1 }],
    ["too many warnings", { warnings: Array.from({ length: 17 }, () => "w") }],
  ])("%s is never written", (_, change) => {
    expect(() => encodeLeaf({ ...full, ...change })).toThrow(/^leaf/);
  });
});

test("is shown without bytes", () => {
  expect(showLeaf(full)).toMatchObject({
    event: "outcome",
    time: "1970-01-01T00:01:40Z",
    exit: { kind: "signal", number: 9 },
    job: Buffer.from(digest(7)).toString("hex"),
  });
});
