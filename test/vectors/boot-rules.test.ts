/**
 * Rules over real boots: what one boot measured, as a policy, holds for it and for later boots of
 * the same machine, and for no other machine, secure boot state or command line.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { parseYaml } from "../../src/cli/document.ts";
import { factOf } from "../../src/cli/event-facts.ts";
import { policyOf } from "../../src/cli/policy-document.ts";
import { draftText, eventSection } from "../../src/cli/policy-draft.ts";
import { type Code, type Core, loadCore } from "../../src/core/index.ts";
import { encodePayload } from "../../src/wire/objects.ts";
import {
  bytesIn,
  foldersWith,
  jsonIn,
  type PcrFile,
  pcrsFrom,
  textIn,
} from "../support/quote-files.ts";
import { hex } from "../support/signatures.ts";
import { describeVectors } from "../support/vectors.ts";

let core: Core;
beforeAll(async () => {
  core = await loadCore();
});

const LOG = "binary_bios_measurements";
const BOOT = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];

/** The policy that the YAML compiles to. */
const compiled = (yaml: string): Uint8Array =>
  encodePayload("policy", {
    ...{ domain: "example.org", iat: 0, version: 1 },
    ...policyOf(parseYaml(Buffer.from(yaml), "policy.yaml")),
  });

/** What `policy capture --events` writes for this log. */
function drafted(log: Uint8Array): string {
  const { pcrs: replayed, events } = core.replayEventLog(log);
  const pcrs = BOOT.filter((pcr) => replayed.sha256?.[pcr] !== undefined);
  return draftText("boot", [eventSection({ bank: "sha256", pcrs, events })]);
}

const draftOf = (folder: string): string => drafted(bytesIn(folder, LOG));

/** Judges the boot in a folder. */
function appraise(folder: string, yaml: string): readonly Code[] {
  const files = readdirSync(folder);
  const name = files.includes("quote-ecc-sha256.TPMS_ATTEST.bin")
    ? "quote-ecc-sha256"
    : "quote-ecc-sha256-0-15";
  return core.appraiseQuote({
    publicArea: bytesIn(folder, "ak-ecc.TPMT_PUBLIC.bin"),
    attest: bytesIn(folder, `${name}.TPMS_ATTEST.bin`),
    signature: bytesIn(folder, `${name}.TPMT_SIGNATURE.bin`),
    qualifyingData: hex(textIn(folder, "nonce.hex")),
    pcrs: pcrsFrom(jsonIn<{ pcrs: PcrFile }>(folder, "pcrs.json").pcrs),
    policy: compiled(yaml),
    eventLog: bytesIn(folder, LOG),
  }).codes;
}

const FOREIGN: readonly Code[] = ["environment.eventlog-event", "environment.eventlog-required"];
const secureBoot = (state: string): string =>
  `name: a\nevent-log: {sha256: {7: {separator: one, events: [{secure-boot: ${state}}], types: [0x80000001, 0x800000e0]}}}`;

describeVectors("measured-boot, measured-boot-ek", (dir) => {
  const folders = ["measured-boot", "measured-boot-ek"].flatMap((family) =>
    foldersWith(join(dir, family), LOG).map((name) => join(dir, family, name)),
  );

  test("a boot satisfies the policy that was captured from it, and nobody else's", () => {
    for (const own of folders) {
      expect(appraise(own, draftOf(own))).toEqual([]);
      for (const other of folders) {
        const codes = appraise(own, draftOf(other));
        const same = Buffer.compare(bytesIn(own, LOG), bytesIn(other, LOG)) === 0;
        if (same) expect(codes).toEqual([]);
        else for (const code of codes) expect(code).toMatch(/^environment\.(eventlog|pcr)-/);
      }
    }
  });

  test("secure boot is on, or off, as the machine said", () => {
    for (const folder of folders) {
      if (!existsSync(join(folder, "efivar-SecureBoot"))) continue;
      // Four bytes of attributes, then the value.
      const on = bytesIn(folder, "efivar-SecureBoot")[4] === 1;
      // The type's other events are allowed, and so is the variable of the other state.
      expect(appraise(folder, secureBoot(on ? "on" : "off"))).toEqual([]);
      expect(appraise(folder, secureBoot(on ? "off" : "on"))).toEqual([
        "environment.eventlog-required",
      ]);
    }
  });

  test("another command line is denied, and allowed by the next version of the policy", () => {
    const at = (name: string) => join(dir, "measured-boot-ek", name);
    const [before, after] = [at("s1-boot2"), at("s1-boot4-other-cmdline")];
    const draft = draftOf(before);
    expect(appraise(after, draft)).toEqual(FOREIGN);
    const digest = (folder: string): string => {
      const { events } = core.replayEventLog(bytesIn(folder, LOG));
      const options = events.find(
        ({ data, pcr }) => pcr === 9 && Buffer.from(data).includes("LoadOptions"),
      );
      return Buffer.from(options?.digests.sha256 ?? []).toString("hex");
    };
    const both = draft.replace(digest(before), `[${digest(before)}, ${digest(after)}]`);
    expect(both).not.toBe(draft);
    for (const folder of [before, after]) expect(appraise(folder, both)).toEqual([]);
  });
});

/** Every file below a folder. */
function filesIn(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesIn(path) : [path];
  });
}

describeVectors("every log of the collection", (dir) => {
  const logs = filesIn(dir).filter((path) =>
    /eventlog|bios_measurements|\.log$|eventlogs\/|event[-.].*\.bin$|binary_meas|\.bin$/.test(path),
  );
  test("what it says is told, compiles to rules, and text is what the digest proves", () => {
    let drafts = 0;
    for (const path of logs) {
      if (statSync(path).size > 1_048_576) continue;
      let log: ReturnType<Core["replayEventLog"]>;
      try {
        log = core.replayEventLog(bytesIn(path));
      } catch {
        // No event log, or one that must be refused: the tests of the replay say which.
        continue;
      }
      for (const bank of ["sha1", "sha256"] as const) {
        const pcrs = BOOT.filter((pcr) => log.pcrs[bank]?.[pcr] !== undefined);
        if (pcrs.length === 0) continue;
        const section = eventSection({ bank, pcrs, events: log.events });
        const yaml = draftText(basename(path).slice(0, 9), [section]);
        const { eventLog } = policyOf(parseYaml(Buffer.from(yaml), path));
        expect(eventLog?.[bank]?.size).toBe(pcrs.length);
        drafts++;
        for (const event of log.events) {
          const fact = factOf(event, bank);
          if (fact.kind === "variable") expect(event.digests[bank]).toBeDefined();
        }
      }
    }
    expect(drafts).toBeGreaterThan(30);
  });
});
