/**
 * `portcullis eventlog` and `portcullis ima`: logs as text and JSON, damaged ones as an error of
 * the input.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { concat } from "../support/ak.ts";
import {
  agileLog,
  EV_SEPARATOR,
  HASH,
  measured,
  replayed,
  startupLocality,
} from "../support/event-logs.ts";
import { encodeList, legacyEntry, ngEntry, replayedIma } from "../support/ima-lists.ts";
import { foldersWith, textIn } from "../support/quote-files.ts";
import { describeVectors } from "../support/vectors.ts";
import { Place } from "./cli-support.ts";

let place: Place;
beforeAll(async () => {
  place = await Place.make();
});
afterAll(() => place.remove());

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");
const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value, "latin1"));

describe("eventlog", () => {
  const action = measured(4, 0x8000_0007, text("Calling EFI Application\u001b[2J"));
  const events = [startupLocality(3), measured(0, EV_SEPARATOR, new Uint8Array(4)), action];
  const log = concat(agileLog(["sha256"], events), new Uint8Array(7).fill(0xff));

  test("as text: events with their types, then the PCRs", async () => {
    const file = await place.write("a log", log);
    const { code, out, err } = await place.run(["eventlog", file]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toContain("2: PCR 0  EV_SEPARATOR\n");
    expect(out).toContain(`  sha256 ${hex(HASH.sha256(new Uint8Array(4)))}\n`);
    expect(out).toMatch(/^locality +3$/m);
    expect(out).toMatch(/^padding +7 bytes$/m);
    const value = HASH.sha256(concat(new Uint8Array(32), HASH.sha256(action.data)));
    expect(out).toContain(`    4  : 0x${hex(value)}\n`);
    expect(out).not.toContain("\u001b");
  });

  test("as JSON, also of a CCEL", async () => {
    const file = await place.write("ccel", agileLog(["sha256"], [action]));
    const shape = await place.json<object>(["eventlog", "--format", "ccel", file]);
    expect(shape).toMatchObject({
      ...{ format: "agile", startupLocality: null, unsupportedBanks: [], paddingBytes: 0 },
      pcrs: { sha256: { 4: expect.stringMatching(/^[0-9a-f]{64}$/) } },
      events: [
        { index: 0, typeName: "EV_NO_ACTION" },
        {
          ...{ index: 1, pcr: 4, type: 0x8000_0007, typeName: "EV_EFI_ACTION", dataBound: true },
          ...{ data: hex(action.data), digests: { sha256: hex(action.digests.sha256) } },
        },
      ],
    });
  });

  test("of a file that is none: exit 64 and the place of the fault", async () => {
    const file = await place.write("cut", log.subarray(0, 120));
    const { code, out, err } = await place.run(["eventlog", file]);
    expect([code, out]).toEqual([64, ""]);
    expect(err).toMatch(
      /^portcullis: \S.*: The event at byte \d+ is none of a boot event log\.\n$/,
    );
    expect((await place.run(["eventlog", place.file("absent")])).code).toBe(64);
    expect((await place.run(["eventlog", "--format", "acpi", file])).code).toBe(64);
  });
});

/** bank -> index -> hex, of what tpm2_eventlog prints below `pcrs:`. */
function pcrsOf(yaml: string): { [bank: string]: { [index: string]: string } } {
  const found: { [bank: string]: { [index: string]: string } } = {};
  let bank = "";
  for (const line of yaml.slice(yaml.indexOf("\npcrs:\n")).split("\n")) {
    const head = /^ {2}(sha\d+):$/.exec(line)?.[1];
    if (head !== undefined) bank = head;
    const [, index, value] = /^ {4}(\d+) *: 0x([0-9a-f]+)$/.exec(line) ?? [];
    if (index !== undefined && value !== undefined) {
      found[bank] = { ...found[bank], [index]: value };
    }
  }
  return found;
}

describe.runIf(spawnSync("tpm2_eventlog", ["--version"]).status === 0)(
  "beside tpm2_eventlog",
  () => {
    const theirs = (file: string) =>
      pcrsOf(execFileSync("tpm2_eventlog", [file], { encoding: "utf8" }));
    const ours = async (file: string) =>
      (await place.json<{ pcrs: ReturnType<typeof pcrsOf> }>(["eventlog", file])).pcrs;
    const banks = ["sha1", "sha256"] as const;
    const boot = [0, 4, 7].map((pcr) => measured(pcr, EV_SEPARATOR, new Uint8Array(4), banks));

    test("the PCRs are the same, bank by bank", async () => {
      const file = await place.write("two-banks.log", agileLog(banks, boot));
      const found = await ours(file);
      expect(Object.keys(found)).toEqual([...banks]);
      expect(found).toEqual(theirs(file));
    });

    test("but for PCR 0 behind StartupLocality, which it starts at zero", async () => {
      const file = await place.write(
        "locality.log",
        agileLog(banks, [startupLocality(3), ...boot]),
      );
      const [found, other] = [await ours(file), theirs(file)];
      const started = replayed(banks, boot, 3);
      for (const bank of banks) {
        expect(found[bank]?.[0]).toBe(hex(started[bank]?.[0]));
        const { 0: _, ...rest } = found[bank] ?? {};
        expect(other[bank]).toMatchObject(rest);
      }
    });

    describeVectors("real boots", (dir) => {
      const root = join(dir, "measured-boot-ek");
      test.each(["s1-boot1-q1", "s1-boot4-other-cmdline"])("%s", async (name) => {
        const file = join(root, name, "binary_bios_measurements");
        expect(await ours(file)).toEqual(theirs(file));
      });
    });
  },
);

describe("ima", () => {
  const odd = { ...ngEntry("x"), template: "d-ng|n-ng", data: text("odd") };
  const evil = ngEntry("/tmp/a\nb", "zero");
  const entries = [legacyEntry("/bin/true"), ngEntry("/bin/sh"), evil, odd];

  test("as text: lines like the kernel's, then what the replay found", async () => {
    const file = await place.write("a list", encodeList(entries));
    const { code, out } = await place.run(["ima", file]);
    expect(code).toBe(0);
    const lines = out.split("\n");
    const sha1 = (value: string) => hex(HASH.sha1(text(value)));
    expect(lines[0]).toMatch(new RegExp(`^10 [0-9a-f]{40} ima ${sha1("/bin/true")} /bin/true$`));
    const file256 = hex(HASH.sha256(text("/bin/sh")));
    expect(lines[1]).toMatch(new RegExp(`^10 [0-9a-f]{40} ima-ng sha256:${file256} /bin/sh$`));
    expect(lines[2]).toMatch(/^10 0{40} ima-ng .* \/tmp\/a b$/);
    expect(lines[3]).toBe(`10 ${hex(HASH.sha1(odd.data))} d-ng|n-ng ${hex(odd.data)}`);
    expect(out).toMatch(/^violations +1$/m);
    expect(out).toContain(`  10 : 0x${hex(replayedIma(entries, "sha256")[10])}\n`);
  });

  test("as JSON, in the bank that is asked for", async () => {
    const file = await place.write("padded", concat(encodeList(entries, "sha256"), text("x")));
    const shape = await place.json<object>(["ima", file, "--bank", "sha384", "--zero-padded"]);
    expect(shape).toMatchObject({
      ...{ bank: "sha384", entries: 4, violations: 1, mismatches: [], bytesLeft: 1 },
      templates: { ima: 1, "ima-ng": 2, "d-ng|n-ng": 1 },
      pcrs: { sha384: { 10: hex(replayedIma(entries, "sha384", true)[10]) } },
      list: [{ template: "ima" }, { fields: [expect.any(String), "/bin/sh"] }, {}, { index: 3 }],
    });
  });

  test("of a file that is none: exit 64", async () => {
    const file = await place.write("no list", new Uint8Array(64).fill(0xff));
    const { code, err } = await place.run(["ima", file]);
    expect([code, err]).toEqual([
      64,
      `portcullis: ${file}: What stands at byte 0 is no entry of an IMA list.\n`,
    ]);
    expect((await place.run(["ima", file, "--bank", "md5"])).code).toBe(64);
  });
});

describeVectors("the kernel's own text of its list", (dir) => {
  const root = join(dir, "measured-boot");
  test.each(foldersWith(root, "ima_ascii_runtime_measurements"))("%s", async (name) => {
    const folder = join(root, name);
    const { out } = await place.run(["ima", join(folder, "ima_binary_runtime_measurements")]);
    const lines = textIn(folder, "ima_ascii_runtime_measurements").split("\n");
    const own = out.split("\n").slice(0, lines.length);
    expect(own.map((line) => line.trimEnd())).toEqual(lines.map((line) => line.trimEnd()));
  });
});
