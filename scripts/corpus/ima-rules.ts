/** Cases with rules over the entries of an IMA list, and lists that are accepted. */
import type { Quote } from "../../src/core/index.ts";
import { concat } from "../../test/support/ak.ts";
import { HASH } from "../../test/support/event-logs.ts";
import {
  aggregateEntry,
  bufferEntry,
  digestEntry,
  entryOf,
  fileDigest,
  pcr10,
} from "../../test/support/ima-cases.ts";
import {
  encodeList,
  legacyEntry,
  type MadeEntry,
  ngEntry,
  replayedIma,
} from "../../test/support/ima-lists.ts";
import type { CorpusCase, Rules } from "./case.ts";
import {
  A,
  B,
  BOOT,
  dNg,
  ENTRIES,
  files,
  flipped,
  hex,
  ima,
  KEYS,
  measuring,
  RULES,
  SHA1_ID,
  SHA256_ID,
  showing,
  signed,
  text,
} from "./ima-entries.ts";
import { acceptedRows, type LogRow, quoteOver, refusals } from "./log-rows.ts";

type Row = LogRow<readonly MadeEntry[]>;
const file = "environment.ima-file";
const template = "environment.ima-template";
const aggregate = "environment.ima-aggregate";
const signature = "environment.ima-signature";
const withAggregate: Rules = { ima: { files: files("/bin/a", "/bin/b") } };
const EXCLUDED = ima({ files: files("/bin/a", "/bin/b"), excluded: ["/var/cache/"] });

const RULED: readonly Row[] = [
  [
    "ima-absent",
    "The policy has rules over files, and there is no list.",
    quoteless(),
    "environment.ima-missing",
    ["no comparison made, reported as success"],
  ],
  [
    "ima-unlisted",
    "A file was executed that the policy does not list.",
    [...ENTRIES, ngEntry("/tmp/miner")],
    file,
  ],
  [
    "ima-path-other",
    "A listed digest under a path that it is not listed for.",
    [A, digestEntry("/bin/sh", "sha256", fileDigest("/bin/b"))],
    file,
  ],
  [
    "ima-digest-other",
    "A listed path with another digest.",
    [A, digestEntry("/bin/b", "sha256", fileDigest("/bin/x"))],
    file,
  ],
  [
    "ima-twice",
    "A listed file, and the same path again with another digest: replaced while the machine runs.",
    [...ENTRIES, digestEntry("/bin/b", "sha256", fileDigest("/bin/x"))],
    file,
    ["package updates without reboot"],
  ],
  [
    "ima-memfd",
    "A program without a file, in a folder of its own naming, which the policy excludes.",
    [...ENTRIES, ngEntry("/memfd:app/x (deleted)")],
    file,
    ["memfd entries in IMA"],
    ima({ files: files("/bin/a", "/bin/b"), excluded: ["/memfd:app/"] }),
  ],
  [
    "ima-excluded-sibling",
    "/var/cache/ is excluded; this lies in /var/cache-too/.",
    [...ENTRIES, ngEntry("/var/cache-too/x")],
    file,
    [],
    EXCLUDED,
  ],
  [
    "ima-name-prefix",
    "A name that begins as a listed one, with a NUL and more behind.",
    [A, entryOf("ima-ng", dNg("/bin/b"), text("/bin/b\0x\0"))],
    template,
  ],
  [
    "ima-hash-unknown",
    "A digest of SM3 that equals a listed one of SHA-256.",
    [A, digestEntry("/bin/b", "sm3", fileDigest("/bin/b"))],
    file,
  ],
  [
    "ima-verity",
    "An fs-verity digest that equals a listed one: it is not that of the file's bytes.",
    [
      A,
      entryOf("ima-ngv2", concat(text("verity:sha256:\0"), fileDigest("/bin/b")), text("/bin/b\0")),
    ],
    file,
  ],
  [
    "ima-template-unknown",
    "An entry of a template that no kernel has.",
    [...ENTRIES, entryOf("ima-new", dNg("/bin/a"), text("/bin/a\0"))],
    template,
  ],
  [
    "ima-template-field",
    "An entry of ima-ng with a field too many.",
    [A, entryOf("ima-ng", dNg("/bin/b"), text("/bin/b\0"), text("x"))],
    template,
  ],
  [
    "ima-buffer-unlisted",
    "A measured key that the policy does not list.",
    [...ENTRIES, bufferEntry(".ima")],
    "environment.ima-buffer",
  ],
  [
    "ima-buffer-as-file",
    "A buffer with the name and digest of a listed file.",
    [...ENTRIES, entryOf("ima-buf", dNg("/bin/a"), text("/bin/a\0"), text("x"))],
    "environment.ima-buffer",
  ],
  [
    "ima-file-as-buffer",
    "A file with the name and digest of a listed buffer.",
    [...ENTRIES, ngEntry(".ima")],
    file,
    [],
    ima({ files: files("/bin/a", "/bin/b"), buffers: files(".ima") }),
  ],
  [
    "ima-aggregate-other",
    "The first entry is the boot_aggregate of another boot.",
    [aggregateEntry(BOOT.slice(1)), ...ENTRIES],
    aggregate,
    ["stale good evidence reused when re-attestation fails"],
    withAggregate,
  ],
  [
    "ima-aggregate-absent",
    "The first entry is no boot_aggregate.",
    ENTRIES,
    aggregate,
    [],
    withAggregate,
  ],
  [
    "ima-aggregate-later",
    "A later entry is called boot_aggregate: nowhere else does the name mean anything.",
    [A, aggregateEntry(BOOT)],
    file,
  ],
  [
    "ima-unsigned",
    "A file without a signature, where only signed ones are allowed.",
    [signed("/bin/a"), ngEntry("/bin/b")],
    file,
    [],
    KEYS,
  ],
  [
    "ima-signature-flipped",
    "A bit of a file's signature is another.",
    [flipped("/bin/a")],
    signature,
    ["CVE-2023-3674"],
    KEYS,
  ],
  [
    "ima-signature-other-file",
    "A good signature, of another file.",
    [signed("/bin/a", "/bin/b")],
    signature,
    [],
    KEYS,
  ],
  [
    "ima-signature-other-key",
    "A signature that names a key which the policy does not have.",
    [signed("/bin/a", "/bin/a", SHA256_ID, Uint8Array.of(1, 2, 3, 4))],
    signature,
    [],
    KEYS,
  ],
  [
    "ima-signature-sha1",
    "A signature that says it is over SHA-1.",
    [signed("/bin/a", "/bin/a", SHA1_ID)],
    signature,
    ["SHA-1 fallback"],
    KEYS,
  ],
  [
    "ima-after-stage",
    "A file that was allowed up to entry 2, at entry 2.",
    [A, B, B],
    file,
    ["package updates without reboot"],
    ima({
      stages: [
        { to: "2", files: files("/bin/a", "/bin/b") },
        { from: "2", files: files("/bin/a") },
      ],
    }),
  ],
];

function quoteless(): Quote {
  const { ima: _, ...quote } = measuring(ENTRIES);
  return quote;
}

const TEMPLATES = [
  legacyEntry("/bin/a"),
  ngEntry("/bin/a"),
  signed("/bin/a"),
  entryOf("ima-ngv2", concat(text("ima:sha256:\0"), fileDigest("/bin/a")), text("/bin/a\0")),
  entryOf(
    "ima-sigv2",
    concat(text("ima:sha256:\0"), fileDigest("/bin/a")),
    text("/bin/a\0"),
    text(""),
  ),
  bufferEntry(".ima"),
  entryOf("ima-modsig", dNg("/bin/a"), text("/bin/a\0"), text(""), dNg("/bin/a"), text("")),
];
const SHA1 = hex(HASH.sha1(text("/bin/a")));
const GROWN = [...ENTRIES, ngEntry("/tmp/later", "zero")];
const BOTH = {
  sha1: new Map([[10, replayedIma(ENTRIES, "sha1")[10] ?? new Uint8Array(20)]]),
  sha256: new Map([[10, pcr10(ENTRIES)]]),
};
/** What a verifier must accept, though it is unusual. */
const ACCEPTED: readonly (readonly [string, string, Quote, Rules?])[] = [
  ["accepted-ima", "An IMA list that leads to the quoted PCR 10.", measuring(ENTRIES)],
  ["accepted-ima-rules", "The same, under rules over its files.", measuring(ENTRIES), RULES],
  [
    "accepted-ima-two-banks",
    "Two banks are quoted, at one entry.",
    quoteOver(BOTH, { ima: encodeList(ENTRIES) }),
  ],
  [
    "accepted-ima-sha256-file",
    "A list whose template digests have 32 bytes.",
    showing(encodeList(ENTRIES, "sha256")),
  ],
  [
    "accepted-ima-grown",
    "The list has grown since the quote; what grew is not judged.",
    showing(encodeList(GROWN)),
    RULES,
  ],
  [
    "accepted-ima-prefix",
    "The list continues where an earlier quote proved it.",
    measuring(ENTRIES, { ima: encodeList([B]), imaPrefix: { entries: 1, values: [pcr10([A])] } }),
    RULES,
  ],
  [
    "accepted-ima-templates",
    "An entry of each template of the kernel.",
    measuring(TEMPLATES),
    ima({ files: { "/bin/a": [hex(fileDigest("/bin/a")), SHA1] }, buffers: files(".ima") }),
  ],
  [
    "accepted-ima-aggregate",
    "The list begins with the boot_aggregate of the quoted PCR 0 to 9.",
    measuring([aggregateEntry(BOOT), ...ENTRIES]),
    withAggregate,
  ],
  [
    "accepted-ima-aggregate-8",
    "The same over PCR 0 to 7, as kernels before 5.8 have it.",
    measuring([aggregateEntry(BOOT.slice(0, 8)), ...ENTRIES]),
    withAggregate,
  ],
  [
    "accepted-ima-signed",
    "Files signed by a key of the policy.",
    measuring([signed("/bin/a"), signed("/bin/b")]),
    KEYS,
  ],
  [
    "accepted-ima-excluded",
    "A file below an excluded folder.",
    measuring([...ENTRIES, ngEntry("/var/cache/x")]),
    EXCLUDED,
  ],
  [
    "accepted-ima-stages",
    "An update without a reboot: the old digest up to entry 2, the new one from there.",
    measuring([A, B, digestEntry("/bin/b", "sha256", fileDigest("/bin/x"))]),
    ima({
      stages: [
        { to: "2", files: files("/bin/a", "/bin/b") },
        { from: "2", files: { "/bin/b": hex(fileDigest("/bin/x")) } },
      ],
    }),
  ],
];
export function imaRuleCases(): CorpusCase[] {
  return [
    ...acceptedRows(ACCEPTED),
    ...RULED.map(refusals<readonly MadeEntry[]>(measuring)("accepted-ima-rules", RULES)),
  ];
}
