/** The corpus of TPM quotes (corpus/README.md): every case, in every build. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bootLogCases } from "../../scripts/corpus/boot-logs.ts";
import { appraisable, fileOf, type Rules } from "../../scripts/corpus/case.ts";
import { editedCases } from "../../scripts/corpus/edits.ts";
import { imaListCases } from "../../scripts/corpus/ima-lists.ts";
import { imaRuleCases } from "../../scripts/corpus/ima-rules.ts";
import { CODES, type Code } from "../../src/core/codes.ts";
import { type ClockFloor, loadCore, type Quote } from "../../src/core/index.ts";
import { BUILDS } from "../support/assembly.ts";
import { hex } from "../support/signatures.ts";
import { ATTESTATION_ROWS, DAYS } from "./mistakes/rows.ts";

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
  readonly policy: Rules & {
    readonly pcrs: Readonly<Record<string, Readonly<Record<string, Hex[]>>>>;
  };
  readonly floor?: {
    resetCount: number;
    restartCount: number;
    clock: string;
    firmwareVersion?: string;
  };
  readonly eventLog?: Hex;
  readonly ima?: Hex;
  readonly imaPrefix?: { readonly entries: number; readonly values: readonly Hex[] };
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

function quoteOf(one: CaseFile): Quote {
  const { ekName, eventLog, ima, imaPrefix } = one;
  const { pcrs, ...rules } = one.policy;
  const quote: Quote = {
    publicArea: hex(one.publicArea),
    ...(ekName !== undefined && { ekName: hex(ekName) }),
    attest: hex(one.attest),
    signature: hex(one.signature),
    qualifyingData: hex(one.qualifyingData),
    pcrs: mapped(one.pcrs, hex),
    policy: { pcrs: mapped(pcrs, (list) => list.map(hex)) },
    ...(eventLog !== undefined && { eventLog: hex(eventLog) }),
    ...(ima !== undefined && { ima: hex(ima) }),
    ...(imaPrefix && { imaPrefix: { ...imaPrefix, values: imaPrefix.values.map(hex) } }),
    ...floorOf(one.floor),
  };
  return Object.keys(rules).length === 0 ? quote : appraisable({ quote, rules });
}

/** Denials of the environment that no quote alone can meet, and why. */
const GAPS: { readonly [code in Code]?: string } = {};

/** Rows of the published mistakes that no quote shows, and where the mistake lies instead. */
const ELSEWHERE: { readonly [mistake: string]: string } = {
  "CVE-2021-3406": "the chain of EK and credential",
  "CVE-2021-43310": "enrollment",
  "CVE-2022-23948, a fooled mount check": "mounts",
  "CVE-2022-23949, unsanitised ids": "identifiers",
  "CVE-2022-23950, a fixed temporary path": "files of the host",
  "CVE-2022-3500": "the verifier's own exceptions",
  "CVE-2023-38200, one open connection blocks the server": "the server",
  "CVE-2025-13609": "enrollment",
  "CVE-2026-1709, client certificate not enforced": "the server",
  "node shown as passing after its verifier died": "the verifier's own state",
  "per-node allowlists of 20 MB": "a size",
  "a non-DER EK certificate": "EK certificates",
  "on-die intermediates": "EK certificates",
  "no EK certificate at all": "EK certificates",
  "a restarted agent that fails for good": "the agent",
  "a race between PCR extension and quote": "the agent",
};

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

  test("reaches every denial of the environment, as the first of a case", () => {
    const reached = new Set(cases.flatMap(({ expected }) => expected.code ?? []));
    const missing = Object.keys(CODES).filter(
      (code) => code.startsWith("environment.") && !reached.has(code),
    );
    expect(missing).toEqual(Object.keys(GAPS));
  });

  test("has a case for each published mistake of attestation that a quote can show", () => {
    const rows = [...ATTESTATION_ROWS, ...DAYS].map(({ mistake }) => mistake);
    const named = cases.flatMap(({ mistakes }) => mistakes);
    const names = (mistake: string) => (row: string) =>
      mistake.split(" ").every((word) => row.includes(word));
    const missing = rows.filter((row) => !named.some((mistake) => names(mistake)(row)));
    expect(missing).toEqual(Object.keys(ELSEWHERE));
    // No case names a mistake that nobody made.
    for (const mistake of named) expect(rows.some(names(mistake)), mistake).toBe(true);
  });

  test("holds the cases of software keys as the script makes them", () => {
    const made = [...editedCases(), ...bootLogCases(), ...imaListCases(), ...imaRuleCases()];
    const tpm = cases.filter(({ signer }) => signer === "tpm").length;
    expect(made.length + tpm).toBe(cases.length);
    for (const one of made) {
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
