/** Policies in YAML: what each rule compiles to, and what is refused, with its place. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parseYaml } from "../../../src/cli/document.ts";
import { draftIma } from "../../../src/cli/ima-draft.ts";
import { policyOf } from "../../../src/cli/policy-document.ts";
import { draftText } from "../../../src/cli/policy-draft.ts";
import { differenceOf, policyRows, rowText } from "../../../src/cli/policy-text.ts";
import { loadCore } from "../../../src/core/index.ts";
import type { PolicyRequest } from "../../../src/domain/policies.ts";
import { encodePayload, type ImaRules } from "../../../src/wire/objects.ts";
import { NOW, text } from "../../support/domain.ts";
import { HASH } from "../../support/event-logs.ts";
import {
  aggregateEntry,
  bufferEntry,
  digestEntry,
  entryOf,
  fileDigest,
} from "../../support/ima-cases.ts";
import { encodeList, legacyEntry, type MadeEntry, ngEntry } from "../../support/ima-lists.ts";
import { seeded } from "../../support/keys.ts";
import { hex } from "../../support/signatures.ts";
import { snippetsOf } from "../../support/snippets.ts";

const compiled = (yaml: string): PolicyRequest => policyOf(parseYaml(Buffer.from(yaml), "a.yaml"));
const imaOf = (yaml: string): ImaRules => {
  const { ima, name } = compiled(`name: base\nima: ${yaml}\n`);
  if (ima === undefined) throw new Error("no rules");
  // What compiles has a canonical form.
  encodePayload("policy", { domain: "example.org", iat: NOW, name, version: 1, ima });
  return ima;
};
const rowsOf = (request: PolicyRequest): string[] => policyRows(request).map(rowText);
const refused = (yaml: string, message: RegExp): void => {
  expect(() => compiled(yaml)).toThrow(message);
};
const [A, B] = ["aa".repeat(32), "bb".repeat(20)];
const pemOf = (key: KeyObject): string => `${key.export({ type: "spki", format: "pem" })}`;
const indented = (pem: string): string => pem.trim().replaceAll("\n", "\n        ");

describe("IMA rules", () => {
  test("files by path, and by digest under any path; one row a digest", () => {
    const { aggregate, stages } = imaOf(
      `{files: {/bin/a: ${A}, /bin/b: [${A}, ${B}]}, digests: [${"cc".repeat(48)}, ${B}]}`,
    );
    expect(aggregate).toBe(true);
    expect(stages).toEqual([
      {
        from: 0,
        to: null,
        files: [
          { digest: hex(A), names: [text("/bin/a"), text("/bin/b")] },
          { digest: hex(B), names: [] },
          { digest: hex("cc".repeat(48)), names: [] },
        ],
      },
    ]);
  });

  test("folders, buffers, and the first entry let be", () => {
    const ima = imaOf(
      `{aggregate: false, excluded: [/var/lib/a/], buffers: {.ima: ${A}, key: [${A}]}}`,
    );
    const names = [text(".ima"), text("key")];
    const stage = { excluded: [text("/var/lib/a/")], buffers: [{ digest: hex(A), names }] };
    expect(ima).toEqual({ aggregate: false, stages: [{ from: 0, to: null, ...stage }] });
  });

  test("stages over ranges of entries", () => {
    const { stages } = imaOf(
      `{stages: [{to: 12, digests: [${A}]}, {from: 12, to: 40, digests: [${B}]}, {from: 9, excluded: [/a/]}]}`,
    );
    expect(stages.map(({ from, to }) => [from, to])).toEqual([
      [0, 12],
      [12, 40],
      [9, null],
    ]);
  });

  test("keys in PEM, each with the id that evmctl gives it, or another that is told", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey;
    const ec = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey;
    const [pem, other] = [indented(pemOf(rsa)), indented(pemOf(ec))];
    const yaml = `\n  keys:\n    - |\n        ${pem}\n    - id: 01020304\n      pem: |\n        ${other}`;
    const keys = imaOf(yaml).stages[0]?.keys ?? [];
    const pkcs1 = rsa.export({ type: "pkcs1", format: "der" });
    expect(keys.map(({ id }) => Buffer.from(id).toString("hex"))).toEqual([
      Buffer.from(HASH.sha1(pkcs1)).subarray(-4).toString("hex"),
      "01020304",
    ]);
    expect(keys.map(({ key }) => key.kty)).toEqual(["RSA", "EC2"]);
  });

  test("in words, each rule a row; a digest more is one difference", () => {
    const before = compiled(`name: a\nima: {files: {/bin/a: ${A}}}\n`);
    const after = compiled(`name: a\nima: {files: {/bin/a: [${A}, ${B}]}, excluded: [/var/a/]}\n`);
    expect(rowsOf(after)).toEqual([
      "IMA entry 0: must be boot_aggregate of the quoted PCRs",
      `IMA: may occur /bin/a with ${A}`,
      `IMA: may occur /bin/a with ${B}`,
      "IMA: may occur any file below /var/a/",
    ]);
    const { added, removed, changed } = differenceOf(before, after);
    expect([added.length, removed, changed]).toEqual([2, [], []]);
    const staged = compiled(
      `name: a\nima: {aggregate: false, stages: [{from: 3, digests: [${A}]}]}`,
    );
    expect(rowsOf(staged)).toEqual([
      "IMA entry 0: may be anything called boot_aggregate",
      `IMA from entry 3: may occur any file with ${A}`,
    ]);
  });

  test.each([
    ["{}", /a.yaml: ima: allows nothing/],
    ["{aggregate: perhaps, digests: [aa]}", /ima.aggregate: expected true or false/],
    ["{digests: [aa]}", /ima.digests\[0\]: expected a digest/],
    [`{digests: [${"z".repeat(64)}]}`, /expected 64 hexadecimal digits/],
    ["{digests: []}", /ima.digests: is empty/],
    ["{files: {}}", /ima.files: is empty/],
    [`{files: {"": ${"aa".repeat(32)}}}`, /a name that no file has/],
    [`{files: {/a: []}}`, /is empty/],
    ["{excluded: [/tmp]}", /a slash at its end/],
    ["{excluded: [/]}", /a folder below/],
    ["{excluded: [tmp/]}", /a folder below/],
    ["{keys: [nonsense]}", /no public key or certificate in PEM/],
    ["{keys: [{id: 01020304}]}", /needs a `pem`/],
    ["{stages: [], digests: [aa]}", /stands beside `stages`/],
    ["{stages: []}", /needs a stage/],
    ["{stages: [{from: 1}]}", /allows nothing/],
    ["{stages: [{from: 2, to: 2, excluded: [/a/]}]}", /not above/],
    ["{stages: [{from: -1, excluded: [/a/]}]}", /no whole number/],
    ["{patterns: [a]}", /unknown "patterns"/],
  ])("%s are refused, with their place", (rules, message) => {
    refused(`name: bad\nima: ${rules}\n`, message);
  });

  test("a path that stands twice, however it is written, is refused with its place", () => {
    const [one, two] = [`/bin/a: ${A}`, `"/bin/a": ${B}`];
    refused(`name: a\nima:\n  files:\n    ${one}\n    ${two}\n`, /line 5, column 5: .* unique/);
    refused("name: a\nname: b\n", /line 2, column 1: .* unique/);
    refused(`name: a\nima: {buffers: {k: ${A}, k: ${A}}}\n`, /line 2, column \d+: .* unique/);
    refused("name: a\n? [b]\n: c\n", /a name is no text/);
  });

  test("a digest of more names than one row holds, a weak key, one of another kind", () => {
    const many = Array.from({ length: 1_025 }, (_, i) => `/a/${i}: ${A}`).join(", ");
    refused(`name: bad\nima: {files: {${many}}}\n`, /1024 names: list it under `digests`/);
    const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey;
    const k1 = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey;
    for (const key of [weak, k1]) {
      const yaml = `name: bad\nima:\n  keys:\n    - |\n        ${indented(pemOf(key))}\n`;
      refused(yaml, /ima.keys\[0\]: is a key of another kind/);
    }
  });
});

test("a policy of several parts compiles to all of them; of none, it is refused", () => {
  const yaml = `name: a\npcrs: {sha256: {0: ${A}}}\nima: {digests: [${A}]}\nfirmware-version-min: 0x1a\n`;
  const { pcrs, ima, firmwareVersionMin } = compiled(yaml);
  expect([pcrs?.sha256?.size, ima?.stages.length, firmwareVersionMin]).toEqual([1, 1, 0x1an]);
  refused("name: a\n", /needs `pcrs`, `event-log` or `ima`/);
});

describe("event rules", () => {
  test.each([
    ["events: {}", /expected a list/],
    ["separator: two", /expected none or one/],
    ["events: [{text: a, digest: b}]", /exactly one of/],
    ["events: [{label: a}]", /exactly one of/],
    ["events: [{variable: Unheard}]", /name its `guid` too/],
    ["events: [{variable: dbx, guid: 1}]", /expected a GUID/],
    ["events: [{text: a, guid: 1}]", /belongs to a `variable`/],
    ["events: [{secure-boot: maybe}]", /expected on or off/],
    ["events: [{digest: aa}]", /expected 64 hexadecimal digits/],
    ["events: [{text: a, optional: perhaps}]", /expected true or false/],
    ["types: [EV_UNHEARD]", /expected a type/],
  ])("{%s} is refused, with its place", (rule, message) => {
    refused(`name: bad\nevent-log:\n  sha256:\n    4:\n      ${rule}\n`, message);
  });
});

describe("a draft of a list", async () => {
  const core = await loadCore();
  const pcrs = { sha256: Array.from({ length: 10 }, (_, i) => seeded(`pcr ${i}`)) };
  const drafted = (entries: readonly MadeEntry[]) => {
    const replay = core.replayIma(encodeList(entries), { bank: "sha256", withEntries: true });
    return draftIma(replay.list ?? [], pcrs);
  };
  const rulesIn = ({ lines }: ReturnType<typeof drafted>) =>
    compiled(draftText("base", [lines])).ima;

  test("allows what it holds, and asks for the boot's aggregate where it has it", () => {
    const list = [
      aggregateEntry(pcrs.sha256),
      ngEntry("/bin/a"),
      legacyEntry("/bin/b"),
      bufferEntry(".ima"),
    ];
    const draft = drafted([...list, ngEntry("/bin/a")]);
    expect([draft.files, draft.buffers, draft.left]).toEqual([2, 1, []]);
    const { aggregate, stages } = rulesIn(draft) ?? {};
    expect(aggregate).toBe(true);
    expect(stages?.[0]?.buffers).toEqual([{ digest: fileDigest(".ima"), names: [text(".ima")] }]);
    expect(stages?.[0]?.files?.map(({ names }) => names)).toEqual([
      [text("/bin/a")],
      [text("/bin/b")],
    ]);
    const older = drafted([aggregateEntry(pcrs.sha256.slice(0, 8)), ngEntry("/bin/a")]);
    expect(rulesIn(older)?.aggregate).toBe(true);
    const other = drafted([aggregateEntry(pcrs.sha256.slice(0, 7)), ngEntry("/bin/a")]);
    expect(other.lines).toContain(
      "  aggregate: false  # the first entry is not that of PCR 0 to 9 as they are",
    );
  });

  test("leaves out, and says so: violations, other hashes, names that are no text, other templates", () => {
    const odd = entryOf(
      "ima-ng",
      Buffer.concat([text("sha256:\0"), seeded("x")]),
      Uint8Array.of(0x2f, 0xff, 0),
    );
    const draft = drafted([
      ngEntry("/bin/a"),
      ngEntry("/var/log/x", "zero"),
      digestEntry("/bin/c", "sm3", seeded("y")),
      odd,
      entryOf("ima-other", text("z")),
    ]);
    expect(draft.files).toBe(1);
    expect(draft.left.map((line) => line.replace(/:.*/, ""))).toEqual([
      "entry 1",
      "entry 2",
      "entry 3",
      "entry 4",
    ]);
    expect(draft.lines.filter((line) => line.startsWith("# left out: "))).toHaveLength(4);
    expect(rulesIn(draft)?.stages).toHaveLength(1);
  });

  test("marks what ran from folders that programs write to, and quotes every name", () => {
    const evil = '/tmp/a"\n  digests: [x]';
    const draft = drafted([ngEntry(evil)]);
    const names = rulesIn(draft)?.stages[0]?.files?.map(({ names }) => names);
    expect(names).toEqual([[text(evil)]]);
    expect(draft.lines.at(-1)).toMatch(/# in a folder that programs write to$/);
  });
});

describe("docs/policies.md", () => {
  const documents = snippetsOf("docs/policies.md").filter(({ language }) => language === "yaml");
  test("shows documents of every part", () => {
    const parts = documents.flatMap(({ text }) => Object.keys(compiled(text)));
    expect(new Set(parts)).toEqual(
      new Set(["name", "version", "pcrs", "eventLog", "ima", "firmwareVersionMin"]),
    );
  });

  test.each(documents)("line $line compiles, and each rule is told", ({ text: yaml }) => {
    const request = compiled(yaml);
    const claims = { domain: "example.org", iat: NOW, version: 1, ...request };
    expect(encodePayload("policy", claims).length).toBeGreaterThan(0);
    expect(rowsOf(request).length).toBeGreaterThan(1);
  });
});
