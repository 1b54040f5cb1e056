/**
 * FIPS 180-4: NIST's CAVP files for the four hashes, SHAVS §6.2 (short messages) and §6.4 (Monte
 * Carlo).
 */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { BUILDS } from "../support/assembly.ts";
import { concat, type HashName, hex, Signatures, toHex } from "../support/signatures.ts";
import { readResponses } from "../support/vector-files.ts";
import { describeVectors } from "../support/vectors.ts";

describeVectors("NIST CAVP SHS", (dir) => {
  describe.each(BUILDS)("%s", (build) => {
    let core: Signatures;
    beforeAll(async () => {
      core = await Signatures.load(build);
    });

    test.each([
      ["SHA1", "sha1", 65],
      ["SHA256", "sha256", 65],
      ["SHA384", "sha384", 129],
      ["SHA512", "sha512", 129],
    ] as const)("%s short messages", (file, name, count) => {
      let seen = 0;
      for (const { fields } of readResponses(join(dir, `nist-cavp/shs/${file}ShortMsg.rsp`))) {
        if (fields.Len === undefined) continue;
        const message = hex(fields.Msg ?? "").subarray(0, Number(fields.Len) / 8);
        expect(toHex(core.hash(name, message)), `Len = ${fields.Len}`).toBe(fields.MD);
        seen++;
      }
      expect(seen).toBe(count);
    });

    test.each([
      ["SHA1", "sha1"],
      ["SHA256", "sha256"],
    ] as const)("%s Monte Carlo", (file, name) => {
      const expected: string[] = [];
      let seed = new Uint8Array();
      for (const { fields } of readResponses(join(dir, `nist-cavp/shs/${file}Monte.rsp`))) {
        if (fields.Seed !== undefined) seed = hex(fields.Seed) as Uint8Array<ArrayBuffer>;
        if (fields.MD !== undefined) expected.push(fields.MD);
      }
      expect(expected).toHaveLength(100);
      expect(monteCarlo(core, name, seed, build === "checked" ? 10 : 100)).toEqual(
        expected.slice(0, build === "checked" ? 10 : 100),
      );
    });
  });
});

/** SHAVS §6.4: each checkpoint hashes the last three digests together, 1000 times. */
function monteCarlo(core: Signatures, name: HashName, seed: Uint8Array, count: number): string[] {
  const checkpoints: string[] = [];
  let last = seed;
  for (let j = 0; j < count; j++) {
    let [a, b, c] = [last, last, last];
    for (let i = 0; i < 1000; i++) [a, b, c] = [b, c, core.hash(name, concat(a, b, c))];
    last = c;
    checkpoints.push(toHex(last));
  }
  return checkpoints;
}
