/**
 * What a boot event says, for people. A fact is what the event's digest proves; the rest of a log
 * is its author's text, and is marked so.
 */
import { hash } from "node:crypto";
import type { LogEvent } from "../core/eventlog.ts";
import type { HashName } from "../core/index.ts";
import { eventTypeName } from "./event-types.ts";
import { hex, oneLine } from "./print.ts";

/** A UEFI variable that an event measured: UEFI_VARIABLE_DATA, PC Client PFP §10.4.3. */
export interface MeasuredVariable {
  readonly guid: Uint8Array;
  readonly name: string;
  readonly value: Uint8Array;
}

export type EventFact =
  | { readonly kind: "separator" }
  | { readonly kind: "variable"; readonly variable: MeasuredVariable }
  /** Text whose digest was extended. */
  | { readonly kind: "text"; readonly text: string }
  /** Nothing but the digest is known; the remark is the log's. */
  | { readonly kind: "digest"; readonly remark: string };

const VARIABLE_HEAD_BYTES = 32;
const TEXT = /^[\x20-\x7e\n\t]+$/;
const SHOWN = 100;
/** GRUB names in the data what it measured, and measures what stands behind: grub-core, tpm.c. */
const PREFIXES = ["", "grub_cmd: ", "kernel_cmdline: ", "module_cmdline: "];
const SEPARATORS = [Uint8Array.of(0, 0, 0, 0), Uint8Array.of(255, 255, 255, 255)];

export const digestOf = (bank: HashName, bytes: Uint8Array): Uint8Array =>
  new Uint8Array(hash(bank, bytes, "buffer"));
const equal = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.compare(a, b) === 0;

export function variableIn(data: Uint8Array): MeasuredVariable | null {
  if (data.length < VARIABLE_HEAD_BYTES) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const nameBytes = Number(view.getBigUint64(16, true)) * 2;
  const valueBytes = Number(view.getBigUint64(24, true));
  if (VARIABLE_HEAD_BYTES + nameBytes + valueBytes !== data.length) return null;
  const name = Buffer.from(data.subarray(32, 32 + nameBytes)).toString("utf16le");
  return { guid: data.slice(0, 16), name, value: data.slice(32 + nameBytes) };
}

/** UEFI_VARIABLE_DATA of a variable. */
export function variableData({ guid, name, value }: MeasuredVariable): Uint8Array {
  const head = Buffer.alloc(VARIABLE_HEAD_BYTES);
  head.set(guid);
  head.writeBigUint64LE(BigInt(name.length), 16);
  head.writeBigUint64LE(BigInt(value.length), 24);
  return new Uint8Array(Buffer.concat([head, Buffer.from(name, "utf16le"), value]));
}

/** The encodings in which firmware, stubs, kernels and boot loaders measure text. */
export function encodingsOf(text: string): Uint8Array[] {
  const ended = [text, `${text}\0`];
  return (["utf8", "utf16le"] as const).flatMap((encoding) =>
    ended.map((one) => new Uint8Array(Buffer.from(one, encoding))),
  );
}

/** The text behind the digest, where the data tells it. */
function textIn({ data, digests }: LogEvent, bank: HashName): string | null {
  for (const encoding of ["latin1", "utf16le"] as const) {
    const told = Buffer.from(data).toString(encoding).replace(/\0+$/, "");
    if (!TEXT.test(told)) continue;
    for (const prefix of PREFIXES) {
      if (!told.startsWith(prefix)) continue;
      const text = told.slice(prefix.length);
      if (text !== "" && encodingsOf(text).some((b) => equal(digests[bank], digestOf(bank, b)))) {
        return text;
      }
    }
  }
  return null;
}

function remarkOf(data: Uint8Array): string {
  for (const encoding of ["latin1", "utf16le"] as const) {
    const text = Buffer.from(data).toString(encoding).replace(/\0+$/, "");
    if (text.length >= 4 && TEXT.test(text)) return oneLine(text).slice(0, SHOWN);
  }
  // A device path names files in UTF-16 among its bytes.
  const wide =
    Buffer.from(data)
      .toString("latin1")
      .match(/(?:[\x20-\x7e]\0){4,}/g) ?? [];
  return oneLine(wide.map((run) => run.replaceAll("\0", "")).join(" ")).slice(0, SHOWN);
}

/** What the event's digest in this bank proves. */
export function factOf(event: LogEvent, bank: HashName): EventFact {
  const { digests, data } = event;
  const digest = digests[bank];
  if (SEPARATORS.some((one) => equal(digest, digestOf(bank, one)))) return { kind: "separator" };
  const variable = equal(digest, digestOf(bank, data)) ? variableIn(data) : null;
  if (variable !== null) return { kind: "variable", variable };
  const text = textIn(event, bank);
  if (text !== null) return { kind: "text", text };
  return { kind: "digest", remark: remarkOf(data) };
}

/** One line about an event. What the digest does not prove is in brackets. */
export function factText(event: LogEvent, bank: HashName): string {
  const fact = factOf(event, bank);
  switch (fact.kind) {
    case "separator":
      return "separator";
    case "variable": {
      const { name, value } = fact.variable;
      const shown = value.length <= 16 ? hex(value) || "empty" : `${value.length} bytes`;
      return `variable ${oneLine(name)} = ${shown}`;
    }
    case "text":
      return `"${oneLine(fact.text)}"`;
    case "digest": {
      const remark = fact.remark === "" ? "" : ` [${fact.remark}]`;
      return `${eventTypeName(event.type)} ${hex(event.digests[bank] ?? new Uint8Array())}${remark}`;
    }
  }
}
