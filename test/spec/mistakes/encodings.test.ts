/**
 * Mistakes of reading: lengths >= 2^31 and pointer wrap in 32-bit memory, -2^64 integers,
 * duplicates inside cnf and everywhere else, trailing bytes, deep nesting, floats for indexes. Each
 * malformation of each item of each object of a case is denied as malformed, never by a trap; a
 * sample here, all of them in `test:slow`.
 */
import { describe, expect, test } from "vitest";
import { core } from "./denial.ts";
import { malformations, sampled } from "./encodings.ts";
import { built, PARTS } from "./objects.ts";

const OF_EACH_KIND = 2;

test("the case that is changed is allowed", () => {
  expect(core.decide(built.bytes).code).toBeNull();
  for (const { bytes, put } of PARTS.values()) expect(put(bytes)).toEqual(built.bytes);
});

describe("lengths >= 2^31, pointer wrap, -2^64, duplicate keys, trailing bytes, deep nesting", () => {
  test.each([...PARTS])("in the %s", (_, part) => {
    const all = sampled(malformations(part.bytes), OF_EACH_KIND);
    expect(all.length).toBeGreaterThan(60);
    for (const { kind, bytes } of all) {
      expect(part.malformed, kind).toContain(core.decide(part.put(bytes)).code);
    }
  });
});
