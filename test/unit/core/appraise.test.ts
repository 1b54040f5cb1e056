/** `appraiseQuote`: every check has its negative, every documented sentence a test. */
import { describe, expect, test } from "vitest";
import { type ClockFloor, type Code, loadCore } from "../../../src/core/index.ts";
import {
  AK_ATTRIBUTES,
  AK_TYPES,
  type AkType,
  concat,
  nameOf,
  qualifiedUnder,
  softwareAk,
  u8,
  u16,
  u32,
} from "../../support/ak.ts";
import { CLOCK, PCRS } from "../../support/domain.ts";
import { seeded } from "../../support/keys.ts";
import {
  acceptedQuote,
  FLOOR,
  pcrsOf,
  QUALIFYING_DATA,
  type QuoteOverrides,
} from "../../support/tpm-structures.ts";

const core = await loadCore({ build: "checked" });
const codesOf = (overrides: QuoteOverrides): readonly Code[] =>
  core.appraiseQuote(acceptedQuote(overrides)).codes;
const pcrs = pcrsOf(PCRS);
const DIGEST = seeded("digest");

describe("an accepted quote", () => {
  test.each(Object.keys(AK_TYPES) as AkType[])("by %s", (ak) => {
    const appraisal = core.appraiseQuote(acceptedQuote({ ak }));
    expect(appraisal).toEqual({ ok: true, code: null, codes: [], unchecked: ["eventLog", "ima"] });
    expect(Object.isFrozen(appraisal) && Object.isFrozen(appraisal.codes)).toBe(true);
  });

  test("over two banks, in the order of the selection", () => {
    const banks = {
      sha384: new Map([0, 9, 23].map((i) => [i, seeded(`384 ${i}`, 48)] as const)),
      sha1: new Map([2, 16].map((i) => [i, seeded(`1 ${i}`, 20)] as const)),
    };
    const policy = {
      pcrs: { sha1: { 2: [seeded("1 2", 20)] }, sha384: { 9: [seeded("384 9", 48)] } },
    };
    expect(codesOf({ request: { pcrs: banks }, quote: { policy } })).toEqual([]);
  });

  test("a policy may allow several values, in any number", () => {
    const allowed = [
      ...Array.from({ length: 300 }, (_, i) => seeded(`${i}`)),
      pcrs.sha256?.[7] ?? DIGEST,
    ];
    const policy = { pcrs: { sha256: { 7: allowed } } };
    expect(codesOf({ quote: { policy } })).toEqual([]);
  });

  test("its answer depends on nothing asked before", () => {
    const good = acceptedQuote();
    const bad = acceptedQuote({
      quote: { attest: new Uint8Array(), pcrs: {}, policy: { pcrs: {} } },
    });
    const [first, denied] = [core.appraiseQuote(good), core.appraiseQuote(bad)];
    expect(denied.ok).toBe(false);
    expect(core.appraiseQuote(good)).toEqual(first);
    expect(core.appraiseQuote(bad)).toEqual(denied);
  });
});

describe("each check", () => {
  const attest = (magic: number, type: number) => ({ request: { magic, type } });
  const cases: readonly (readonly [string, QuoteOverrides, readonly Code[]])[] = [
    ["no attest", { quote: { attest: new Uint8Array() } }, ["environment.quote-missing"]],
    [
      "an attest larger than its bound",
      { request: { attest: (bytes) => concat(bytes, new Uint8Array(1024)) } },
      ["environment.quote-malformed"],
    ],
    [
      "an attest of megabytes",
      { quote: { attest: new Uint8Array(20_000_000) } },
      ["environment.quote-malformed"],
    ],
    [
      "a signature of megabytes",
      { quote: { signature: new Uint8Array(20_000_000) } },
      ["environment.quote-malformed"],
    ],
    [
      "a magic that is not a TPM's (CVE-2024-29038)",
      attest(0xff544346, 0x8018),
      ["environment.quote-magic"],
    ],
    ["the type of a certification", attest(0xff544347, 0x8017), ["environment.quote-type"]],
    [
      "a key that is not restricted",
      { attributes: AK_ATTRIBUTES & ~0x10000 },
      ["environment.quote-key"],
    ],
    [
      "a hash that is not the key's",
      { request: { sigHash: 0x000c } },
      ["environment.quote-scheme"],
    ],
    [
      "a scheme that is not the key's",
      { request: { sigAlg: 0x0014 } },
      ["environment.quote-scheme"],
    ],
    [
      "the wrong qualifying data",
      { request: { extraData: seeded("another") } },
      ["environment.quote-nonce"],
    ],
    [
      "a prefix of the qualifying data",
      { request: { extraData: QUALIFYING_DATA.subarray(0, 31) } },
      ["environment.quote-nonce"],
    ],
    ["no selection", { request: { selection: u32(0) } }, ["environment.quote-selection"]],
    ["another digest", { request: { pcrDigest: DIGEST } }, ["environment.quote-digest"]],
    [
      "the clock unsafe",
      { request: { clock: { ...CLOCK, safe: false } } },
      ["environment.clock-unsafe"],
    ],
    [
      "a key elsewhere than in the endorsement hierarchy",
      { request: { qualifiedSigner: nameOf(DIGEST) } },
      ["environment.clock-obfuscated"],
    ],
    [
      "firmware below the floor",
      { request: { clock: { ...CLOCK, firmwareVersion: 1n } } },
      ["environment.firmware-rollback"],
    ],
    ["no event log", { quote: { eventLog: DIGEST } }, ["environment.eventlog-malformed"]],
    ["an empty IMA list", { quote: { ima: new Uint8Array() } }, ["environment.ima-uncovered"]],
    ["a policy without PCRs", { quote: { policy: { pcrs: {} } } }, ["environment.pcr-empty"]],
    [
      "a bank without PCRs",
      { quote: { policy: { pcrs: { sha256: {} } } } },
      ["environment.pcr-empty"],
    ],
    [
      "a policy over a PCR that is not covered",
      { quote: { policy: { pcrs: { sha256: { 8: [DIGEST] } } } } },
      ["environment.pcr-uncovered"],
    ],
    [
      "a policy over a bank that is not covered",
      { quote: { policy: { pcrs: { sha1: { 0: [seeded("0", 20)] } } } } },
      ["environment.pcr-uncovered"],
    ],
    [
      "a policy over a PCR that no TPM has",
      { quote: { policy: { pcrs: { sha256: { 65536: [DIGEST] } } } } },
      ["environment.pcr-uncovered"],
    ],
    [
      "a PCR with another value",
      { quote: { policy: { pcrs: { sha256: { 0: [DIGEST] } } } } },
      ["environment.pcr-mismatch"],
    ],
    [
      "a PCR for which nothing is allowed",
      { quote: { policy: { pcrs: { sha256: { 0: [] } } } } },
      ["environment.pcr-mismatch"],
    ],
  ];
  test.each(cases)("%s", (_, overrides, codes) => {
    const appraisal = core.appraiseQuote(acceptedQuote(overrides));
    expect(appraisal.codes).toEqual(codes);
    expect(appraisal.code).toBe(codes[0]);
    expect(appraisal.ok).toBe(false);
  });

  test("the signature: another key's, of the same kind", () => {
    const { attest: signed } = acceptedQuote();
    const other = softwareAk("ecdsa-p256", "another").quote({
      extraData: QUALIFYING_DATA,
      pcrs: PCRS,
      clock: CLOCK,
    });
    const { codes } = core.appraiseQuote({ ...acceptedQuote(), signature: other.signature });
    expect(signed).not.toEqual(other.attest);
    expect(codes).toEqual(["environment.quote-signature"]);
  });

  test("every bit of attest and signature", () => {
    const quote = acceptedQuote();
    for (const part of ["attest", "signature"] as const) {
      for (let bit = 0; bit < quote[part].length * 8; bit++) {
        const changed = quote[part].slice();
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(core.appraiseQuote({ ...quote, [part]: changed }).ok).toBe(false);
      }
    }
  });

  test("every cut, and bytes that trail", () => {
    const quote = acceptedQuote();
    for (const part of ["publicArea", "attest", "signature"] as const) {
      for (let length = 0; length < quote[part].length; length++) {
        const cut = core.appraiseQuote({ ...quote, [part]: quote[part].subarray(0, length) });
        expect(cut.ok).toBe(false);
      }
      const trailing = core.appraiseQuote({ ...quote, [part]: concat(quote[part], u8(0)) });
      expect(trailing.ok).toBe(false);
    }
  });

  test("all that fail are listed, in the order of the table", () => {
    const codes = codesOf({
      attributes: AK_ATTRIBUTES | (1 << 17),
      request: {
        extraData: DIGEST,
        pcrDigest: DIGEST,
        clock: { ...CLOCK, safe: false, clock: 0n },
      },
      quote: { eventLog: DIGEST, policy: { pcrs: { sha256: { 16: [DIGEST] } } } },
    });
    // PCR values that are not the quoted ones are not compared; a policy over PCR 16 is wrong
    // whatever it holds.
    expect(codes).toEqual([
      "environment.quote-key",
      "environment.quote-nonce",
      "environment.quote-digest",
      "environment.clock-unsafe",
      "environment.clock-rollback",
      "environment.eventlog-malformed",
      "environment.pcr-untrusted",
    ]);
  });
});

describe("the floor", () => {
  const { resetCount, restartCount, clock } = CLOCK;
  const cases: readonly (readonly [string, Partial<ClockFloor>, Partial<typeof CLOCK>, Code[]])[] =
    [
      ["is met exactly", {}, {}, []],
      [
        "one reset more, all else below",
        { resetCount: resetCount - 1, restartCount: 9 },
        { clock: 0n },
        [],
      ],
      ["one restart more in one boot", {}, { restartCount: restartCount + 1 }, []],
      [
        "the clock one below, in the same boot session",
        { clock: clock + 1n },
        {},
        ["environment.clock-rollback"],
      ],
      [
        "the clock one below after a restart",
        { clock: clock + 1n, restartCount: restartCount - 1 },
        {},
        ["environment.clock-rollback"],
      ],
      ["one restart less", { restartCount: restartCount + 1 }, {}, ["environment.clock-reset"]],
      [
        "one reset less",
        { resetCount: resetCount + 1, restartCount: 0, clock: 0n },
        {},
        ["environment.clock-reset"],
      ],
      [
        "zero counters and a clock below: TPM2_Clear",
        {},
        { resetCount: 0, restartCount: 0, clock: 7n },
        ["environment.clock-cleared"],
      ],
      [
        "zero counters, but a clock that went on",
        {},
        { resetCount: 0, restartCount: 0 },
        ["environment.clock-reset"],
      ],
      [
        "an old quote of the first boot",
        { resetCount: 2 },
        { resetCount: 1, restartCount: 0, clock: 7n },
        ["environment.clock-reset"],
      ],
      [
        "the largest numbers",
        { resetCount: 0xffff_ffff, clock: 2n ** 64n - 1n },
        {},
        ["environment.clock-reset"],
      ],
    ];
  test.each(cases)("%s", (_, floor, moved, codes) => {
    const request = { clock: { ...CLOCK, ...moved } };
    expect(codesOf({ request, quote: { floor: { ...FLOOR, ...floor } } })).toEqual(codes);
  });

  test("without a firmware version leaves that unchecked", () => {
    const quote = acceptedQuote({ request: { clock: { ...CLOCK, firmwareVersion: 0n } } });
    const floor = { resetCount, restartCount, clock };
    const { ok, unchecked } = core.appraiseQuote({ ...quote, floor });
    expect([ok, unchecked]).toEqual([true, ["floor.firmwareVersion", "eventLog", "ima"]]);
  });

  test("absent: a key of another hierarchy stands in unchecked, and is no fault", () => {
    const quote = acceptedQuote({ request: { qualifiedSigner: nameOf(DIGEST) } });
    const { floor: _, ...without } = quote;
    const { ok, unchecked } = core.appraiseQuote(without);
    const rest = ["floor", "floor.firmwareVersion", "eventLog", "ima"];
    expect([ok, unchecked]).toEqual([true, ["qualifiedSigner", ...rest]]);
    const { floor: __, ...ours } = acceptedQuote();
    expect(core.appraiseQuote(ours)).toMatchObject({ ok: true, unchecked: rest });
  });

  test("a primary key's qualified name has the hierarchy alone above it", () => {
    const { name } = softwareAk("ecdsa-p256", "ak");
    const qualifiedSigner = qualifiedUnder(u32(0x4000000b), name);
    const { ekName: _, ...primary } = acceptedQuote({ request: { qualifiedSigner } });
    expect(core.appraiseQuote(primary).codes).toEqual([]);
    const owner = qualifiedUnder(u32(0x40000001), name);
    const { ekName: __, ...storage } = acceptedQuote({ request: { qualifiedSigner: owner } });
    expect(core.appraiseQuote(storage).codes).toEqual(["environment.clock-obfuscated"]);
  });

  test.each([
    [new Uint8Array()],
    [u16(0x000b)],
    [u16(0xffff)],
    [concat(nameOf(DIGEST), u8(0))],
    [new Uint8Array(1e6)],
  ])("an ekName that is no Name is no parent, not even of no name (%#)", (ekName) => {
    for (const request of [{}, { qualifiedSigner: new Uint8Array() }]) {
      expect(codesOf({ request, quote: { ekName } })).toEqual(["environment.clock-obfuscated"]);
    }
  });
});

describe("many quotes at once", () => {
  const bads: QuoteOverrides[] = [
    { quote: { qualifyingData: DIGEST } },
    { quote: { signature: new Uint8Array() } },
    { quote: { attest: new Uint8Array(70_000) } },
    { quote: { publicArea: u8(1) } },
    { quote: { pcrs: {} } },
  ];
  const kinds: QuoteOverrides[] = (Object.keys(AK_TYPES) as AkType[]).map((ak) => ({ ak }));
  /** Every third one bad. */
  const mixed = (count: number) =>
    Array.from({ length: count }, (_, i) => {
      const some = i % 3 === 2 ? bads : kinds;
      const overrides = some[Math.floor(i / 3) % some.length] ?? {};
      const extraData = seeded(`quote ${i} of ${count}`);
      return acceptedQuote({
        request: { extraData },
        ...overrides,
        quote: { qualifyingData: extraData, ...overrides.quote },
      });
    });

  test.each(["simd", "scalar", "checked"] as const)("each as alone, %s", async (build) => {
    const [one, other] = await Promise.all([loadCore({ build }), loadCore({ build })]);
    for (const count of [0, 1, 2, 64, 65]) {
      const quotes = mixed(count);
      const found = one.appraiseQuotes(quotes);
      expect(found).toEqual(quotes.map((quote) => other.appraiseQuote(quote)));
      expect(found.filter(({ ok }) => ok).length).toBe(count - Math.floor(count / 3));
    }
  });

  test("a wrong shape throws, with the quote's index", () => {
    const quotes: unknown[] = [acceptedQuote(), acceptedQuote(), acceptedQuote()];
    for (const wrong of [null, 7, {}, { ...acceptedQuote(), attest: "text" }]) {
      quotes[1] = wrong;
      const thrown = (() => {
        try {
          core.appraiseQuotes(quotes as never);
        } catch (error) {
          return error;
        }
        return undefined;
      })();
      expect(thrown).toMatchObject({ name: "CoreError", code: "input", index: 1 });
    }
    expect(() => core.appraiseQuotes({} as never)).toThrow(/array/);
  });
});
