/** What the host makes of the core's answer when the core does not answer as it should. */
import { readFileSync } from "node:fs";
import binaryen from "binaryen";
import { describe, expect, test } from "vitest";
import { CoreError, isAllowed, loadCore } from "../../../src/core/index.ts";
import { makeWorld } from "../../support/world.ts";

const world = makeWorld();
const wasm = readFileSync("src/core/wasm/core.simd.wasm");

/** The core with another body in the place of `decide`. */
function withDecide(body: "nop" | "unreachable"): Uint8Array<ArrayBuffer> {
  const module = binaryen.readBinary(wasm);
  const { none, i32 } = binaryen;
  const params = binaryen.createType([i32, i32]);
  module.removeExport("decide");
  module.addFunction("instead", params, none, [], module[body]());
  module.addFunctionExport("instead", "decide");
  return new Uint8Array(module.emitBinary());
}

test("the module has no imports", async () => {
  expect(WebAssembly.Module.imports(await WebAssembly.compile(wasm))).toEqual([]);
});

describe("a decision that was never made", () => {
  test("is internal.undecided where `decide` does nothing", async () => {
    const core = await loadCore({ wasm: withDecide("nop") });
    const verdict = core.decide(await world.caseBytes());
    expect(verdict).toMatchObject({ allow: false, code: "internal.undecided" });
  });

  test("is internal.trap where `decide` traps, and the next call gets a fresh instance", async () => {
    const core = await loadCore({ wasm: withDecide("unreachable") });
    const bytes = await world.caseBytes();
    for (let i = 0; i < 2; i++) {
      expect(core.decide(bytes)).toMatchObject({ allow: false, code: "internal.trap" });
    }
    expect(Buffer.from(core.hash("sha1", new Uint8Array(0))).toString("hex")).toMatch(/^da39a3ee/);
  });
});

describe("shapes", () => {
  test("a module with imports is refused", async () => {
    const importing = new Uint8Array([
      0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 2, 7, 1, 1, 97, 1, 98, 0, 0,
    ]);
    await expect(loadCore({ wasm: importing })).rejects.toThrow(CoreError);
  });

  test("a case that is no Uint8Array is an error of shape", async () => {
    const core = await loadCore();
    expect(() => core.decide("case" as unknown as Uint8Array)).toThrow(CoreError);
  });

  test("a case that is too large is a denial", async () => {
    const core = await loadCore();
    expect(core.decide(new Uint8Array(16_777_217)).code).toBe("internal.case");
  });

  test("a look-alike Allowed is not genuine, and neither is a copy of a real one", async () => {
    const core = await loadCore();
    const verdict = core.decide(await world.caseBytes());
    expect(isAllowed(verdict)).toBe(true);
    expect(isAllowed({ ...verdict })).toBe(false);
    expect(isAllowed(structuredClone({ allow: true, code: null }))).toBe(false);
    expect(Object.isFrozen(verdict)).toBe(true);
  });
});
