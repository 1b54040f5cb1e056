import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { compile, Instance } from "../../support/assembly.ts";
import { toHex } from "../../support/signatures.ts";

const BYTES_MAX = 16 * 64 - 9;

describe("hash/sha256-lanes, simd", () => {
  let core: Instance;
  beforeAll(async () => {
    core = new Instance(await compile("simd", ["assembly/hash/sha256-lanes.ts"]));
  });

  function hashFour(messages: readonly Uint8Array[]): string[] {
    core.reset();
    const out = core.room(256);
    for (const [lane, message] of messages.entries()) {
      core.call("setMessage", lane, core.put(message), message.length);
    }
    core.call("hashFour", out, 64);
    return messages.map((_, lane) => toHex(core.get(out + 64 * lane, 32)));
  }

  const digest = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

  test("four messages of any lengths side by side agree with node:crypto", () => {
    const one = fc.uint8Array({ maxLength: BYTES_MAX, size: "max" });
    fc.assert(
      fc.property(fc.tuple(one, one, one, one), (messages) => {
        expect(hashFour(messages)).toEqual(messages.map(digest));
      }),
      { numRuns: 150 },
    );
  });

  test("every length up to three blocks, in every lane", () => {
    for (let length = 0; length < 200; length++) {
      const messages = [0, 1, 63, 130].map((more) => new Uint8Array(length + more).fill(length));
      const turned = [...messages.slice(length % 4), ...messages.slice(0, length % 4)];
      expect(hashFour(turned)).toEqual(turned.map(digest));
    }
  });

  test("a message too long for a lane traps", () => {
    const at = core.put(new Uint8Array(BYTES_MAX + 1));
    expect(() => core.call("setMessage", 0, at, BYTES_MAX + 1)).toThrow(WebAssembly.RuntimeError);
    expect(() => core.call("setMessage", 4, at, 0)).toThrow(WebAssembly.RuntimeError);
  });
});
