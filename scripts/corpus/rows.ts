/**
 * Cases of a key in software: what is wrong in the statement, the key or the signature, one row
 * each.
 */
import type { Code, Quote } from "../../src/core/index.ts";
import { AK_ATTRIBUTES, concat, softwareAk, tpm2b, u8, u16, u32 } from "../../test/support/ak.ts";
import { CLOCK, PCRS } from "../../test/support/domain.ts";
import { seeded } from "../../test/support/keys.ts";
import {
  acceptedQuote,
  attestFields,
  joined,
  QUALIFYING_DATA,
  type QuoteOverrides,
} from "../../test/support/tpm-structures.ts";

export const OTHER = seeded("another value");
export const ZEROS = new Uint8Array(32);
const A = { fixedTPM: 2, origin: 0x20, duplication: 0x800, restricted: 0x10000, decrypt: 0x20000 };

export type Row = readonly [
  name: string,
  about: string,
  overrides: QuoteOverrides,
  codes: Code | readonly Code[],
  mistakes?: readonly string[],
];

const field = (changes: Record<string, Uint8Array>): QuoteOverrides => ({
  request: { attest: (attest) => joined(attestFields(attest), changes) },
});
export const clock = (change: Partial<typeof CLOCK>): QuoteOverrides => ({
  request: { clock: { ...CLOCK, ...change } },
});
export const selection = (...banks: Uint8Array[]): QuoteOverrides => ({
  request: { selection: concat(u32(banks.length), ...banks) },
});
export const bank = (id: number, ...bitmap: number[]): Uint8Array =>
  concat(u16(id), u8(bitmap.length), Uint8Array.from(bitmap));
const signature = (change: (signature: Uint8Array) => Uint8Array): QuoteOverrides => ({
  quote: { signature: change(acceptedQuote().signature) },
});
export const policy = (pcrs: Exclude<Quote["policy"], Uint8Array>["pcrs"]): QuoteOverrides => ({
  quote: { policy: { pcrs } },
});
const flipped = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, i) => (i === (at + bytes.length) % bytes.length ? byte ^ 1 : byte));
export const all = bank(0x000b, 0xff, 0, 0);

export const STATEMENT: readonly Row[] = [
  [
    "attest-absent",
    "There is no statement.",
    { quote: { attest: new Uint8Array() } },
    "environment.quote-missing",
  ],
  [
    "attest-trailing",
    "A byte follows the statement, and is signed with it.",
    {
      request: { attest: (bytes) => concat(bytes, u8(0)) },
    },
    "environment.quote-malformed",
    ["go-attestation becfd07"],
  ],
  [
    "attest-cut",
    "The statement lacks its last byte, and is signed so.",
    {
      request: { attest: (bytes) => bytes.subarray(0, -1) },
    },
    "environment.quote-malformed",
  ],
  [
    "attest-oversized",
    "The statement is longer than any TPM's.",
    {
      request: { attest: (bytes) => concat(bytes, new Uint8Array(1024)) },
    },
    "environment.quote-malformed",
    ["CVE-2022-23951"],
  ],
  [
    "attest-length-underflow",
    "A length runs beyond the end.",
    field({ extraData: u16(0xffff) }),
    "environment.quote-malformed",
    ["go-attestation becfd07"],
  ],
  [
    "attest-selection-count",
    "The selection counts 2^32-1 banks.",
    field({ count: u32(0xffff_ffff) }),
    "environment.quote-malformed",
    ["go-attestation f877374"],
  ],
  [
    "attest-safe-undefined",
    "TPMI_YES_NO is 2.",
    field({ safe: u8(2) }),
    "environment.quote-malformed",
  ],
  [
    "magic-other",
    "The magic is not TPM_GENERATED_VALUE: no TPM made it.",
    { request: { magic: 0xff544346 } },
    "environment.quote-magic",
    ["CVE-2024-29038", "CVE-2024-29040"],
  ],
  [
    "magic-zero",
    "The magic is zero.",
    { request: { magic: 0 } },
    "environment.quote-magic",
    ["CVE-2024-29038", "CVE-2024-29040"],
  ],
  [
    "type-certify",
    "The type says TPM2_Certify, the body is a quote's.",
    { request: { type: 0x8017 } },
    "environment.quote-type",
  ],
  [
    "type-nv",
    "The type says TPM2_NV_Certify, the body is a quote's.",
    { request: { type: 0x8014 } },
    "environment.quote-type",
    ["GHSA-gwfg-w3jr-xh66"],
  ],
];

export const KEY: readonly Row[] = [
  [
    "key-unrestricted",
    "The key is not restricted: it signs whatever it is given.",
    { attributes: AK_ATTRIBUTES & ~A.restricted },
    "environment.quote-key",
  ],
  [
    "key-decrypts",
    "The key decrypts too.",
    { attributes: AK_ATTRIBUTES | A.decrypt },
    "environment.quote-key",
  ],
  [
    "key-movable",
    "The key is not fixed to its TPM.",
    { attributes: AK_ATTRIBUTES & ~A.fixedTPM },
    "environment.quote-key",
  ],
  [
    "key-imported",
    "The key was made outside.",
    { attributes: AK_ATTRIBUTES & ~A.origin },
    "environment.quote-key",
  ],
  [
    "key-duplicable",
    "The key may be duplicated, encrypted.",
    { attributes: AK_ATTRIBUTES | A.duplication },
    "environment.quote-key",
  ],
  [
    "key-signs-certificates",
    "The key has x509sign.",
    { attributes: AK_ATTRIBUTES | 0x80000 },
    "environment.quote-key",
  ],
  [
    "key-reserved-bit",
    "A reserved attribute is set.",
    { attributes: AK_ATTRIBUTES | 8 },
    "environment.quote-key",
  ],
];

export const SIGNATURE: readonly Row[] = [
  [
    "signature-hash-other",
    "The signature names SHA-384; the key has SHA-256.",
    { request: { sigHash: 0x000c } },
    "environment.quote-scheme",
  ],
  [
    "signature-hash-sha1",
    "The signature names SHA-1; the key has SHA-256.",
    { request: { sigHash: 0x0004 } },
    "environment.quote-scheme",
    ["SHA-1 fallback"],
  ],
  [
    "signature-scheme-other",
    "The signature names RSASSA; the key is ECDSA.",
    { request: { sigAlg: 0x0014 } },
    "environment.quote-scheme",
    ["go-attestation d2a19a5"],
  ],
  [
    "signature-flipped",
    "One bit of the signature is flipped.",
    signature((bytes) => flipped(bytes, -1)),
    "environment.quote-signature",
    ["CVE-2023-3674"],
  ],
  [
    "signature-trailing",
    "A byte follows the signature.",
    signature((bytes) => concat(bytes, u8(0))),
    "environment.quote-malformed",
    ["junk after a valid signature"],
  ],
  [
    "signature-cut",
    "The signature lacks its last byte.",
    signature((bytes) => bytes.subarray(0, -1)),
    "environment.quote-malformed",
  ],
  [
    "signature-zero",
    "r and s are zero.",
    signature((bytes) => concat(bytes.subarray(0, 4), tpm2b(ZEROS), tpm2b(ZEROS))),
    "environment.quote-signature",
  ],
  [
    "signature-other-key",
    "Another attestation key signed it.",
    {
      quote: {
        signature: softwareAk("ecdsa-p256", "other").quote({
          ...{ extraData: QUALIFYING_DATA, pcrs: PCRS, clock: CLOCK },
        }).signature,
      },
    },
    "environment.quote-signature",
    ["CVE-2022-1053"],
  ],
];
