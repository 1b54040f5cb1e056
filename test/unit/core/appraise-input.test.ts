/**
 * `appraiseQuote`: what it is given. Shapes throw, evidence never does; policies as payloads;
 * values beside the selection.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Code, CoreError, loadCore, type Quote } from "../../../src/core/index.ts";
import { encodePayload } from "../../../src/wire/objects.ts";
import { concat, nameOf, softwareAk, u8 } from "../../support/ak.ts";
import { CLOCK, Domain, PCRS } from "../../support/domain.ts";
import { seeded } from "../../support/keys.ts";
import {
  acceptedQuote,
  FLOOR,
  pcrsOf,
  policyOf,
  type QuoteOverrides,
} from "../../support/tpm-structures.ts";

const core = await loadCore({ build: "checked" });
const codesOf = (overrides: QuoteOverrides): readonly Code[] =>
  core.appraiseQuote(acceptedQuote(overrides)).codes;
const pcrs = pcrsOf(PCRS);
const DIGEST = seeded("digest");

describe("a reference policy's payload", () => {
  const claims = new Domain(softwareAk()).policy({
    pcrs: { sha256: new Map([[0, [pcrs.sha256?.[0] ?? DIGEST, DIGEST]]]) },
  });
  const payload = encodePayload("policy", claims);

  test("is judged as its rules are", () => {
    expect(codesOf({ quote: { policy: payload } })).toEqual([]);
    const other = { ...claims, pcrs: { sha256: new Map([[1, [DIGEST]]]) } };
    const { codes } = core.appraiseQuote(
      acceptedQuote({ quote: { policy: encodePayload("policy", other) } }),
    );
    expect(codes).toEqual(["environment.pcr-mismatch"]);
  });

  test("may ask for firmware, which only a key of the endorsement hierarchy tells", () => {
    const policy = encodePayload("policy", {
      ...claims,
      firmwareVersionMin: CLOCK.firmwareVersion,
    });
    expect(codesOf({ quote: { policy } })).toEqual([]);
    const higher = { ...claims, firmwareVersionMin: CLOCK.firmwareVersion + 1n };
    const { floor: _, ...quote } = acceptedQuote({
      quote: { policy: encodePayload("policy", higher) },
    });
    expect(core.appraiseQuote(quote).codes).toEqual(["environment.firmware-rollback"]);
    const { floor: __, ...storage } = acceptedQuote({
      request: { qualifiedSigner: nameOf(DIGEST) },
      quote: { policy },
    });
    expect(core.appraiseQuote(storage).codes).toEqual(["environment.clock-obfuscated"]);
  });

  test("of any other form is policy.malformed", () => {
    const others = [new Uint8Array(), u8(0xa0), concat(payload, u8(0)), new Uint8Array(4_194_305)];
    for (let i = 0; i < payload.length; i++) others.push(payload.subarray(0, i));
    for (const policy of others) {
      const { codes } = core.appraiseQuote(acceptedQuote({ quote: { policy } }));
      expect(codes).toEqual(["policy.malformed"]);
    }
  });
});

describe("shapes", () => {
  const good = acceptedQuote();
  const cases: readonly (readonly [string, Record<string, unknown>])[] = [
    ["publicArea absent", { publicArea: undefined }],
    ["attest a string", { attest: "ff544347" }],
    ["signature an array", { signature: [1] }],
    ["qualifyingData null", { qualifyingData: null }],
    ["ekName a number", { ekName: 7 }],
    ["pcrs absent", { pcrs: undefined }],
    ["a bank that is none", { pcrs: { md5: {} } }],
    ["a bank named by the prototype", { policy: { pcrs: { constructor: { 0: [DIGEST] } } } }],
    ["a PCR that is no index", { pcrs: { sha256: { zero: DIGEST } } }],
    ["a PCR value that is no bytes", { pcrs: { sha256: { 0: "00" } } }],
    ["policy absent", { policy: undefined }],
    ["policy without pcrs", { policy: {} }],
    [
      "an allowed value of another width",
      { policy: { pcrs: { sha256: { 0: [new Uint8Array(20)] } } } },
    ],
    ["a list of allowed values that is none", { policy: { pcrs: { sha256: { 0: DIGEST } } } }],
    ["a negative index in a policy", { policy: { pcrs: { sha256: { [-1]: [DIGEST] } } } }],
    ["floor null", { floor: null }],
    ["a clock that is a number", { floor: { ...FLOOR, clock: 5 } }],
    ["a clock beyond 64 bits", { floor: { ...FLOOR, clock: 2n ** 64n } }],
    ["a count beyond 32 bits", { floor: { ...FLOOR, resetCount: 2 ** 32 } }],
    ["a count that is a fraction", { floor: { ...FLOOR, restartCount: 0.5 } }],
    ["a firmware version below zero", { floor: { ...FLOOR, firmwareVersion: -1n } }],
    ["an event log that is text", { eventLog: "" }],
  ];
  test.each(cases)("%s throws", (_, change) => {
    const quote = { ...good, ...change } as unknown as Quote;
    expect(() => core.appraiseQuote(quote)).toThrow(CoreError);
    expect(() => core.appraiseQuote(quote)).toThrow(expect.objectContaining({ code: "input" }));
  });

  test("no quote at all throws", () => {
    for (const quote of [null, undefined, 1]) {
      expect(() => core.appraiseQuote(quote as unknown as Quote)).toThrow(CoreError);
    }
  });

  test("evidence is any bytes at all: property", () => {
    const parts = ["publicArea", "ekName", "attest", "signature", "qualifyingData"] as const;
    const bytes = fc.uint8Array({ maxLength: 1200 });
    /** Random bytes, or the accepted ones with some replaced and the end moved. */
    const damaged = fc.tuple(fc.constantFrom(...parts), fc.option(bytes), fc.nat(), bytes);
    fc.assert(
      fc.property(damaged, ([part, whole, place, piece]) => {
        const accepted = good[part] ?? new Uint8Array();
        const at = place % (accepted.length + 1);
        const value =
          whole ??
          concat(accepted.subarray(0, at), piece.subarray(0, 8), accepted.subarray(at + 4));
        if (Buffer.compare(value, accepted) === 0) return;
        const { ok, code, codes } = core.appraiseQuote({ ...good, [part]: value });
        expect([ok, code]).toEqual([false, codes[0]]);
      }),
      { numRuns: 400 },
    );
  });

  test("evidence of any width is a code", () => {
    const wide = { ...pcrs.sha256, 3: new Uint8Array(100_000) };
    expect(codesOf({ quote: { pcrs: { sha256: wide } } })).toEqual(["environment.quote-digest"]);
    expect(codesOf({ quote: { pcrs: {} } })).toEqual(["environment.quote-digest"]);
    const data = new Uint8Array(1_000_000);
    expect(codesOf({ quote: { qualifyingData: data } })).toEqual(["environment.quote-nonce"]);
  });
});

describe("supplied values outside the signed selection do not exist", () => {
  test("they change nothing, whatever they are", () => {
    const more = { ...pcrs, sha1: { 0: DIGEST }, sha256: { ...pcrs.sha256, 8: u8(1), 99: DIGEST } };
    expect(codesOf({ quote: { pcrs: more } })).toEqual([]);
  });

  test("a policy cannot be met by them", () => {
    const more = { sha256: { ...pcrs.sha256, 9: DIGEST } };
    const policy = { pcrs: { sha256: { 9: [DIGEST] } } };
    expect(codesOf({ quote: { pcrs: more, policy } })).toEqual(["environment.pcr-uncovered"]);
  });

  test("a selection with PCR 16 and 23 is fine, a policy that reads them is not", () => {
    const banks = { sha256: new Map([0, 16, 23].map((i) => [i, seeded(`pcr ${i}`)] as const)) };
    const policy = policyOf({ sha256: new Map([[0, seeded("pcr 0")]]) });
    expect(codesOf({ request: { pcrs: banks }, quote: { policy } })).toEqual([]);
    for (const pcr of [16, 23]) {
      const reading = policyOf({ sha256: new Map([[pcr, seeded(`pcr ${pcr}`)]]) });
      const codes = codesOf({ request: { pcrs: banks }, quote: { policy: reading } });
      expect(codes).toEqual(["environment.pcr-untrusted"]);
    }
  });
});
