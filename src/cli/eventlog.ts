/**
 * `portcullis eventlog`: a boot event log as text, and the PCRs that it replays to. Nothing of it
 * is verified.
 */
import { type Command, Option } from "commander";
import type { Pcrs } from "../core/banks.ts";
import type { EventLogReplay, LogEvent } from "../core/eventlog.ts";
import { loadCore } from "../core/load.ts";
import { LIMITS } from "../limits.ts";
import { eventTypeName } from "./event-types.ts";
import { aboutFile, readInput } from "./input-file.ts";
import { hex, type Json, oneLine, pairs } from "./print.ts";
import { defineVerb } from "./verb.ts";

/** The data of an event as the text that it may be. Long data is cut. */
const SHOWN_BYTES = 256;
const TEXT = /^[\x20-\x7e]{4,}$/;

/** {bank: {index: hex}} */
export function pcrShape(pcrs: Pcrs): Json {
  const banks = Object.entries(pcrs).map(([bank, values]) => {
    return [bank, Object.fromEntries(Object.entries(values).map(([i, v]) => [i, hex(v)]))];
  });
  return Object.fromEntries(banks) as Json;
}

/** As tpm2-tools print them, so that what reads theirs reads these. */
export function pcrLines(pcrs: Pcrs): string[] {
  return Object.entries(pcrs).flatMap(([bank, values]) => [
    `${bank}:`,
    ...Object.entries(values).map(([i, value]) => `  ${i.padEnd(2)} : 0x${hex(value)}`),
  ]);
}

function eventShape({ index, pcr, type, digests, data, dataBound }: LogEvent): Json {
  const shown = Object.entries(digests).map(([bank, digest]) => [bank, hex(digest)]);
  return {
    ...{ index, pcr, type, typeName: eventTypeName(type) },
    ...{ digests: Object.fromEntries(shown) as Json, data: hex(data), dataBound },
  };
}

/** ASCII or UTF-16 as text, anything else in hexadecimal. */
function dataText(data: Uint8Array): string {
  const shown = Buffer.from(data.subarray(0, SHOWN_BYTES));
  const more = data.length > SHOWN_BYTES ? ` ... (${data.length} bytes)` : "";
  for (const encoding of ["latin1", "utf16le"] as const) {
    const text = shown.toString(encoding).replace(/\0+$/, "");
    if (TEXT.test(text)) return `"${oneLine(text)}"${more}`;
  }
  return `${shown.toString("hex")}${more}`;
}

function eventLines({ index, pcr, type, digests, data, dataBound }: LogEvent): string[] {
  const bound = dataBound ? "" : "  (not bound by its digest)";
  return [
    `${index}: PCR ${pcr === 0xffff_ffff ? "-" : pcr}  ${eventTypeName(type)}`,
    ...Object.entries(digests).map(([bank, digest]) => `  ${bank} ${hex(digest)}`),
    ...(data.length === 0 ? [] : [`  data ${dataText(data)}${bound}`]),
  ];
}

function headLines(replay: EventLogReplay): string[] {
  const rows: [string, string][] = [["format", replay.format]];
  if (replay.startupLocality !== null) rows.push(["locality", `${replay.startupLocality}`]);
  const unknown = replay.unsupportedBanks.map((id) => `0x${id.toString(16).padStart(4, "0")}`);
  if (unknown.length > 0) rows.push(["not replayed", unknown.join(", ")]);
  if (replay.paddingBytes > 0) rows.push(["padding", `${replay.paddingBytes} bytes`]);
  return pairs(rows);
}

export function register(program: Command): void {
  defineVerb<{ format: "tcg" | "ccel" }>(program, {
    name: "eventlog",
    summary: "show a boot event log and the PCRs that it replays to",
    examples: [
      "portcullis eventlog /sys/kernel/security/tpm0/binary_bios_measurements",
      "portcullis eventlog --format ccel --json ccel.bin",
    ],
    notes: [
      "Nothing is verified: a log is evidence only where a quote holds the PCRs that it replays to.",
      "JSON: {format, startupLocality, unsupportedBanks, paddingBytes, pcrs: {bank: {index: hex}}, " +
        "events: [{index, pcr, type, typeName, digests: {bank: hex}, data, dataBound}]}",
    ],
    setup: (command) =>
      command
        .argument("<file>", "a TCG event log in SHA-1 or crypto-agile format, or a CCEL")
        .addOption(
          new Option("--format <format>", "a TPM's log, or a confidential-computing one")
            .choices(["tcg", "ccel"])
            .default("tcg"),
        ),
    run: async (session, { format }, [file = ""]) => {
      const log = await readInput(file, LIMITS.eventLogBytes);
      const core = await loadCore();
      const replay = aboutFile(file, () => core.replayEventLog(log, { format }));
      const { pcrs, events, unsupportedBanks, ...rest } = replay;
      const shape = {
        ...{ ...rest, unsupportedBanks: [...unsupportedBanks] },
        ...{ pcrs: pcrShape(pcrs), events: events.map(eventShape) },
      };
      session.tell(shape, [
        ...headLines(replay),
        ...events.flatMap(eventLines),
        "pcrs:",
        ...pcrLines(pcrs).map((line) => `  ${line}`),
      ]);
    },
  });
}
