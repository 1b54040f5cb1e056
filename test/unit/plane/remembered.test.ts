import { expect, test } from "vitest";
import { Remembered } from "../../../src/plane/remembered.ts";

test("the same bytes are read once, others by themselves, the oldest again after many", () => {
  const read: string[] = [];
  const remembered = new Remembered((bytes) => {
    read.push(Buffer.from(bytes).toString("hex"));
    return bytes.length;
  });
  const whole = Uint8Array.of(1, 2, 0xff);
  expect([whole, whole.slice(), whole.subarray(0, 2)].map((b) => remembered.of(b))).toEqual([
    3, 3, 2,
  ]);
  expect(read).toEqual(["0102ff", "0102"]);
  for (let i = 0; i < 5_000; i++) remembered.of(Buffer.from(`${i}`));
  remembered.of(whole);
  expect(read.filter((bytes) => bytes === "0102ff")).toHaveLength(2);
});

test("what is long is read each time", () => {
  let count = 0;
  const remembered = new Remembered(() => {
    count += 1;
    return count;
  });
  const long = new Uint8Array(4_096);
  expect([remembered.of(long), remembered.of(long)]).toEqual([1, 2]);
});
