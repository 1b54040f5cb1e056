/**
 * `appraiseQuote` with logs: what a log must be for a quote to make it evidence, check by check.
 */
import { beforeAll, describe, expect, test } from "vitest";
import {
  type Appraisal,
  type Code,
  type Core,
  loadCore,
  type Quote,
} from "../../../src/core/index.ts";
import { LIMITS } from "../../../src/limits.ts";
import { encodePayload } from "../../../src/wire/objects.ts";
import { type Bank, concat } from "../../support/ak.ts";
import { EVENTS, pcrsAfter, RULES } from "../../support/boots.ts";
import {
  agileEvent,
  agileLog,
  EV_SEPARATOR,
  type MadeEvent,
  measured,
  replayed,
  startupLocality,
} from "../../support/event-logs.ts";
import {
  encodeEntry,
  encodeList,
  legacyEntry,
  type MadeEntry,
  ngEntry,
  replayedIma,
} from "../../support/ima-lists.ts";
import { acceptedQuote } from "../../support/tpm-structures.ts";

let core: Core;
beforeAll(async () => {
  core = await loadCore({ build: "checked" });
});

const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const EV_EFI_HCRTM_EVENT = 0x8000_0010;
const BANKS: readonly Bank[] = ["sha256"];
const boot = (banks: readonly Bank[] = BANKS): MadeEvent[] => [
  measured(0, 8, ascii("version"), banks),
  ...[0, 1, 4, 7].map((pcr) => measured(pcr, EV_SEPARATOR, new Uint8Array(4), banks)),
];
const ENTRIES: readonly MadeEntry[] = [
  ngEntry("boot_aggregate"),
  legacyEntry("/init"),
  ngEntry("/bin/sh"),
];

type Values = { readonly [pcr: number]: Uint8Array };
type Logs = Pick<Quote, "eventLog" | "ima" | "imaPrefix">;

/** Appraises a quote of these values, which the policy allows, with logs. */
function appraise(pcrs: { readonly [bank in Bank]?: Values }, logs: Logs): Appraisal {
  const banks = Object.entries(pcrs).map(([bank, values]) => {
    const rows = Object.entries(values).map(([pcr, value]) => [Number(pcr), value] as const);
    return [bank, new Map(rows)] as const;
  });
  const { policy: _, ...quote } = acceptedQuote({ request: { pcrs: Object.fromEntries(banks) } });
  const allowed = Object.entries(pcrs).map(([bank, values]) => {
    const read = Object.entries(values).filter(([pcr]) => pcr !== "16" && pcr !== "23");
    return [bank, Object.fromEntries(read.map(([pcr, value]) => [pcr, [value]]))];
  });
  return core.appraiseQuote({ ...quote, policy: { pcrs: Object.fromEntries(allowed) }, ...logs });
}

const codesOf = (...args: Parameters<typeof appraise>): readonly Code[] => {
  const { ok, codes } = appraise(...args);
  expect(ok).toBe(codes.length === 0);
  return codes;
};

const values = (events: readonly MadeEvent[] = boot(), locality = 0): Values =>
  replayed(BANKS, events, locality).sha256 ?? {};
const log = (events: readonly MadeEvent[] = boot()) => agileLog(BANKS, events);
const ones = (width = 32) => new Uint8Array(width).fill(0xff);
const zeros = (width = 32) => new Uint8Array(width);

describe("a boot event log", () => {
  test("replays to the quoted values, in every bank; PCRs without events are as a reset leaves them", () => {
    const rest = { 2: zeros(), 9: zeros(), 17: ones(), 22: ones() };
    const { ok, codes, unchecked } = appraise(
      { sha256: { ...values(), ...rest } },
      { eventLog: log() },
    );
    expect([ok, codes, unchecked]).toEqual([true, [], ["ima"]]);
    const banks = ["sha1", "sha256"] as const;
    const events = boot(banks);
    expect(codesOf(replayed(banks, events), { eventLog: agileLog(banks, events) })).toEqual([]);
  });

  test("starts PCR 0 where it says, and with an H-CRTM at 0 or 4", () => {
    const eventLog = log([startupLocality(3), ...boot()]);
    expect(codesOf({ sha256: values(boot(), 3) }, { eventLog })).toEqual([]);
    expect(codesOf({ sha256: values() }, { eventLog })).toEqual(["environment.eventlog-mismatch"]);
    const hcrtm = [measured(0, EV_EFI_HCRTM_EVENT, ascii("HCRTM")), ...boot()];
    for (const [locality, codes] of [
      [0, []],
      [4, []],
      [3, ["environment.eventlog-mismatch"]],
    ] as const) {
      expect(codesOf({ sha256: values(hcrtm, locality) }, { eventLog: log(hcrtm) })).toEqual(codes);
    }
    // Elsewhere than first, or where a locality is told, it says nothing about the start.
    const late = [...boot(), measured(0, EV_EFI_HCRTM_EVENT, ascii("HCRTM"))];
    const told = log([startupLocality(0), ...hcrtm]);
    const mismatch = ["environment.eventlog-mismatch"];
    expect(codesOf({ sha256: values(late, 4) }, { eventLog: log(late) })).toEqual(mismatch);
    expect(codesOf({ sha256: values(hcrtm, 4) }, { eventLog: told })).toEqual(mismatch);
  });

  test("with another, one more, one less or the same events in another order is a mismatch", () => {
    const events = boot();
    const swapped = [events[1], events[0], ...events.slice(2)].flatMap((event) => event ?? []);
    const others = [swapped, [...events, ...events.slice(0, 1)], events.slice(1)];
    for (const other of others) {
      const codes = codesOf({ sha256: values() }, { eventLog: log(other) });
      expect(codes).toEqual(["environment.eventlog-mismatch"]);
    }
  });

  test("must explain every quoted PCR that was extended", () => {
    const missing = ["environment.eventlog-missing"];
    const eventLog = log();
    expect(codesOf({ sha256: { ...values(), 9: ones() } }, { eventLog })).toEqual(missing);
    expect(codesOf({ sha256: { ...values(), 17: zeros() } }, { eventLog })).toEqual(missing);
    expect(codesOf({ sha256: { ...values(), 14: zeros().fill(1, 31) } }, { eventLog })).toEqual(
      missing,
    );
    // The log has no events in the other bank.
    const other = { sha256: values(), sha1: { 4: ones(20) } };
    expect(codesOf(other, { eventLog })).toEqual(missing);
    const both = { sha256: { ...values(), 4: zeros(), 9: ones() } };
    expect(codesOf(both, { eventLog })).toEqual([...missing, "environment.eventlog-mismatch"]);
  });

  test("need not explain PCR 16 and 23, which any program extends, nor PCR 10, which is IMA's", () => {
    const pcrs = { sha256: { ...values(), 10: ones(), 16: ones(), 23: ones() } };
    expect(codesOf(pcrs, { eventLog: log() })).toEqual([]);
  });

  test("that nothing was compared with is no evidence", () => {
    const uncovered = ["environment.eventlog-uncovered"];
    const eventLog = log();
    expect(codesOf({ sha256: { 2: zeros(), 9: zeros() } }, { eventLog })).toEqual(uncovered);
    const debug = measured(16, EV_SEPARATOR, ascii("x"));
    const pcrs = { sha256: { 2: zeros(), 16: values([debug])[16] ?? zeros() } };
    expect(codesOf(pcrs, { eventLog: log([debug]) })).toEqual(uncovered);
  });

  test("that is cut, longer than its bound, padding or nothing is malformed", () => {
    const malformed = ["environment.eventlog-malformed"];
    const whole = log();
    const long = new Uint8Array(LIMITS.eventLogBytes + 1).fill(0xff);
    long.set(whole);
    const wrong = [whole.subarray(0, -1), long, new Uint8Array(64), new Uint8Array()];
    for (const eventLog of wrong) {
      expect(codesOf({ sha256: values() }, { eventLog })).toEqual(malformed);
    }
    const padded = long.subarray(0, LIMITS.eventLogBytes);
    expect(codesOf({ sha256: values() }, { eventLog: padded })).toEqual([]);
  });

  test("is not compared with values that are not the quoted ones", () => {
    const quote = acceptedQuote();
    const eventLog = log();
    const { codes } = core.appraiseQuote({ ...quote, pcrs: { sha256: values() }, eventLog });
    expect(codes).toEqual(["environment.quote-digest"]);
    expect(core.appraiseQuote({ ...quote, attest: new Uint8Array(), eventLog }).codes).toEqual([
      "environment.quote-missing",
    ]);
  });
});

describe("an IMA list", () => {
  const quoted = (entries: readonly MadeEntry[] = ENTRIES, bank: Bank = "sha256") => ({
    [bank]: replayedIma(entries, bank),
  });
  const ima = encodeList(ENTRIES);

  test("leads to the quoted PCR 10, in every quoted bank", () => {
    const { ok, codes, unchecked } = appraise(quoted(), { ima });
    expect([ok, codes, unchecked]).toEqual([true, [], ["eventLog"]]);
    const both = { ...quoted(ENTRIES, "sha1"), ...quoted(ENTRIES, "sha384") };
    expect(codesOf(both, { ima })).toEqual([]);
    expect(codesOf(quoted(), { ima: encodeList(ENTRIES, "sha256") })).toEqual([]);
  });

  test("may have grown since the quote, and what grew is not judged", () => {
    const grown = encodeList([...ENTRIES, ngEntry("/tmp/x", "zero"), { ...ngEntry("y"), pcr: 11 }]);
    expect(codesOf(quoted(), { ima: grown })).toEqual([]);
  });

  test("that is short of the quoted entry, or another, is a mismatch", () => {
    const mismatch = ["environment.ima-mismatch"];
    expect(codesOf(quoted(), { ima: encodeList(ENTRIES.slice(0, -1)) })).toEqual(mismatch);
    expect(codesOf(quoted(), { ima: encodeList(ENTRIES.slice(1)) })).toEqual(mismatch);
    expect(codesOf(quoted(), { ima: new Uint8Array() })).toEqual(mismatch);
    expect(codesOf({ sha256: { 10: zeros() } }, { ima })).toEqual(mismatch);
    // The same list, but the banks stopped at different entries.
    const torn = { ...quoted(ENTRIES, "sha1"), ...quoted(ENTRIES.slice(0, -1), "sha256") };
    expect(codesOf(torn, { ima })).toEqual(mismatch);
    // Two that agree do not outvote the third.
    const short = {
      ...quoted(ENTRIES.slice(0, -1), "sha256"),
      ...quoted(ENTRIES.slice(0, -1), "sha384"),
    };
    expect(codesOf({ ...quoted(ENTRIES, "sha1"), ...short }, { ima })).toEqual(mismatch);
  });

  test("is no evidence where the quote does not cover PCR 10", () => {
    const codes = codesOf({ sha256: { 7: ones() } }, { ima });
    expect(codes).toEqual(["environment.ima-uncovered"]);
  });

  test("with a violation before the quoted entry is denied", () => {
    const entries = [...ENTRIES, ngEntry("/var/log/x", "zero"), ngEntry("/bin/ls")];
    const codes = codesOf(quoted(entries), { ima: encodeList(entries) });
    expect(codes).toEqual(["environment.ima-violation"]);
  });

  test("with an entry of another PCR before the quoted one is denied: PCR 10 does not prove it", () => {
    const entries = [{ ...ngEntry("/bin/ls"), pcr: 11 }, ...ENTRIES];
    const codes = codesOf(
      { sha256: { 10: quoted().sha256?.[10] ?? ones() } },
      {
        ima: encodeList(entries),
      },
    );
    expect(codes).toEqual(["environment.ima-other-pcr"]);
  });

  test("of a kernel that extends SHA-1 and zeros is named", () => {
    const pcrs = { sha256: replayedIma(ENTRIES, "sha256", true) };
    expect(codesOf(pcrs, { ima })).toEqual(["environment.ima-padded"]);
  });

  test("that ends inside an entry is incomplete, also where the quoted entry is whole", () => {
    const incomplete = ["environment.ima-incomplete"];
    const cut = concat(ima, encodeEntry(ngEntry("/bin/ls")).subarray(0, 30));
    expect(codesOf(quoted(), { ima: cut })).toEqual(incomplete);
    expect(codesOf({ sha256: { 7: ones() } }, { ima: cut })).toEqual(incomplete);
  });

  test("that does not parse, or is longer than its bound, is malformed", () => {
    const malformed = ["environment.ima-malformed"];
    const evil = concat(ima, encodeEntry({ ...ngEntry("x"), pcr: 24 }));
    expect(codesOf(quoted(), { ima: evil })).toEqual(malformed);
    const long = new Uint8Array(LIMITS.imaBytes + 1);
    long.set(ima);
    expect(codesOf(quoted(), { ima: long })).toEqual(malformed);
  });

  test("does not match by its own template digests", () => {
    const lying = ENTRIES.map((entry) => ({ ...entry, digest: "wrong" as const }));
    expect(codesOf(quoted(), { ima: encodeList(lying) })).toEqual([]);
    const forged = { ...ngEntry("/bin/evil"), digest: "wrong" as const };
    const list = encodeList([...ENTRIES.slice(0, -1), forged]);
    expect(codesOf(quoted(), { ima: list })).toEqual(["environment.ima-mismatch"]);
  });
});

describe("an IMA list behind a prefix", () => {
  const quoted = { sha256: replayedIma(ENTRIES, "sha256") };
  const value = (entries: number, bank: Bank = "sha256") =>
    replayedIma(ENTRIES.slice(0, entries), bank)[10] ?? zeros();
  const behind = (entries: number, values = [value(entries)]) => ({
    ima: encodeList(ENTRIES.slice(entries)),
    imaPrefix: { entries, values },
  });

  test("leads on to the quoted value from where it was proven; it may add nothing", () => {
    for (const entries of [1, 2, 3]) expect(codesOf(quoted, behind(entries))).toEqual([]);
    const both = { ...quoted, sha1: replayedIma(ENTRIES, "sha1") };
    const values = [value(2), value(2, "sha1")];
    expect(codesOf(both, behind(2, values))).toEqual([]);
    // The next appraisal is of a whole list again.
    expect(codesOf(quoted, { ima: encodeList(ENTRIES) })).toEqual([]);
  });

  test("of other values, or of too few banks, is refused", () => {
    expect(codesOf(quoted, behind(2, [value(1)]))).toEqual(["environment.ima-mismatch"]);
    const both = { ...quoted, sha1: replayedIma(ENTRIES, "sha1") };
    expect(codesOf(both, behind(2))).toEqual(["environment.ima-resume"]);
  });

  test.each([
    { entries: 0, values: [zeros()] },
    { entries: -1, values: [zeros()] },
    { entries: 1.5, values: [zeros()] },
    { entries: 1, values: [] },
    { entries: 1, values: [zeros(), zeros()] },
    { entries: 1, values: [zeros(31)] },
  ])("that cannot be is the caller's mistake: %o", (imaPrefix) => {
    expect(() => appraise(quoted, { ima: encodeList(ENTRIES), imaPrefix })).toThrow(/imaPrefix/);
  });
});

test("the entry that the policy denies is told, counted from the boot's first", () => {
  const quoted = { sha256: replayedIma(ENTRIES, "sha256") };
  const first = replayedIma(ENTRIES.slice(0, 1), "sha256")[10] ?? zeros();
  const digest = new Uint8Array(20).fill(7);
  const stages = [{ from: 0, to: null, files: [{ digest, names: [] }] }];
  const claims = { domain: "example.org", iat: 1, name: "base", version: 1 };
  const policy = encodePayload("policy", { ...claims, ima: { aggregate: false, stages } });
  const values = new Map([[10, quoted.sha256[10] ?? zeros()]]);
  const quote = { ...acceptedQuote({ request: { pcrs: { sha256: values } } }), policy };
  const whole = core.appraiseQuote({ ...quote, ima: encodeList(ENTRIES) });
  // The first entry bears the aggregate's name, and is let be.
  expect([whole.codes, whole.deniedImaEntry]).toEqual([["environment.ima-file"], 1]);
  const ima = encodeList(ENTRIES.slice(1));
  const behind = core.appraiseQuote({ ...quote, ima, imaPrefix: { entries: 1, values: [first] } });
  expect([behind.codes, behind.deniedImaEntry]).toEqual([["environment.ima-file"], 1]);
  expect("deniedImaEntry" in core.appraiseQuote(acceptedQuote())).toBe(false);
});

test("a policy's rules are judged over a log that replays to the quote, and over no other", () => {
  const claims = { domain: "example.org", iat: 1, name: "base", version: 1 };
  const policy = encodePayload("policy", { ...claims, eventLog: { sha256: RULES } });
  const quote = { ...acceptedQuote({ request: { pcrs: pcrsAfter(EVENTS) } }), policy };
  const codes = (changes: Partial<Quote>): readonly Code[] =>
    core.appraiseQuote({ ...quote, eventLog: log(EVENTS), ...changes }).codes;
  expect(codes({})).toEqual([]);
  expect(codes({ eventLog: log(EVENTS.slice(0, -1)) })).toEqual(["environment.eventlog-missing"]);
  const cut = log(EVENTS.slice(0, -1)).subarray(0, -1);
  expect(codes({ eventLog: cut })).toEqual(["environment.eventlog-malformed"]);
  expect(codes({ eventLog: log(EVENTS.slice(0, -1)), pcrs: {} })).toEqual([
    "environment.quote-digest",
  ]);
});

test("both logs together, and each answer by itself", () => {
  const pcrs = { sha256: { ...values(), ...replayedIma(ENTRIES, "sha256") } };
  const logs = { eventLog: log(), ima: encodeList(ENTRIES) };
  const { ok, unchecked } = appraise(pcrs, logs);
  expect([ok, unchecked]).toEqual([true, []]);
  const extra = concat(log(), agileEvent(measured(4, EV_SEPARATOR, ascii("x"))));
  expect(codesOf(pcrs, { ...logs, eventLog: extra })).toEqual(["environment.eventlog-mismatch"]);
  const short = encodeList(ENTRIES.slice(1));
  expect(codesOf(pcrs, { eventLog: extra, ima: short })).toEqual([
    "environment.eventlog-mismatch",
    "environment.ima-mismatch",
  ]);
});
