import { afterAll, beforeAll, expect, test } from "vitest";
import { Place } from "./cli-support.ts";

let place: Place;
beforeAll(async () => {
  place = await Place.make();
});
afterAll(() => place.remove());

test("every scene of the demo ends as it must", async () => {
  const { code, out } = await place.run(["demo"]);
  expect(out.split("\n").filter((line) => line.includes("WRONG"))).toEqual([]);
  expect(out).toContain("All as it must be");
  expect(code).toBe(0);
});
