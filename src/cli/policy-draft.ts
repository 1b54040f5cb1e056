/**
 * A readable policy from a boot event log: what this boot measured, as a YAML document to be
 * reviewed, widened by hand and signed.
 */

import type { LogEvent } from "../core/eventlog.ts";
import type { HashName } from "../core/index.ts";
import { factOf, factText } from "./event-facts.ts";
import { eventTypeName } from "./event-types.ts";
import { hex, oneLine } from "./print.ts";
import { guidOf, guidText } from "./uefi-names.ts";

const LABEL_SHOWN = 80;
/** Settings of the machine, such as its boot order: they change, and prove little. */
const PCR_SETTINGS = 1;
/** Lists of what is revoked: they grow with updates. */
const GROWING = ["dbx"];

export interface Draft {
  readonly bank: HashName;
  readonly pcrs: readonly number[];
  readonly events: readonly LogEvent[];
}

/** YAML takes JSON's strings as they are (YAML 1.2.2 §7.3.1). */
const quoted = (text: string): string => JSON.stringify(text);

/** One item of `events:`, after its dash. */
function itemOf(event: LogEvent, bank: HashName): string {
  const fact = factOf(event, bank);
  const digest = `digest: ${hex(event.digests[bank] ?? new Uint8Array())}`;
  if (fact.kind === "text") return `text: ${quoted(fact.text)}`;
  if (fact.kind === "separator") return `${digest}\n        label: separator`;
  if (fact.kind === "digest") {
    const remark = oneLine(fact.remark).slice(0, LABEL_SHOWN);
    const label = `${eventTypeName(event.type)} ${remark}`.trim();
    return `${digest}\n        label: ${quoted(label)}`;
  }
  const { name, guid, value } = fact.variable;
  if (name === "SecureBoot") {
    if (value.length === 1 && value[0] === 1) return "secure-boot: on";
    if (value.length === 0 || (value.length === 1 && value[0] === 0)) return "secure-boot: off";
  }
  if (GROWING.includes(name)) {
    const known = guidOf(name);
    const own = known !== null && Buffer.compare(known, guid) === 0;
    const place = own ? "" : `\n        guid: ${guidText(guid)}`;
    return `variable: ${quoted(name)}${place}  # of any value: it grows with updates`;
  }
  const label = oneLine(factText(event, bank)).slice(0, LABEL_SHOWN);
  return `${digest}\n        label: ${quoted(label)}`;
}

function pcrLines(pcr: number, draft: Draft): string[] {
  const { bank } = draft;
  const own = draft.events.filter((event) => event.pcr === pcr && event.digests[bank]);
  const separators = own.filter((event) => factOf(event, bank).kind === "separator");
  const one = separators.length === 1;
  const rest = one ? own.filter((event) => event !== separators[0]) : own;
  const head = [`    ${pcr}:`, `      separator: ${one ? "one" : "none"}`];
  if (pcr === PCR_SETTINGS) {
    const types = [...new Set(rest.map(({ type }) => eventTypeName(type)))];
    const note = "      # settings of the machine: any event that the log calls so";
    return [...head, ...(types.length > 0 ? [note, `      types: [${types.join(", ")}]`] : [])];
  }
  const items = [...new Set(rest.map((event) => itemOf(event, bank)))];
  if (items.length === 0) return head;
  return [...head, "      events:", ...items.map((item) => `      - ${item}`)];
}

/** `event-log:` of this boot: every event is required, and no other is allowed. */
export function eventSection(draft: Draft): string[] {
  return [
    "# What this machine measured when it booted. Every event is required, and no other allowed:",
    "# list further texts and digests for the versions to come, `optional: true` for what may be",
    "# absent.",
    "event-log:",
    `  ${draft.bank}:`,
    ...draft.pcrs.flatMap((pcr) => pcrLines(pcr, draft)),
  ];
}

/** `pcrs:` as they are now. */
export function valueSection(bank: HashName, values: ReadonlyMap<number, Uint8Array>): string[] {
  const rows = [...values].map(([pcr, value]) => `    ${pcr}: ${hex(value)}`);
  return [
    "# What the PCRs held: any update of firmware or boot loader changes them.",
    "pcrs:",
    `  ${bank}:`,
    ...rows,
  ];
}

/** The document: sections one after another. */
export function draftText(name: string, sections: readonly (readonly string[])[]): string {
  const head = ["# A draft. Review it, then: portcullis policy sign FILE", `name: ${quoted(name)}`];
  return `${[...head, ...sections.flat()].join("\n")}\n`;
}
