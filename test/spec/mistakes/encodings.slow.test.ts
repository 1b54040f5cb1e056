/**
 * Every malformation of every item of every object of a case; encodings.test.ts holds a sample and
 * the reasons.
 */
import { expect, test } from "vitest";
import { core } from "./denial.ts";
import { malformations } from "./encodings.ts";
import { PARTS } from "./objects.ts";

test.each([...PARTS])("in the %s", (_, part) => {
  for (const { kind, bytes } of malformations(part.bytes)) {
    expect(part.malformed, kind).toContain(core.decide(part.put(bytes)).code);
  }
});
