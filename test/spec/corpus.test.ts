/** The corpus of TPM quotes (corpus/README.md): every case, in every build. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fileOf } from "../../scripts/corpus/case.ts";
import { editedCases } from "../../scripts/corpus/edits.ts";
import { CODES } from "../../src/core/codes.ts";
import { type ClockFloor, loadCore, type Quote } from "../../src/core/index.ts";
import { BUILDS } from "../support/assembly.ts";
import { hex } from "../support/signatures.ts";

type Hex = string;
interface CaseFile {
  readonly name: string;
  readonly from: string | null;
  readonly mistakes: readonly string[];
  readonly signer: "tpm" | "software";
  readonly publicArea: Hex;
  readonly ekName?: Hex;
  readonly attest: Hex;
  readonly signature: Hex;
  readonly qualifyingData: Hex;
  readonly pcrs: Readonly<Record<string, Readonly<Record<string, Hex>>>>;
  readonly policy: { readonly pcrs: Readonly<Record<string, Readonly<Record<string, Hex[]>>>> };
  readonly floor?: {
    resetCount: number;
    restartCount: number;
    clock: string;
    firmwareVersion?: string;
  };
  readonly expected: { ok: boolean; code: string | null; codes: string[] };
}

const folder = "corpus/cases";
const files = readdirSync(folder).sort();
const text = (file: string): string => readFileSync(join(folder, file), "utf8");
const cases = files.map((file) => JSON.parse(text(file)) as CaseFile);
const byName = new Map(cases.map((one) => [one.name, one]));

function mapped<T, U>(
  banks: Readonly<Record<string, Readonly<Record<string, T>>>>,
  map: (leaf: T) => U,
) {
  const rows = Object.entries(banks).map(([bank, values]) => {
    return [bank, Object.fromEntries(Object.entries(values).map(([i, leaf]) => [i, map(leaf)]))];
  });
  return Object.fromEntries(rows) as Record<string, Record<number, U>>;
}

function floorOf(floor: CaseFile["floor"]): { floor?: ClockFloor } {
  if (!floor) return {};
  const { resetCount, restartCount, clock, firmwareVersion } = floor;
  const firmware =
    firmwareVersion === undefined ? {} : { firmwareVersion: BigInt(firmwareVersion) };
  return { floor: { resetCount, restartCount, clock: BigInt(clock), ...firmware } };
}

const quoteOf = (one: CaseFile): Quote => ({
  publicArea: hex(one.publicArea),
  ...(one.ekName !== undefined && { ekName: hex(one.ekName) }),
  attest: hex(one.attest),
  signature: hex(one.signature),
  qualifyingData: hex(one.qualifyingData),
  pcrs: mapped(one.pcrs, hex),
  policy: { pcrs: mapped(one.policy.pcrs, (list) => list.map(hex)) },
  ...floorOf(one.floor),
});

describe.each(BUILDS)("build %s", async (build) => {
  const core = await loadCore({ build });
  test.each(cases.map((one) => [one.name, one] as const))("%s", (_, one) => {
    const { ok, code, codes } = core.appraiseQuote(quoteOf(one));
    expect({ ok, code, codes }).toEqual(one.expected);
  });
});

describe("the corpus", () => {
  test("has a file for each case, by its name, and stays below 1 MiB", () => {
    expect(files).toEqual(cases.map(({ name }) => `${name}.json`));
    const bytes = files.reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
    expect(bytes).toBeLessThan(1_048_576);
    const page = readFileSync("corpus/README.md", "utf8");
    expect(page).toContain(`${cases.length} cases`);
  });

  test("derives each refused case from an accepted one", () => {
    for (const { name, from, expected } of cases) {
      expect(from === null, name).toBe(expected.ok);
      if (from !== null) expect(byName.get(from)?.expected.ok, name).toBe(true);
    }
  });

  test("reaches every code about quotes, counters and PCRs", () => {
    const about = Object.keys(CODES).filter((code) =>
      /^environment\.(quote|clock|firmware|pcr)-/.test(code),
    );
    const reached = new Set(cases.flatMap(({ expected }) => expected.code ?? []));
    expect(about.filter((code) => !reached.has(code))).toEqual([]);
  });

  test("holds the cases of software keys as the script makes them", () => {
    for (const one of editedCases()) {
      // The salt of PSS is random.
      if (!one.name.includes("pss")) expect(text(`${one.name}.json`), one.name).toBe(fileOf(one));
    }
  });

  test("follows its schema, member by member", () => {
    const schema = JSON.parse(readFileSync("corpus/schema.json", "utf8"));
    const known = Object.keys(schema.properties);
    for (const one of cases) {
      const members = Object.keys(one);
      expect(
        members.filter((member) => !known.includes(member)),
        one.name,
      ).toEqual([]);
      expect(schema.required.filter((name: string) => !members.includes(name))).toEqual([]);
    }
  });
});
