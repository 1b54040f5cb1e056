/**
 * Boot event logs made by hand: the rules of replay one by one, and what hostile bytes may not do.
 */
import { beforeAll, describe, expect, test } from "vitest";
import { type Core, CoreError, loadCore } from "../../../src/core/index.ts";
import { LIMITS } from "../../../src/limits.ts";
import { concat, TPM_ALG } from "../../support/ak.ts";
import {
  agileEvent,
  agileLog,
  EV_NO_ACTION,
  EV_SEPARATOR,
  HASH,
  le16,
  le32,
  type MadeEvent,
  measured,
  replayed,
  sha1Event,
  specId,
  startupLocality,
} from "../../support/event-logs.ts";

let core: Core;
beforeAll(async () => {
  core = await loadCore({ build: "checked" });
});

const SM3: readonly [number, number] = [0x0012, 32];
const SHA256: readonly [number, number] = [TPM_ALG.sha256, 32];
const EV_EFI_ACTION = 0x8000_0007;
const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const separator = measured(7, EV_SEPARATOR, new Uint8Array(4));
const header = specId([SHA256]);

/** The offset at which the log is malformed; null where it is not. */
function faultOf(log: Uint8Array, format: "tcg" | "ccel" = "tcg"): number | null {
  try {
    core.replayEventLog(log, { format });
    return null;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    expect(error.code).toBe("eventlog.malformed");
    return error.offset ?? -1;
  }
}

describe("events", () => {
  test("are shown as they are, bound where their digest is that of their data", () => {
    const data = ascii("Calling EFI Application from Boot Option");
    const other = { ...measured(4, EV_EFI_ACTION, data), digests: separator.digests };
    const events = [measured(4, EV_EFI_ACTION, data), other, separator];
    const replay = core.replayEventLog(agileLog(["sha256"], events));
    expect(replay).toMatchObject({
      format: "agile",
      startupLocality: null,
      unsupportedBanks: [],
      paddingBytes: 0,
    });
    expect(replay.pcrs).toEqual(replayed(["sha256"], events));
    expect(replay.events.map(({ dataBound }) => dataBound)).toEqual([false, true, false, true]);
    expect(replay.events[1]).toEqual({
      index: 1,
      pcr: 4,
      type: EV_EFI_ACTION,
      digests: { sha256: HASH.sha256(data) },
      data,
      dataBound: true,
    });
  });

  test("one wrong digest among several binds nothing", () => {
    const event = measured(4, EV_EFI_ACTION, ascii("x"), ["sha1", "sha256"]);
    const wrong = { ...event, digests: { ...event.digests, sha1: HASH.sha1(ascii("y")) } };
    const { events } = core.replayEventLog(agileLog(["sha1", "sha256"], [event, wrong]));
    expect(events.map(({ dataBound }) => dataBound)).toEqual([false, true, false]);
  });

  test("of EV_NO_ACTION are neither extended nor bound, whatever register they name", () => {
    const data = ascii("WBCL");
    const silent = measured(0xffff_ffff, EV_NO_ACTION, data);
    const replay = core.replayEventLog(agileLog(["sha256"], [separator, silent, separator]));
    expect(replay.pcrs).toEqual(replayed(["sha256"], [separator, separator]));
    expect(replay.events[2]).toMatchObject({ pcr: 0xffff_ffff, dataBound: false });
  });

  test("carry the digests that they carry: a bank is extended by its own alone", () => {
    const both = measured(5, EV_SEPARATOR, new Uint8Array(4), ["sha1", "sha256"]);
    const one = measured(5, EV_SEPARATOR, ascii("w"), ["sha256"]);
    const none: MadeEvent = { pcr: 5, type: EV_SEPARATOR, data: ascii("n"), digests: {} };
    const events = [both, one, none];
    const replay = core.replayEventLog(agileLog(["sha1", "sha256"], events));
    expect(replay.pcrs).toEqual(replayed(["sha1", "sha256"], events));
    expect(replay.events[3]).toMatchObject({ digests: {}, dataBound: false });
  });

  test("of an unknown bank are stepped over by the size that the header gives", () => {
    const digest = concat(le16(SM3[0]), new Uint8Array(SM3[1]).fill(7));
    const own = concat(le16(SHA256[0]), HASH.sha256(separator.data));
    const event = concat(le32(7), le32(4), le32(2), digest, own, le32(4), separator.data);
    const replay = core.replayEventLog(concat(specId([SHA256, SM3]), event));
    expect(replay.unsupportedBanks).toEqual([SM3[0]]);
    expect(replay.pcrs).toEqual(replayed(["sha256"], [separator]));
  });

  test("do not change with the caller's bytes", () => {
    const log = agileLog(["sha256"], [separator]);
    const { events } = core.replayEventLog(log);
    log.fill(0xaa);
    expect(events[1]?.data).toEqual(separator.data);
  });
});

describe("the start of PCR 0", () => {
  const first = measured(0, 8, ascii("version"));
  test.each([0, 3, 4])("is locality %i, in every bank", (locality) => {
    const banks = ["sha1", "sha384"] as const;
    const event = measured(0, 8, ascii("version"), banks);
    const replay = core.replayEventLog(agileLog(banks, [startupLocality(locality), event]));
    expect(replay.startupLocality).toBe(locality);
    expect(replay.pcrs).toEqual(replayed(banks, [event], locality));
  });

  test("is told once, before any event of PCR 0, by a locality there is", () => {
    const at = header.length;
    const late = agileLog(["sha256"], [first, startupLocality(3)]);
    expect(faultOf(late)).toBe(at + agileEvent(first).length);
    const bare = { ...first, digests: {} };
    const later = agileLog(["sha256"], [bare, startupLocality(3), first]);
    expect(faultOf(later)).toBe(at + agileEvent(bare).length);
    const twice = agileLog(["sha256"], [startupLocality(3), startupLocality(3), first]);
    expect(faultOf(twice)).toBe(at + agileEvent(startupLocality(3)).length);
    const zero = agileLog(["sha256"], [startupLocality(0), startupLocality(0), first]);
    expect(faultOf(zero)).toBe(at + agileEvent(startupLocality(0)).length);
    expect(faultOf(agileLog(["sha256"], [startupLocality(5), first]))).toBe(at);
    const long = { ...startupLocality(3), data: concat(startupLocality(3).data, le16(0)) };
    expect(faultOf(agileLog(["sha256"], [long, first]))).toBe(at);
  });

  test("is no measurement register's, nor another PCR's", () => {
    const moved = { ...startupLocality(3), pcr: 1 };
    const log = agileLog(["sha256"], [moved, first]);
    expect(core.replayEventLog(log).startupLocality).toBeNull();
    const ccel = agileLog(["sha256"], [startupLocality(3), first]);
    expect(core.replayEventLog(ccel, { format: "ccel" }).startupLocality).toBeNull();
  });
});

describe("padding", () => {
  test.each([0x00, 0xff])("of 0x%s ends the log and is counted", (filler) => {
    for (const bytes of [1, 15, 16, 17, 4096]) {
      const log = concat(agileLog(["sha256"], [separator]), new Uint8Array(bytes).fill(filler));
      const replay = core.replayEventLog(log);
      expect([replay.events.length, replay.paddingBytes]).toEqual([2, bytes]);
    }
  });

  test("is of one kind, up to the end", () => {
    const log = agileLog(["sha256"], [separator]);
    const mixed = concat(log, new Uint8Array(64).fill(0xff), new Uint8Array(64));
    expect(faultOf(mixed)).toBe(log.length);
  });

  test("alone is no log", () => {
    for (const filler of [0x00, 0xff]) {
      expect(faultOf(new Uint8Array(4096).fill(filler))).toBe(0);
    }
  });
});

describe("the SHA-1 format", () => {
  const old = { ...measured(4, 0xd, ascii("IPL"), ["sha1"]) };
  test("needs no Spec ID event, and takes another version's for what it is", () => {
    const other = { pcr: 0, type: EV_NO_ACTION, data: ascii("Spec ID Event02\0"), digests: {} };
    const replay = core.replayEventLog(concat(sha1Event(other), sha1Event(old)));
    expect(replay.format).toBe("sha1");
    expect(replay.pcrs).toEqual(replayed(["sha1"], [old]));
  });

  test("has what a Spec ID event says under another type as an event", () => {
    const event = measured(0, EV_SEPARATOR, header.subarray(32), ["sha1"]);
    const replay = core.replayEventLog(concat(sha1Event(event), sha1Event(old)));
    expect(replay.format).toBe("sha1");
    expect(replay.pcrs).toEqual(replayed(["sha1"], [event, old]));
  });

  test("starts PCR 0 where it says", () => {
    const first = measured(0, 8, ascii("version"), ["sha1"]);
    const replay = core.replayEventLog(concat(...[startupLocality(3), first].map(sha1Event)));
    expect(replay.pcrs).toEqual(replayed(["sha1"], [first], 3));
  });

  test("is no CCEL", () => expect(faultOf(sha1Event(old), "ccel")).toBe(0));
});

describe("the header", () => {
  test("bytes of its vendor become no algorithm and no digest (GHSA-9r4w-jg96-92mv)", () => {
    const hidden = concat(le16(TPM_ALG.sha1), le16(20), HASH.sha1(ascii("evil")));
    const log = concat(specId([SHA256], hidden), agileEvent(separator));
    const replay = core.replayEventLog(log);
    expect(replay.pcrs).toEqual(replayed(["sha256"], [separator]));
    expect(Object.keys(replay.pcrs)).toEqual(["sha256"]);
  });

  test("may announce sixteen algorithms, and digests of 1 to 64 bytes", () => {
    const others = Array.from({ length: 15 }, (_, i) => [0x100 + i, i === 0 ? 1 : 64] as const);
    const { pcrs, unsupportedBanks } = core.replayEventLog(
      concat(specId([...others, SHA256]), agileEvent(separator)),
    );
    expect(pcrs).toEqual(replayed(["sha256"], [separator]));
    expect(unsupportedBanks).toEqual(others.map(([id]) => id));
  });

  const faulty: readonly (readonly [string, Uint8Array])[] = [
    ["no algorithm", specId([])],
    ["an algorithm twice", specId([SHA256, SHA256])],
    ["a known algorithm of another size", specId([[TPM_ALG.sha256, 20]])],
    ["a size of 0", specId([[SM3[0], 0]])],
    ["a size beyond any digest", specId([[SM3[0], 65]])],
    ["more algorithms than it holds", specId([SHA256], new Uint8Array(), 3)],
    ["2^32 - 1 algorithms", specId([SHA256], new Uint8Array(), 0xffff_ffff)],
    ["17 algorithms", specId(Array.from({ length: 17 }, (_, i) => [0x100 + i, 32] as const))],
  ];
  test.each(faulty)("with %s is malformed", (_, first) => {
    expect(faultOf(concat(first, agileEvent(separator)))).toBe(0);
  });
});

describe("hostile events", () => {
  const body = (count: number, ...parts: Uint8Array[]) =>
    concat(header, le32(7), le32(4), le32(count), ...parts);
  const digest = concat(le16(SHA256[0]), new Uint8Array(32));
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ["2^32 - 1 digests", body(0xffff_ffff, digest, le32(0))],
    ["a digest more than the header announces", body(2, digest, digest, le32(0))],
    ["a digest that the header does not announce", body(1, le16(4), new Uint8Array(20), le32(0))],
    ["2^32 - 1 bytes of data", body(1, digest, le32(0xffff_ffff))],
    ["2^31 bytes of data", body(1, digest, le32(0x8000_0000), ascii("x"))],
    ["a byte of data too few", body(1, digest, le32(2), ascii("x"))],
    ["an extend of PCR 24", concat(header, agileEvent({ ...separator, pcr: 24 }))],
    ["an extend of PCR 2^32 - 1", concat(header, agileEvent({ ...separator, pcr: 0xffff_ffff }))],
  ];
  test.each(cases)("%s", (_, log) => expect(faultOf(log)).toBe(header.length));

  test("of one bank twice", () => {
    const two = specId([SHA256, SM3]);
    const log = concat(two, le32(7), le32(4), le32(2), digest, digest, le32(0));
    expect(faultOf(log)).toBe(two.length);
  });

  test("of a fifth runtime register, where there are four", () => {
    const log = agileLog(["sha256"], [{ ...separator, pcr: 5 }]);
    expect(faultOf(log, "ccel")).toBe(header.length);
    expect(faultOf(log)).toBeNull();
  });
});

describe("the largest logs", () => {
  test("are read in one pass: events without digests, empty ones before one that is not", () => {
    const count = Math.floor((LIMITS.eventLogBytes - header.length - 200) / 16);
    const log = concat(header, new Uint8Array(count * 16), agileEvent(separator));
    const { events, pcrs } = core.replayEventLog(log);
    expect(events).toHaveLength(count + 2);
    expect(pcrs).toEqual(replayed(["sha256"], [separator]));
  });

  test("a byte beyond the bound is malformed, as is none", () => {
    const log = new Uint8Array(LIMITS.eventLogBytes + 1);
    log.set(header);
    expect(faultOf(log)).toBe(LIMITS.eventLogBytes);
    expect(faultOf(log.subarray(1))).not.toBeNull();
    expect(faultOf(log.subarray(0, LIMITS.eventLogBytes))).toBeNull();
    expect(faultOf(new Uint8Array())).toBe(0);
  });
});

test("wrong arguments are named", () => {
  const input = expect.objectContaining({ code: "input" });
  expect(() => core.replayEventLog("" as unknown as Uint8Array)).toThrow(input);
  const format = "acpi" as unknown as "tcg";
  expect(() => core.replayEventLog(header, { format })).toThrow(input);
});
