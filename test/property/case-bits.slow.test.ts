/**
 * Every single bit of an accepted case, flipped one at a time, is denied; the exceptions are the
 * context's numbers.
 */
import { describe, expect, test } from "vitest";
import { loadCore } from "../../src/core/index.ts";
import { exemptFlip } from "../support/bits.ts";
import { makeWorld } from "../support/world.ts";

describe.each(["key", "node"] as const)("holder: %s", (holder) => {
  test("all bits", async () => {
    const core = await loadCore();
    const built = await makeWorld().build({ holder, plane: holder === "node" });
    expect(core.decide(built.bytes).allow).toBe(true);
    let exempt = 0;
    for (let bit = 0; bit < built.bytes.length * 8; bit++) {
      const flipped = built.bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (!core.decide(flipped).allow) continue;
      exempt++;
      expect(exemptFlip(built, flipped), `bit ${bit}`).toBe(true);
    }
    console.log(`${built.bytes.length * 8} bits flipped, ${exempt} inside the context's ranges`);
  });
});
