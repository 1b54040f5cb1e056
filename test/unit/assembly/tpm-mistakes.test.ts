/**
 * Published errors of quote verifiers, each made on purpose. The names are those under which they
 * are known.
 */
import { describe, expect, test } from "vitest";
import { type Code, loadCore, type Quote } from "../../../src/core/index.ts";
import { concat, softwareAk, tpm2b, u8, u16, u32, u64 } from "../../support/ak.ts";
import { compile, Instance } from "../../support/assembly.ts";
import { CLOCK, PCRS } from "../../support/domain.ts";
import { seeded } from "../../support/keys.ts";
import {
  acceptedQuote,
  attestFields,
  FLOOR,
  joined,
  pcrsOf,
  QUALIFYING_DATA,
  type QuoteOverrides,
} from "../../support/tpm-structures.ts";

const core = await loadCore({ build: "checked" });
const appraise = (overrides: QuoteOverrides = {}) => core.appraiseQuote(acceptedQuote(overrides));
const codesOf = (overrides: QuoteOverrides): readonly Code[] => appraise(overrides).codes;
const pcrs = pcrsOf(PCRS);
const EMPTY = new Uint8Array();

test("what follows differs from an accepted quote in one thing", () => {
  expect(appraise()).toMatchObject({ ok: true, codes: [] });
});

test("CVE-2022-1053: one AK validated, another used", () => {
  const request = { extraData: QUALIFYING_DATA, pcrs: PCRS, clock: CLOCK };
  for (const other of [softwareAk("ecdsa-p256", "other"), softwareAk("rsassa-2048")]) {
    const { attest, signature } = other.quote(request);
    const { ok, codes } = appraise({ quote: { attest, signature } });
    expect(ok).toBe(false);
    expect(codes[0]).toMatch(/^environment\.quote-(signature|scheme)$/);
  }
});

test("CVE-2022-0317: a quote over no PCRs, or over some, accepted as if over all", () => {
  const none = { request: { pcrs: {} }, quote: { pcrs, policy: acceptedQuote().policy } };
  expect(codesOf(none)).toEqual(["environment.quote-selection"]);
  const some = { sha256: new Map([...(PCRS.sha256 ?? [])].slice(0, 3)) };
  const { policy } = acceptedQuote();
  expect(codesOf({ request: { pcrs: some }, quote: { pcrs, policy } })).toEqual([
    "environment.pcr-uncovered",
  ]);
});

test("CVE-2024-29038, CVE-2024-29040: the magic of TPMS_ATTEST unchecked", () => {
  for (const magic of [0, 0xff544346, 0x7f544347, 0x474354ff]) {
    expect(codesOf({ request: { magic } })).toEqual(["environment.quote-magic"]);
  }
});

test("CVE-2024-29039: pcrSelect of the signed structure unchecked", () => {
  // The digest is of the values of PCR 0 to 7, as supplied; the signed selection says PCR 8 to 15.
  const selection = concat(u32(1), u16(0x000b), u8(3), Uint8Array.of(0, 0xff, 0));
  expect(codesOf({ request: { selection } })).toEqual(["environment.quote-digest"]);
  const moved = {
    sha256: Object.fromEntries(
      Object.entries(pcrs.sha256 ?? {}).map(([i, v]) => [Number(i) + 8, v]),
    ),
  };
  expect(codesOf({ request: { selection }, quote: { pcrs: moved } })).toEqual([
    "environment.pcr-uncovered",
  ]);
});

test("GHSA-gwfg-w3jr-xh66: an NV certification accepted as a quote", () => {
  // TPMS_NV_CERTIFY_INFO (Part 2 §10.12.7): the caller chooses what stands in the index.
  const content = concat(u32(1), u16(0x000b), u8(3), Uint8Array.of(0xff, 0, 0), tpm2b(seeded("d")));
  const attest = (quoted: Uint8Array): Uint8Array => {
    const fields = attestFields(quoted);
    const head = ["magic", "type", "qualifiedSigner", "extraData"] as const;
    const clock = ["clock", "resetCount", "restartCount", "safe", "firmwareVersion"] as const;
    const kept = [...head, ...clock].map((name) => fields.get(name) ?? EMPTY);
    return concat(...kept, tpm2b(concat(u16(0x000b), seeded("index"))), u16(0), tpm2b(content));
  };
  expect(codesOf({ request: { type: 0x8014, attest } })).toEqual(["environment.quote-type"]);
  expect(codesOf({ request: { attest } })).toEqual(["environment.quote-malformed"]);
});

test("go-attestation d2a19a5: key and signature of different kinds", () => {
  const ecc = acceptedQuote();
  const rsa = acceptedQuote({ ak: "rsassa-2048" });
  const crossed = [
    { ...ecc, signature: rsa.signature },
    { ...rsa, signature: ecc.signature },
  ];
  for (const quote of crossed) {
    expect(core.appraiseQuote(quote).codes).toEqual(["environment.quote-scheme"]);
  }
  // A signature that claims the key's own scheme around the other kind's bytes.
  const disguised = concat(ecc.signature.subarray(0, 4), rsa.signature.subarray(4));
  expect(core.appraiseQuote({ ...ecc, signature: disguised }).codes).toEqual([
    "environment.quote-malformed",
  ]);
});

describe("go-attestation becfd07, f877374, 1bd9b0f, 5e9eb5d", () => {
  test("underflow: every length field with every extreme", () => {
    const fields = attestFields(acceptedQuote().attest);
    for (const name of ["qualifiedSigner", "extraData", "pcrDigest"]) {
      for (const length of [0, 1, 0x7fff, 0x8000, 0xffff]) {
        const bytes = fields.get(name) ?? EMPTY;
        const attest = joined(fields, { [name]: concat(u16(length), bytes.subarray(2)) });
        expect(appraise({ quote: { attest } }).ok).toBe(false);
        expect(appraise({ request: { attest: () => attest } }).ok).toBe(false);
      }
    }
  });

  test("unbounded allocation: counts far beyond the bytes that are there", () => {
    for (const count of [17, 0xffff, 0x7fff_ffff, 0xffff_ffff]) {
      expect(codesOf({ request: { selection: u32(count) } })).toEqual([
        "environment.quote-malformed",
      ]);
    }
  });

  test("recursion: a policy nested without end", () => {
    const policy = new Uint8Array(4_000_000).fill(0xa1);
    expect(codesOf({ quote: { policy } })).toEqual(["policy.malformed"]);
  });

  test("error returned as nil: no failure leaves the answer empty", () => {
    const quote = acceptedQuote();
    for (const part of ["publicArea", "attest", "signature", "qualifyingData"] as const) {
      const appraisal = core.appraiseQuote({ ...quote, [part]: EMPTY });
      expect(appraisal.ok).toBe(false);
      expect(appraisal.code).toBe(appraisal.codes[0]);
      expect(appraisal.codes.length).toBeGreaterThan(0);
    }
  });
});

test("CVE-2022-3500, stale good evidence reused: an answer is of this call alone", () => {
  const good = acceptedQuote();
  expect(core.appraiseQuote(good).ok).toBe(true);
  expect(() => core.appraiseQuote({ ...good, attest: "" } as unknown as Quote)).toThrow();
  const { attest: _, ...rest } = good;
  for (const bad of [
    { ...rest, attest: EMPTY },
    { ...good, pcrs: {} },
    { ...good, publicArea: EMPTY },
  ]) {
    expect(core.appraiseQuote(bad).ok).toBe(false);
    expect(core.appraiseQuote(good).ok).toBe(true);
  }
});

test("CVE-2023-3674: a bad signature only logged", () => {
  const { signature } = acceptedQuote();
  const bad = signature.with(signature.length - 1, (signature.at(-1) ?? 0) ^ 1);
  expect(appraise({ quote: { signature: bad } })).toMatchObject({
    ok: false,
    codes: ["environment.quote-signature"],
  });
});

test("CVE-2026-6420, CVE-2023-38201: a fixed nonce, or the challenge left out", () => {
  for (const extraData of [new Uint8Array(32), new Uint8Array(20), EMPTY]) {
    expect(codesOf({ request: { extraData } })).toEqual(["environment.quote-nonce"]);
  }
});

test("nil or empty nonce: an empty challenge is answered by nothing", () => {
  const request = { extraData: EMPTY };
  expect(codesOf({ request, quote: { qualifyingData: EMPTY } })).toEqual([
    "environment.quote-nonce",
  ]);
});

test("values of unselected PCRs trusted", () => {
  const value = seeded("pcr 9");
  const supplied = { sha256: { ...pcrs.sha256, 9: value } };
  const policy = { pcrs: { sha256: { 0: [pcrs.sha256?.[0] ?? EMPTY], 9: [value] } } };
  expect(codesOf({ quote: { pcrs: supplied, policy } })).toEqual(["environment.pcr-uncovered"]);
});

test("unsigned selection used instead of the signed one", () => {
  // Supplied are exactly the values that the policy wants, and nothing else.
  const wanted = { sha256: { 9: seeded("pcr 9") } };
  const policy = { pcrs: { sha256: { 9: [seeded("pcr 9")] } } };
  expect(codesOf({ quote: { pcrs: wanted, policy } })).toEqual(["environment.quote-digest"]);
});

test("junk after a valid signature", () => {
  for (const ak of ["ecdsa-p256", "rsassa-2048"] as const) {
    const { signature } = acceptedQuote({ ak });
    const junk = concat(signature, u8(0));
    expect(codesOf({ ak, quote: { signature: junk } })).toEqual(["environment.quote-malformed"]);
  }
});

test("SHA-1 fallback: neither the signature nor the values may name a weaker hash than the key's", () => {
  expect(codesOf({ request: { sigHash: 0x0004 } })).toEqual(["environment.quote-scheme"]);
  expect(codesOf({ request: { pcrDigest: seeded("20 bytes", 20) } })).toEqual([
    "environment.quote-digest",
  ]);
  const policy = { pcrs: { sha1: { 0: [seeded("sha1", 20)] } } };
  expect(codesOf({ quote: { policy } })).toEqual(["environment.pcr-uncovered"]);
});

test("all-zero reference value matches", () => {
  const policy = { pcrs: { sha256: { 0: [new Uint8Array(32)] } } };
  expect(codesOf({ quote: { policy } })).toEqual(["environment.pcr-mismatch"]);
  const absent = { pcrs: { sha256: { 12: [new Uint8Array(32)] } } };
  expect(codesOf({ quote: { policy: absent } })).toEqual(["environment.pcr-uncovered"]);
});

test("accept-all default policy, no comparison made reported as success", () => {
  for (const policy of [{ pcrs: {} }, { pcrs: { sha256: {} } }, { pcrs: { sha256: undefined } }]) {
    const quote = { ...acceptedQuote(), policy } as Quote;
    expect(core.appraiseQuote(quote)).toMatchObject({ ok: false, code: "environment.pcr-empty" });
  }
  expect(() =>
    core.appraiseQuote({ ...acceptedQuote(), policy: undefined } as unknown as Quote),
  ).toThrow();
});

test("our own: lengths of 2^31 and beyond never wrap an address", async () => {
  const module = await compile("checked", ["assembly/appraise.ts"]);
  /** The frame of assembly/appraise.ts with these four lengths, and nothing in it. */
  const frame = (lengths: readonly number[]): Uint8Array => {
    const [area = 0, attest = 0, signature = 0, data = 0] = lengths;
    const floor = [u8(1), u32(0), u32(0), u64(FLOOR.clock), u64(0n)];
    const head = [u32(area), u8(0), u32(attest), u32(signature), u32(data), u8(1)];
    return concat(...head, u32(0), ...floor, u8(0), u32(0));
  };
  const call = (bytes: Uint8Array): void => {
    const instance = new Instance(module);
    const span = (BigInt(instance.put(bytes)) << 32n) | BigInt(bytes.length);
    instance.call("appraiseQuote", span);
  };
  expect(() => call(frame([0, 0, 0, 0]))).not.toThrow();
  for (const length of [1000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff]) {
    for (let i = 0; i < 4; i++) {
      expect(() => call(frame([0, 0, 0, 0].with(i, length)))).toThrow("unreachable");
    }
  }
});
