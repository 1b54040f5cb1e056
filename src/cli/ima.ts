/**
 * `portcullis ima`: an IMA list as text, and the PCRs that it replays to. Nothing of it is
 * verified.
 */
import { type Command, Option } from "commander";
import { BANK_NAMES } from "../core/banks.ts";
import type { ImaEntry } from "../core/ima.ts";
import { loadCore } from "../core/load.ts";
import type { HashName } from "../core/signature.ts";
import { LIMITS } from "../limits.ts";
import { pcrLines, pcrShape } from "./eventlog.ts";
import { imaFields, imaLine } from "./ima-text.ts";
import { aboutFile, readInput } from "./input-file.ts";
import { hex, type Json, pairs } from "./print.ts";
import { defineVerb } from "./verb.ts";

function entryShape(entry: ImaEntry): Json {
  const { index, pcr, template, templateDigest, violation, mismatch } = entry;
  return {
    ...{ index, pcr, template, templateDigest: hex(templateDigest) },
    ...{ fields: imaFields(entry), violation, mismatch },
  };
}

export function register(program: Command): void {
  defineVerb<{ bank: HashName; zeroPadded?: true }>(program, {
    name: "ima",
    summary: "show an IMA list and the PCRs that it replays to",
    examples: [
      "portcullis ima /sys/kernel/security/ima/binary_runtime_measurements",
      "portcullis ima --bank sha1 --json ima.bin",
    ],
    notes: [
      "Nothing is verified: a list is evidence only where a quote holds the PCR that it replays to.",
      "JSON: {bank, entries, violations, mismatches: [index], zeroPadded, templates: {name: count}, " +
        "pcrs: {bank: {index: hex}}, bytesLeft, list: [{index, pcr, template, templateDigest, " +
        "fields: [text], violation, mismatch}]}",
    ],
    setup: (command) =>
      command
        .argument("<file>", "a binary list; template digests of any width")
        .addOption(
          new Option("--bank <bank>", "the bank to replay").choices(BANK_NAMES).default("sha256"),
        )
        .option("--zero-padded", "as kernels before 5.8 extend other banks than sha1"),
    run: async (session, { bank, zeroPadded }, [file = ""]) => {
      const bytes = await readInput(file, LIMITS.imaBytes);
      const options = { bank, zeroPadded: zeroPadded === true, withEntries: true };
      const core = await loadCore();
      const replay = aboutFile(file, () => core.replayIma(bytes, options));
      const { list = [], pcrs, mismatches, templates, ...rest } = replay;
      const banks = { [bank]: pcrs };
      const shape = {
        ...{ bank, ...rest, mismatches: [...mismatches], templates: { ...templates } },
        ...{ pcrs: pcrShape(banks), list: list.map(entryShape) },
      };
      const rows = [
        ["entries", `${rest.entries}`],
        ["violations", `${rest.violations}`],
        ["mismatches", mismatches.length === 0 ? "0" : `at ${mismatches.join(", ")}`],
        ["zero-padded", `${rest.zeroPadded}`],
        ["bytes left", `${rest.bytesLeft}`],
      ] as const;
      session.tell(shape, [...list.map(imaLine), ...pairs(rows), ...pcrLines(banks)]);
    },
  });
}
