import { createHash } from "node:crypto";
import { sha1 } from "@noble/hashes/legacy.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { BUILDS, compile, Instance } from "../../support/assembly.ts";
import { HASHES, toHex } from "../../support/signatures.ts";

const NOBLE = { sha1, sha256, sha384, sha512 };
const SIZES = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };
const CONTEXT_BYTES = 208;

describe.each(BUILDS)("hash/hash, %s", (build) => {
  let core: Instance;
  beforeAll(async () => {
    core = new Instance(await compile(build, ["assembly/hash/hash.ts"]));
  });

  test.each(HASHES)("%s of every length up to three blocks agrees with node:crypto", (name) => {
    const id = HASHES.indexOf(name) + 1;
    const bytes = Uint8Array.from({ length: 400 }, (_, i) => (i * 37 + 11) & 255);
    for (let length = 0; length <= bytes.length; length++) {
      core.reset();
      const out = core.room(64);
      core.call("hash", id, core.put(bytes.subarray(0, length)), length, out);
      const expected = createHash(name).update(bytes.subarray(0, length)).digest("hex");
      expect(toHex(core.get(out, SIZES[name])), `${length} bytes`).toBe(expected);
    }
  });

  test.each(HASHES)("%s in pieces, with other contexts open, agrees with @noble/hashes", (name) => {
    const id = HASHES.indexOf(name) + 1;
    const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });
    fc.assert(
      fc.property(pieces, pieces, (first, second) => {
        core.reset();
        const open = [first, second].map((list) => ({ list, at: core.room(CONTEXT_BYTES) }));
        for (const { at } of open) core.call("begin", id, at);
        for (let i = 0; i < 8; i++) {
          for (const { list, at } of open) {
            const piece = list[i];
            if (piece !== undefined) core.call("update", at, core.put(piece), piece.length);
          }
        }
        for (const { list, at } of open) {
          const out = core.room(64);
          core.call("finish", at, out);
          const expected = NOBLE[name](new Uint8Array(Buffer.concat(list)));
          expect(toHex(core.get(out, SIZES[name]))).toBe(toHex(expected));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("digestBytes gives 0 for what is no hash", () => {
    const sizes = [0, 1, 2, 3, 4, 5, 0x80000000, 0xffffffff].map((id) =>
      core.call("digestBytes", id),
    );
    expect(sizes).toEqual([0, 20, 32, 48, 64, 0, 0, 0]);
  });

  test("an id that is no hash, and a context that is not open, trap", () => {
    core.reset();
    const context = core.room(CONTEXT_BYTES);
    for (const id of [0, 5, -1]) {
      expect(() => core.call("begin", id, context)).toThrow(WebAssembly.RuntimeError);
    }
    core.call("begin", 2, context);
    core.call("finish", context, core.room(64));
    expect(() => core.call("update", context, context, 1)).toThrow(WebAssembly.RuntimeError);
    expect(() => core.call("finish", context, core.room(64))).toThrow(WebAssembly.RuntimeError);
  });
});
