import { concat } from "../../test/support/ak.ts";
import { le32 } from "../../test/support/event-logs.ts";
import { BOOT_PCRS, pcr10 } from "../../test/support/ima-cases.ts";
import {
  encodeEntry,
  encodeList,
  type MadeEntry,
  ngEntry,
  replayedIma,
} from "../../test/support/ima-lists.ts";
import type { CorpusCase } from "./case.ts";
import { A, B, ENTRIES, MOST, measuring, showing } from "./ima-entries.ts";
import { type LogRow, quoteOver, refusals } from "./log-rows.ts";

type Row = LogRow<readonly MadeEntry[]>;
const malformed = "environment.ima-malformed";
const incomplete = "environment.ima-incomplete";
const mismatch = "environment.ima-mismatch";
const withLength = (at: number, length: number): Uint8Array => {
  const bytes = encodeEntry(A);
  return concat(bytes.subarray(0, at), le32(length), bytes.subarray(at + 4), encodeEntry(B));
};
/** Behind the PCR, a digest of 20 bytes, and the template's name "ima-ng". */
const NAME_AT = 24;
const DATA_AT = NAME_AT + 4 + 6;

const LIST: readonly Row[] = [
  [
    "ima-cut",
    "The list ends inside its last entry.",
    showing(encodeList(ENTRIES).subarray(0, -1)),
    incomplete,
  ],
  [
    "ima-data-length",
    "The data of an entry has 2^32-1 bytes, it says.",
    showing(withLength(DATA_AT, MOST)),
    incomplete,
    ["go-attestation becfd07"],
  ],
  [
    "ima-name-length",
    "The name of a template has 2^32-1 bytes, it says.",
    showing(withLength(NAME_AT, MOST)),
    malformed,
    ["go-attestation f877374"],
  ],
  [
    "ima-pcr-24",
    "An entry is of PCR 24.",
    showing(encodeList([...ENTRIES, { ...A, pcr: 24 }])),
    malformed,
  ],
  ["ima-empty", "The list has no entry; PCR 10 was extended.", showing(new Uint8Array()), mismatch],
  ["ima-entry-missing", "The list leaves out its first entry.", showing(encodeList([B])), mismatch],
  [
    "ima-entries-swapped",
    "Two entries stand in another order.",
    showing(encodeList([B, A])),
    mismatch,
  ],
  [
    "ima-entry-replaced",
    "An entry keeps the template digest that was extended, over other data.",
    showing(
      concat(encodeEntry(A).subarray(0, NAME_AT), encodeEntry(B).subarray(NAME_AT), encodeEntry(B)),
    ),
    mismatch,
  ],
  [
    "ima-violation",
    "A file changed while it was measured: a violation, before the quoted entry.",
    [...ENTRIES, ngEntry("/var/log/x", "zero"), A],
    "environment.ima-violation",
  ],
  [
    "ima-other-pcr",
    "An entry is of PCR 11, whose value nothing proves.",
    measuring(ENTRIES, { ima: encodeList([{ ...ngEntry("/bin/c"), pcr: 11 }, ...ENTRIES]) }),
    "environment.ima-other-pcr",
  ],
  [
    "ima-uncovered",
    "There is a list, and the quote does not cover PCR 10.",
    quoteOver({ sha256: new Map(BOOT_PCRS) }, { ima: encodeList(ENTRIES) }),
    "environment.ima-uncovered",
    ["no comparison made, reported as success"],
  ],
  [
    "ima-padded",
    "PCR 10 of SHA-256 was extended with SHA-1 and zeros: a kernel before 5.8.",
    quoteOver(
      {
        sha256: new Map([
          ...BOOT_PCRS,
          [10, replayedIma(ENTRIES, "sha256", true)[10] ?? pcr10([])],
        ]),
      },
      { ima: encodeList(ENTRIES) },
    ),
    "environment.ima-padded",
    ["SHA-1 fallback"],
  ],
  [
    "ima-banks-apart",
    "PCR 10 of SHA-1 is that of an earlier entry than PCR 10 of SHA-256: they were not quoted at one time.",
    quoteOver(
      {
        sha1: new Map([[10, replayedIma([A], "sha1")[10] ?? new Uint8Array(20)]]),
        sha256: new Map([[10, pcr10(ENTRIES)]]),
      },
      { ima: encodeList(ENTRIES) },
    ),
    mismatch,
  ],
  [
    "ima-prefix-other",
    "The list continues a prefix that is not this machine's.",
    measuring(ENTRIES, { ima: encodeList([B]), imaPrefix: { entries: 1, values: [pcr10([B])] } }),
    mismatch,
  ],
  [
    "ima-prefix-bank",
    "The list continues a prefix of another bank than the quoted one.",
    measuring(ENTRIES, {
      ima: encodeList([B]),
      imaPrefix: { entries: 1, values: [replayedIma([A], "sha1")[10] ?? new Uint8Array(20)] },
    }),
    "environment.ima-resume",
  ],
];

export const imaListCases = (): CorpusCase[] =>
  LIST.map(refusals<readonly MadeEntry[]>(measuring)("accepted-ima"));
