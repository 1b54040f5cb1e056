/**
 * IMA lists of real machines, in every bank, against an independent replay and the machines' own
 * PCR 10.
 */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Core, loadCore } from "../../src/core/index.ts";
import {
  bytesIn,
  foldersWith,
  jsonIn,
  type PcrFile,
  pcrsFrom,
  textIn,
} from "../support/quote-files.ts";
import { HASHES } from "../support/signatures.ts";
import { describeVectors } from "../support/vectors.ts";

let core: Core;
beforeAll(async () => {
  core = await loadCore();
});

interface Expected {
  readonly template_digest_bytes: 20 | 32 | 48 | 64;
  readonly entries: number;
  readonly bytes_left: number;
  readonly violations: number;
  readonly template_digest_mismatches: number;
  readonly templates: Readonly<Record<string, number>>;
  readonly replayed: PcrFile;
}

describeVectors("ima-expected.json", (dir) => {
  const rows = Object.entries(jsonIn<Record<string, Expected>>(dir, "ima-expected.json"));
  test.each(rows)("%s", (name, expected) => {
    const list = bytesIn(dir, name);
    for (const bank of HASHES) {
      const templateDigestBytes = expected.template_digest_bytes;
      const replay = core.replayIma(list, { bank, templateDigestBytes });
      expect(replay).toMatchObject({
        entries: expected.entries,
        violations: expected.violations,
        bytesLeft: expected.bytes_left,
        zeroPadded: 0,
      });
      expect(replay.mismatches).toHaveLength(expected.template_digest_mismatches);
      expect(replay.templates).toEqual(expected.templates);
      expect(replay.pcrs).toEqual(pcrsFrom(expected.replayed)[bank]);
      expect(core.replayIma(list, { bank })).toEqual(replay);
    }
  });
});

describeVectors("measured-boot", (dir) => {
  for (const family of ["measured-boot", "measured-boot-ek"]) {
    const root = join(dir, family);
    describe(family, () => {
      test.each(foldersWith(root, "ima_binary_runtime_measurements"))("%s", (name) => {
        const folder = join(root, name);
        const { pcrs } = jsonIn<{ pcrs: PcrFile }>(folder, "pcrs.json");
        const list = bytesIn(folder, "ima_binary_runtime_measurements");
        const lines = textIn(folder, "ima_ascii_runtime_measurements").split("\n");
        for (const bank of ["sha1", "sha256"] as const) {
          const replay = core.replayIma(list, { bank });
          expect(replay.entries).toBe(lines.length);
          expect(replay.pcrs).toEqual({ 10: pcrsFrom(pcrs)[bank]?.[10] });
          expect([replay.mismatches, replay.bytesLeft]).toEqual([[], 0]);
          const zeros = lines.filter((line) => / 0{40} /.test(line));
          expect(replay.violations).toBe(zeros.length);
        }
      });
    });
  }
});
