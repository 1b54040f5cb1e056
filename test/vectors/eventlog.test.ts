/** Boot event logs of real machines, in every format, against what other readers found in them. */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Core, CoreError, type EventLogReplay, loadCore } from "../../src/core/index.ts";
import {
  bytesIn,
  foldersWith,
  jsonIn,
  type PcrFile,
  pcrsFrom,
  textIn,
} from "../support/quote-files.ts";
import { HASHES, hex } from "../support/signatures.ts";
import { describeVectors } from "../support/vectors.ts";

let core: Core;
beforeAll(async () => {
  core = await loadCore();
});

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const formatOf = (name: string) => (/ccel/i.test(name) ? "ccel" : "tcg");
const SM3_256 = 0x0012;

interface Expected {
  readonly bytes: number;
  readonly format: "sha1" | "agile";
  readonly events: number;
  readonly notes: readonly string[];
  readonly startup: readonly string[];
  readonly pcrs: PcrFile & { readonly sm3_256?: object };
}

describeVectors("replayed-pcrs.json", (dir) => {
  const rows = Object.entries(jsonIn<Record<string, Expected>>(dir, "replayed-pcrs.json"));

  test.each(rows)("%s", (name, expected) => {
    const { sm3_256, ...pcrs } = expected.pcrs;
    const replay = core.replayEventLog(bytesIn(dir, name), { format: formatOf(name) });
    expect(replay.format).toBe(expected.format);
    expect(replay.events).toHaveLength(expected.events);
    expect(replay.pcrs).toEqual(pcrsFrom(pcrs));
    expect(replay.unsupportedBanks).toEqual(sm3_256 === undefined ? [] : [SM3_256]);
    const [locality] = expected.startup.map((text) => Number(text.split(" ")[1]));
    expect(replay.startupLocality).toBe(locality ?? null);
    const padding = expected.notes.map((note) => /padding (\d+) bytes/.exec(note)?.[1]);
    expect(replay.paddingBytes).toBe(Number(padding.find((bytes) => bytes) ?? 0));
    const fewer = expected.notes.map((note) => /^(\d+) events carry fewer/.exec(note)?.[1]);
    const banks = Object.keys(pcrs).length;
    const partial = replay.events
      .slice(expected.format === "agile" ? 1 : 0)
      .filter(({ digests }) => Object.keys(digests).length < banks);
    expect(partial).toHaveLength(Number(fewer.find((count) => count) ?? 0));
  });

  test("every log of the folder is among them", () => {
    expect(rows.length).toBeGreaterThanOrEqual(45);
  });
});

interface YamlEvent {
  readonly EventNum: number;
  readonly PCRIndex: number;
  readonly EventSize: number;
  readonly Digest?: string;
  readonly Digests?: readonly { readonly AlgorithmId: string; readonly Digest: string }[];
}

/**
 * Digests and sizes as tpm2_eventlog printed them; values that its YAML lost to numbers are passed
 * over.
 */
function compareEvents(replay: EventLogReplay, events: readonly YamlEvent[]): void {
  expect(replay.events).toHaveLength(events.length);
  for (const [i, event] of events.entries()) {
    const own = replay.events[i];
    if (own === undefined) throw new Error(`no event ${i}`);
    expect([own.index, own.data.length]).toEqual([i, event.EventSize]);
    expect(own.pcr).toBe(event.PCRIndex >>> 0);
    for (const { AlgorithmId: bank, Digest: digest } of event.Digests ?? []) {
      const found = HASHES.find((name) => name === bank);
      if (found === undefined || typeof digest !== "string") continue;
      expect(toHex(own.digests[found] ?? hex(""))).toBe(digest);
    }
  }
}

describeVectors("tpm2-tools", (dir) => {
  const folder = join(dir, "tpm2-tools");
  const logs = Object.keys(jsonIn<object>(dir, "replayed-pcrs.json"))
    .filter((name) => name.startsWith("tpm2-tools/"))
    .map((name) => name.slice("tpm2-tools/".length));

  test.each(logs)("%s: the events that tpm2_eventlog shows", (name) => {
    const text = textIn(folder, "expected-yaml", `${name}.yaml`);
    const { events } = parse(text, { uniqueKeys: false }) as { events: YamlEvent[] };
    // Events of the SHA-1 format are printed as one mapping with repeated keys: nothing to compare
    // with.
    if (Array.isArray(events)) compareEvents(core.replayEventLog(bytesIn(folder, name)), events);
  });

  test("specid-vendordata.bin: what the event's size does not count is no event", () => {
    const log = bytesIn(folder, "specid-vendordata.bin");
    expect(() => core.replayEventLog(log)).toThrow(
      expect.objectContaining({ code: "eventlog.malformed", offset: 69 }),
    );
  });
});

describeVectors("uefi-eventlog-logs", (dir) => {
  const logs = ["puiterwijk/puiterwijk", "rhcos/rhcos", "supermicro/201123-eventlog"];
  test.each(logs)("%s", (name) => {
    const folder = join(dir, "uefi-eventlog-logs");
    const { events } = jsonIn<{ events: YamlEvent[] }>(folder, `${name}.json`);
    compareEvents(core.replayEventLog(bytesIn(folder, `${name}.bin`)), events);
  });
});

describeVectors("go-tpm-tools, hirs: values of the machines themselves", (dir) => {
  const folder = join(dir, "go-tpm-tools/eventlogs");
  const rows = jsonIn<Record<string, { pcrs: PcrFile }>>(folder, "expected-pcrs.json");
  test.each(Object.entries(rows))("%s", (name, { pcrs }) => {
    const { pcrs: own } = core.replayEventLog(bytesIn(folder, name));
    for (const [bank, values] of Object.entries(pcrsFrom(pcrs))) {
      expect(own[bank as "sha1"]).toMatchObject(own[bank as "sha1"] === undefined ? {} : values);
    }
    expect(Object.keys(own)).toEqual(expect.arrayContaining(Object.keys(pcrs)));
  });

  test("hirs/TpmLog.bin", () => {
    const hirs = join(dir, "hirs/tcgeventlog");
    const { pcrs } = core.replayEventLog(bytesIn(hirs, "TpmLog.bin"));
    const lines = textIn(hirs, "TpmLogExpectedPcrs.txt").split(/\s+/);
    const extended = Object.entries(pcrs.sha256 ?? {});
    expect(extended.length).toBeGreaterThan(0);
    for (const [pcr, value] of extended) expect(toHex(value)).toBe(lines[Number(pcr)]);
  });
});

interface CcelEvent {
  readonly index: number;
  readonly event: string;
  readonly digest_matches_event: boolean;
  readonly digests: readonly { readonly digest: string }[];
}

describeVectors("trustee: CCEL", (dir) => {
  test.each(["CCEL_data_ovmf", "CCEL_data_grub"])("%s", (name) => {
    const folder = join(dir, "trustee/ccel");
    const { uefi_event_logs: events } = jsonIn<{ uefi_event_logs: CcelEvent[] }>(
      folder,
      `${name}_out.json`,
    );
    const replay = core.replayEventLog(bytesIn(folder, name), { format: "ccel" });
    const own = replay.events.filter(({ type }) => type !== 3);
    expect(own.map(({ pcr }) => pcr)).toEqual(events.map(({ index }) => index));
    for (const [i, { data, digests, dataBound }] of own.entries()) {
      const event = events[i];
      expect(Buffer.from(data).toString("base64")).toBe(event?.event);
      expect(toHex(digests.sha384 ?? hex(""))).toBe(event?.digests[0]?.digest);
      if (event?.digest_matches_event) expect(dataBound).toBe(true);
    }
  });
});

interface GuardEvent {
  readonly Index: number;
  readonly Type: number;
  readonly Data: string;
}

describeVectors("immune-guard: types and data", (dir) => {
  const logs = ["binary_bios_measurements_15", "tpm2_windows_lenovo_yogax1v2"];
  test.each(logs)("%s", (name) => {
    const folder = join(dir, "immune-guard/eventlog");
    const events = jsonIn<GuardEvent[]>(folder, `${name}.json`);
    const replay = core.replayEventLog(bytesIn(folder, name));
    const rows = replay.events.slice(-events.length);
    const shown = (pcr: number, type: number, data: string) => `${pcr} ${type} ${data}`;
    expect(
      rows.map(({ pcr, type, data }) => shown(pcr, type, Buffer.from(data).toString("base64"))),
    ).toEqual(events.map(({ Index, Type, Data }) => shown(Index, Type, Data)));
  });
});

describeVectors("what is no log", (dir) => {
  test.each(["bogus", "empty"])("%s", (kind) => {
    const log = bytesIn(dir, `keylime/mb/binary_bios_measurements-${kind}`);
    expect(() => core.replayEventLog(log)).toThrow(
      expect.objectContaining({ code: "eventlog.malformed", offset: 0 }),
    );
  });

  test("no truncation of a real log traps", () => {
    const log = bytesIn(dir, "measured-boot/A-direct-nosb/binary_bios_measurements");
    const whole = core.replayEventLog(log).events.length;
    let read = 0;
    for (let length = 0; length < log.length; length++) {
      try {
        const { events } = core.replayEventLog(log.slice(0, length));
        expect(events.length).toBeLessThan(whole);
        read++;
      } catch (error) {
        if (!(error instanceof CoreError)) throw error;
        expect(error.code).toBe("eventlog.malformed");
        expect(error.offset).toBeLessThanOrEqual(length);
      }
    }
    expect(read).toBeGreaterThanOrEqual(whole - 1);
  });
});

describeVectors("measured-boot", (dir) => {
  for (const family of ["measured-boot", "measured-boot-ek"]) {
    const root = join(dir, family);
    describe(family, () => {
      test.each(foldersWith(root, "binary_bios_measurements"))("%s", (name) => {
        const folder = join(root, name);
        const values = pcrsFrom(jsonIn<{ pcrs: PcrFile }>(folder, "pcrs.json").pcrs);
        const { pcrs } = core.replayEventLog(bytesIn(folder, "binary_bios_measurements"));
        expect(Object.keys(pcrs)).toEqual(Object.keys(values));
        for (const bank of ["sha1", "sha256"] as const) {
          expect(Object.keys(pcrs[bank] ?? {}).length).toBeGreaterThanOrEqual(8);
          expect(values[bank]).toMatchObject(pcrs[bank] ?? {});
        }
      });
    });
  }
});
