/**
 * Whole boots: quote, event log and IMA list of one machine, over growing lists, restarts and
 * changes.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Appraisal, type Code, type Core, loadCore } from "../../src/core/index.ts";
import {
  bytesIn,
  type ExpectedQuote,
  foldersWith,
  jsonIn,
  type PcrFile,
  pcrsFrom,
  policyOver,
  publicAreaOf,
  textIn,
} from "../support/quote-files.ts";
import { HASHES, hex } from "../support/signatures.ts";
import { describeVectors } from "../support/vectors.ts";

let core: Core;
beforeAll(async () => {
  core = await loadCore();
});

/** A quote of one folder with the logs of another; the policy allows what was quoted. */
function appraise(folder: string, name: string, logs = folder): Appraisal {
  const [, key = "", banks = "", last = "15"] =
    /^quote-(ecc|rsa)-([a-z0-9+]+?)(?:-0-(\d+))?$/.exec(name) ?? [];
  const pcrs = pcrsFrom(jsonIn<{ pcrs: PcrFile }>(folder, "pcrs.json").pcrs);
  const indexes = Array.from({ length: Number(last) + 1 }, (_, i) => i);
  const selected = HASHES.filter((bank) => banks.split("+").includes(bank));
  return core.appraiseQuote({
    publicArea: bytesIn(folder, `ak-${key}.TPMT_PUBLIC.bin`),
    attest: bytesIn(folder, `${name}.TPMS_ATTEST.bin`),
    signature: bytesIn(folder, `${name}.TPMT_SIGNATURE.bin`),
    qualifyingData: hex(textIn(folder, "nonce.hex")),
    pcrs,
    policy: policyOver(
      selected.map((bank) => [bank, indexes] as const),
      pcrs,
    ),
    eventLog: bytesIn(logs, "binary_bios_measurements"),
    ima: bytesIn(logs, "ima_binary_runtime_measurements"),
  });
}

const quotesIn = (folder: string): string[] =>
  readdirSync(folder).flatMap((file) => /^(quote-.*)\.TPMS_ATTEST\.bin$/.exec(file)?.[1] ?? []);

describeVectors("measured-boot, measured-boot-ek", (dir) => {
  for (const family of ["measured-boot", "measured-boot-ek"]) {
    const root = join(dir, family);
    const folders = foldersWith(root, "binary_bios_measurements");
    describe.each(folders)(`${family}: %s`, (name) => {
      const folder = join(root, name);
      test.each(quotesIn(folder))("%s: both logs replay to it", (quote) => {
        // Without PCR 10 the list is proven by nothing; a violation denies.
        const codes: Code[] = quote.endsWith("-0-7") ? ["environment.ima-uncovered"] : [];
        if (name.includes("tampered")) codes.push("environment.ima-violation");
        expect(appraise(folder, quote).codes).toEqual(codes);
      });
    });
  }

  const root = join(dir, "measured-boot-ek");
  const quote = "quote-ecc-sha256-0-15";
  const at = (name: string) => join(root, name);

  test("a list that grew since the quote is proven up to it; one that is older is not", () => {
    const boots = ["s1-boot1-q1", "s1-boot1-q2", "s1-boot1-q3"];
    for (const [i, quoted] of boots.entries()) {
      for (const [j, listed] of boots.entries()) {
        const codes = j >= i ? [] : ["environment.ima-mismatch"];
        expect(appraise(at(quoted), quote, at(listed)).codes).toEqual(codes);
      }
    }
  });

  test("logs of another boot with another command line are not this one's", () => {
    const { codes } = appraise(at("s1-boot4-other-cmdline"), quote, at("s1-boot2"));
    expect(codes).toContain("environment.eventlog-mismatch");
  });
});

interface Info {
  readonly quote?: ExpectedQuote;
  readonly expect: { readonly eventlog_replay_equals_pcr: Record<string, Record<string, boolean>> };
}

describeVectors("immune-guard: the verdict comes from the quoted PCRs, not from the log", (dir) => {
  const root = join(dir, "immune-guard/evidence");
  const machines = foldersWith(root, "quote.attest");
  test.each(machines)("%s", (name) => {
    const folder = join(root, name);
    const { quote: expected, expect: found } = jsonIn<Info>(folder, "info.json");
    if (expected === undefined) throw new Error("no quote is described");
    const pcrs = pcrsFrom(jsonIn<PcrFile>(folder, "pcrs.json"));
    const { codes } = core.appraiseQuote({
      publicArea: publicAreaOf(textIn(folder, "ak-recovered.pem"), expected),
      attest: bytesIn(folder, "quote.attest"),
      signature: bytesIn(folder, "quote.sig"),
      qualifyingData: hex(expected.extraData),
      pcrs,
      policy: policyOver(expected.selection, pcrs),
      eventLog: bytesIn(folder, "eventlog.bin"),
    });
    const equal = Object.entries(found.eventlog_replay_equals_pcr).flatMap(([bank, values]) =>
      Object.entries(values)
        .filter(([pcr]) => expected.selection.some(([b, is]) => b === bank && is.includes(+pcr)))
        .map(([, same]) => same),
    );
    expect(equal.length).toBeGreaterThan(0);
    expect(codes).toEqual(equal.includes(false) ? ["environment.eventlog-mismatch"] : []);
  });
});
