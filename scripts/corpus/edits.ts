import { AK_TYPES, type AkType, concat, nameOf, u16 } from "../../test/support/ak.ts";
import { CLOCK, PCRS } from "../../test/support/domain.ts";
import { HASH } from "../../test/support/event-logs.ts";
import { seeded } from "../../test/support/keys.ts";
import {
  acceptedQuote,
  FLOOR,
  joined,
  policyOf,
  publicFields,
  QUALIFYING_DATA,
  type QuoteOverrides,
} from "../../test/support/tpm-structures.ts";
import type { CorpusCase } from "./case.ts";

import {
  all,
  bank,
  clock,
  KEY,
  OTHER,
  policy,
  type Row,
  SIGNATURE,
  STATEMENT,
  selection,
  ZEROS,
} from "./rows.ts";

const BASE = "accepted-ecdsa-p256";
/** The quoted values, in the order of the selection. */
const VALUES = [...(PCRS.sha256 ?? []).values()];
const [FIRST = ZEROS, SECOND = ZEROS] = VALUES;
const SHORT = FIRST.subarray(0, 20);
const [LESS, MORE] = [FIRST.subarray(0, -1), concat(FIRST.subarray(-1), SECOND)];
const FRESHNESS: readonly Row[] = [
  [
    "nonce-other",
    "The quote answers another challenge.",
    { request: { extraData: OTHER } },
    "environment.quote-nonce",
    ["CVE-2023-38201", "CVE-2026-6420"],
  ],
  [
    "nonce-prefix",
    "The quote answers the first 31 bytes of the challenge.",
    { request: { extraData: QUALIFYING_DATA.subarray(0, 31) } },
    "environment.quote-nonce",
  ],
  [
    "nonce-empty",
    "Neither challenge nor answer has a byte.",
    {
      request: { extraData: new Uint8Array() },
      quote: { qualifyingData: new Uint8Array() },
    },
    "environment.quote-nonce",
    ["nil or empty nonce"],
  ],
  [
    "clock-unsafe",
    "safe is NO: the TPM lost power.",
    clock({ safe: false }),
    "environment.clock-unsafe",
  ],
  [
    "clock-rollback",
    "The clock is below the floor, in the same boot.",
    clock({ clock: CLOCK.clock - 1n }),
    "environment.clock-rollback",
  ],
  [
    "clock-reset",
    "resetCount is below the floor.",
    clock({ resetCount: CLOCK.resetCount - 1 }),
    "environment.clock-reset",
  ],
  [
    "clock-restart",
    "restartCount is below the floor, with the same resetCount.",
    clock({ restartCount: CLOCK.restartCount - 1 }),
    "environment.clock-reset",
  ],
  [
    "clock-cleared",
    "Both counts are zero and the clock is below the floor: TPM2_Clear.",
    clock({ resetCount: 0, restartCount: 0, clock: 1n }),
    "environment.clock-cleared",
  ],
  [
    "firmware-rollback",
    "The TPM's firmware is older than the floor.",
    clock({ firmwareVersion: CLOCK.firmwareVersion - 1n }),
    "environment.firmware-rollback",
  ],
  [
    "signer-other-hierarchy",
    "qualifiedSigner is not the key's place in the endorsement hierarchy.",
    { request: { qualifiedSigner: nameOf(OTHER) } },
    "environment.clock-obfuscated",
  ],
];

const SELECTION: readonly Row[] = [
  [
    "selection-none",
    "The signed selection names no bank.",
    selection(),
    "environment.quote-selection",
    ["CVE-2022-0317"],
  ],
  [
    "selection-empty-bank",
    "The signed selection names a bank without a PCR.",
    selection(bank(0x000b, 0, 0, 0)),
    "environment.quote-selection",
    ["CVE-2022-0317"],
  ],
  [
    "selection-repeated-bank",
    "The signed selection names a bank twice.",
    selection(all, all),
    "environment.quote-selection",
  ],
  [
    "selection-unknown-bank",
    "The signed selection names SM3.",
    selection(bank(0x0012, 0xff, 0, 0)),
    "environment.quote-selection",
  ],
  [
    "selection-pcr-24",
    "The signed selection names PCR 24.",
    selection(bank(0x000b, 0xff, 0, 0, 1)),
    "environment.quote-selection",
    ["CVE-2024-29039"],
  ],
  [
    "selection-fewer",
    "The signed selection lacks PCR 7, which the policy reads.",
    {
      request: { pcrs: { sha256: new Map([...(PCRS.sha256 ?? [])].slice(0, 7)) } },
      quote: { pcrs: acceptedQuote().pcrs, policy: policyOf(PCRS) },
    },
    "environment.pcr-uncovered",
    ["CVE-2022-0317", "values of unselected PCRs trusted"],
  ],
  [
    "digest-other",
    "The signed digest is not that of the values.",
    { request: { pcrDigest: OTHER } },
    "environment.quote-digest",
  ],
  [
    "digest-empty",
    "The signed digest has no byte.",
    { request: { pcrDigest: new Uint8Array() } },
    "environment.quote-digest",
  ],
  [
    "digest-hash-other",
    "The digest over the values is of SHA-256; the key signs with SHA-384.",
    { ak: "ecdsa-p384", request: { pcrDigest: HASH.sha256(concat(...VALUES)) } },
    "environment.quote-digest",
  ],
  [
    "digest-order",
    "The digest is over the values in another order than the selection's.",
    { request: { pcrDigest: HASH.sha256(concat(...VALUES.toReversed())) } },
    "environment.quote-digest",
  ],
  [
    "values-length",
    "The digest is over values of which the first has 20 bytes, as it is presented.",
    {
      request: { pcrDigest: HASH.sha256(concat(SHORT, ...VALUES.slice(1))) },
      quote: {
        pcrs: { sha256: { ...acceptedQuote().pcrs.sha256, 0: SHORT } },
        policy: policyOf(PCRS),
      },
    },
    "environment.quote-digest",
    ["unsigned selection used instead of the signed one"],
  ],
  [
    "values-boundary",
    "A byte has moved from one value to the next: the digest is the same.",
    { quote: { pcrs: { sha256: { ...acceptedQuote().pcrs.sha256, 0: LESS, 1: MORE } } } },
    "environment.quote-digest",
  ],
  [
    "values-other",
    "A value presented is not the quoted one.",
    {
      quote: { pcrs: { sha256: { ...acceptedQuote().pcrs.sha256, 4: OTHER } } },
    },
    "environment.quote-digest",
    ["unsigned selection used instead of the signed one"],
  ],
  [
    "values-missing",
    "A quoted value is not presented.",
    {
      quote: { pcrs: { sha256: Object.fromEntries([...(PCRS.sha256 ?? [])].slice(1)) } },
    },
    "environment.quote-digest",
  ],
];

const POLICY: readonly Row[] = [
  [
    "policy-empty",
    "The policy reads nothing.",
    policy({}),
    "environment.pcr-empty",
    ["accept-all default policy"],
  ],
  [
    "policy-empty-bank",
    "The policy names a bank, and nothing in it.",
    policy({ sha256: {} }),
    "environment.pcr-empty",
    ["no comparison made, reported as success"],
  ],
  [
    "policy-uncovered-bank",
    "The policy reads a bank that is not quoted.",
    policy({ sha384: { 0: [seeded("0", 48)] } }),
    "environment.pcr-uncovered",
  ],
  [
    "policy-mismatch",
    "A PCR has another value than the policy allows.",
    policy({ sha256: { 0: [OTHER] } }),
    "environment.pcr-mismatch",
  ],
  [
    "policy-nothing-allowed",
    "The policy allows no value of a PCR.",
    policy({ sha256: { 0: [] } }),
    "environment.pcr-mismatch",
  ],
  [
    "policy-all-zeros",
    "An all-zero reference value is met by an all-zero PCR only.",
    policy({ sha256: { 0: [ZEROS] } }),
    "environment.pcr-mismatch",
    ["all-zero reference value matches"],
  ],
  ...[16, 23].map((pcr): Row => {
    const pcrs = { sha256: new Map([...(PCRS.sha256 ?? []), [pcr, ZEROS]]) };
    const about = `The policy reads PCR ${pcr}, which any program resets.`;
    return [`policy-pcr-${pcr}`, about, { request: { pcrs } }, "environment.pcr-untrusted"];
  }),
];

const rows = [STATEMENT, KEY, SIGNATURE, FRESHNESS, SELECTION, POLICY].flat();

function accepted(name: string, about: string, overrides: QuoteOverrides = {}): CorpusCase {
  const head = { name, about, mistakes: [], from: null, signer: "software", codes: [] } as const;
  return { ...head, quote: acceptedQuote(overrides) };
}

/** A key and a signature that do not belong together, and a key whose scheme is left open. */
function mixed(): CorpusCase[] {
  const quote = acceptedQuote();
  const rsa = acceptedQuote({ ak: "rsassa-2048" });
  const open = joined(publicFields(quote.publicArea), {
    scheme: u16(0x0010),
    schemeHash: new Uint8Array(),
  });
  const head = { mistakes: ["go-attestation d2a19a5"], from: BASE, signer: "software" } as const;
  return [
    {
      ...head,
      name: "key-other-kind",
      about: "The key is RSA, the signature ECDSA.",
      quote: { ...quote, publicArea: rsa.publicArea },
      codes: ["environment.quote-scheme", "environment.clock-obfuscated"],
    },
    {
      ...{ ...head, mistakes: [] },
      name: "key-open-scheme",
      about: "The key has no scheme of its own: it lets each signature choose.",
      quote: { ...quote, publicArea: open },
      codes: [
        "environment.quote-key",
        "environment.quote-scheme",
        "environment.quote-digest",
        "environment.clock-obfuscated",
      ],
    },
  ];
}

/** Every case that needs no TPM. */
export function editedCases(): CorpusCase[] {
  const positives = (Object.keys(AK_TYPES) as AkType[]).map((ak) =>
    accepted(`accepted-${ak}`, `A quote by ${ak}, with nothing wrong.`, { ak }),
  );
  const ones = new Uint8Array(32).fill(0xff);
  const launch = { sha256: new Map([...(PCRS.sha256 ?? []), [17, ones]]) };
  return [
    ...positives,
    accepted(
      "accepted-pcr-17",
      "PCR 17 is FF..FF, without a dynamic launch, as the policy wants.",
      {
        request: { pcrs: launch },
      },
    ),
    accepted("accepted-several-values", "The policy allows other values besides the quoted one.", {
      quote: {
        policy: { pcrs: { sha256: { 0: [OTHER, ...[PCRS.sha256?.get(0) ?? OTHER], ZEROS] } } },
      },
    }),
    accepted("accepted-later", "The counters are above the floor.", {
      quote: { floor: { ...FLOOR, resetCount: FLOOR.resetCount - 1, clock: FLOOR.clock + 1n } },
    }),
    ...rows.map(([name, about, overrides, codes, mistakes = []]): CorpusCase => {
      const quote = acceptedQuote(overrides);
      const list = typeof codes === "string" ? [codes] : codes;
      const from = overrides.ak === undefined ? BASE : `accepted-${overrides.ak}`;
      return { name, about, mistakes, from, signer: "software", quote, codes: list };
    }),
    ...mixed(),
  ];
}
