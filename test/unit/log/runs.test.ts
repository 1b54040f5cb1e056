import { expect, test } from "vitest";
import { familyOf, type LoggedRun, runTree } from "../../../src/log/runs.ts";

const id = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const run = (n: number, parent: number | null): LoggedRun => ({
  runId: id(n),
  parentRun: parent === null ? null : id(parent),
  chain: null,
  time: n,
  end: null,
});
const placed = (runs: readonly LoggedRun[]) =>
  runTree(runs).map(({ depth, run: { time } }) => [depth, time]);

// 1 started 3 and 4, 3 started 6; 2 started 5; nobody knows who started 7.
const RUNS = [run(1, null), run(2, null), run(3, 1), run(4, 1), run(5, 2), run(6, 3), run(7, 99)];

test("each run stands below the one that started it, in the order of the log", () => {
  expect(placed(RUNS)).toEqual([
    [0, 1],
    [1, 3],
    [2, 6],
    [1, 4],
    [0, 2],
    [1, 5],
    [0, 7],
  ]);
  expect(placed([])).toEqual([]);
});

test("the tree of a run is found from any of its runs, origin first", () => {
  const times = (n: number) => familyOf(RUNS, id(n)).map(({ time }) => time);
  for (const n of [1, 3, 4, 6]) expect(times(n)).toEqual([1, 3, 6, 4]);
  for (const n of [2, 5]) expect(times(n)).toEqual([2, 5]);
  expect(times(7)).toEqual([7]);
  expect(times(8)).toEqual([]);
});

test("a line of many runs takes no recursion", () => {
  const line = Array.from({ length: 20_000 }, (_, i): LoggedRun => {
    const bytes = (n: number): Uint8Array => Buffer.alloc(32).fill(`${n}|`);
    return { ...run(0, null), runId: bytes(i), parentRun: i === 0 ? null : bytes(i - 1), time: i };
  });
  expect(runTree(line).at(-1)?.depth).toBe(19_999);
});
