/**
 * Reference policies as people write and review them: YAML, compiled to what the core compares.
 *
 *     name: base
 *     version: 3                          # optional, as is firmware-version-min
 *     pcrs: {sha256: {0: <hex>, 2: [<hex>, <hex>]}}
 *     event-log:
 *       sha256:
 *         7:
 *           separator: one                # default: none, a separator is an event like any other
 *           events:                       # each is required, unless `optional: true`
 *             - {secure-boot: on}
 *             - {variable: dbx, optional: true}     # of any value; `guid:` where it is not known
 *             - {digest: [<hex>, <hex>], label: db}
 *         8:
 *           events: [{text: [linux quiet, linux]}]  # one of them, as its digest was extended
 *           types: [EV_POST_CODE]         # any event that the log calls so
 *     ima: ...                            # what ran since the boot: ima-document.ts
 */
import type { HashName } from "../core/index.ts";
import type { PcrValues, PolicyRequest } from "../domain/policies.ts";
import { LIMITS } from "../limits.ts";
import type { EventLogRules, PcrEventRules } from "../wire/policy-shapes.ts";
import type { Field } from "./document.ts";
import { digestOf, encodingsOf, variableData } from "./event-facts.ts";
import { eventTypeNumber } from "./event-types.ts";
import { imaRulesOf } from "./ima-document.ts";
import { guidOf, parseGuid } from "./uefi-names.ts";

export const BANKS = ["sha1", "sha256", "sha384", "sha512"] as const;
const BANK_BYTES = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const;
const NAMES = ["name", "version", "pcrs", "event-log", "ima", "firmware-version-min"] as const;
const RULE_NAMES = ["separator", "events", "types"] as const;
const FORMS = ["secure-boot", "variable", "digest", "text"] as const;
const ITEM_NAMES = [...FORMS, "guid", "label", "optional"] as const;

/** Reads a policy. Throws UsageError with the place of what is wrong. */
export function policyOf(document: Field): PolicyRequest {
  const fields = document.record(NAMES);
  const { name, pcrs, ima, version } = fields;
  const firmware = fields["firmware-version-min"];
  const eventLog = fields["event-log"];
  if (name === undefined) return document.refuse("needs a `name`");
  if (pcrs === undefined && eventLog === undefined && ima === undefined) {
    return document.refuse("compares nothing: it needs `pcrs`, `event-log` or `ima`");
  }
  return {
    name: name.text(),
    ...(pcrs && { pcrs: pcrValuesOf(pcrs) }),
    ...(eventLog && { eventLog: eventRulesOf(eventLog) }),
    ...(ima && { ima: imaRulesOf(ima) }),
    ...(version && { version: version.count(0, Number.MAX_SAFE_INTEGER) }),
    ...(firmware && { firmwareVersionMin: firmwareOf(firmware) }),
  };
}

function firmwareOf(field: Field): bigint {
  const text = field.text();
  if (!/^(0x[0-9a-f]{1,16}|\d{1,19})$/i.test(text)) field.refuse("expected a number, such as 0x1a");
  return BigInt(text);
}

/** What stands for each PCR of each bank. */
function inBanks<T>(field: Field, read: (value: Field, bank: HashName) => T) {
  const banks = field.record(BANKS);
  const found: { [bank in HashName]?: Map<number, T> } = {};
  for (const bank of BANKS) {
    const rows = banks[bank]?.members().map(([index, value]): [number, T] => {
      if (!/^(\d|1\d|2[0-3])$/.test(index)) value.refuse("a PCR is a number from 0 to 23");
      return [Number(index), read(value, bank)];
    });
    if (rows !== undefined) found[bank] = new Map(rows);
  }
  return found;
}

const several = (field: Field): Field[] => (field.isList ? field.items() : [field]);

function pcrValuesOf(field: Field): PcrValues {
  return inBanks(field, (value, bank) =>
    several(value).map((one) => one.hexBytes(BANK_BYTES[bank])),
  );
}

function eventRulesOf(field: Field): EventLogRules {
  return inBanks(field, (value, bank): PcrEventRules => {
    const { separator, events, types } = value.record(RULE_NAMES);
    const items = (events?.items() ?? []).map((item) => itemOf(item, bank));
    return {
      separator: separator === undefined ? "none" : separator.word(["none", "one"]),
      events: items.flatMap((item) => ("digests" in item ? [item] : [])),
      variables: items.flatMap((item) => ("guid" in item ? [item] : [])),
      types: (types?.items() ?? []).map(typeOf).sort((a, b) => a - b),
    };
  });
}

function typeOf(field: Field): number {
  return eventTypeNumber(field.text()) ?? field.refuse("expected a type such as EV_POST_CODE");
}

type Item = PcrEventRules["events"][number] | PcrEventRules["variables"][number];

function itemOf(item: Field, bank: HashName): Item {
  const fields = item.record(ITEM_NAMES);
  const { guid, label, optional } = fields;
  const forms = FORMS.filter((form) => fields[form] !== undefined);
  const [form] = forms;
  const value = form === undefined ? undefined : fields[form];
  if (form === undefined || value === undefined || forms.length > 1) {
    return item.refuse(`needs exactly one of ${FORMS.join(", ")}`);
  }
  const may = optional !== undefined && optional.word(["true", "false"]) === "true";
  const need = may ? "allowed" : "required";
  if (form === "variable") {
    if (label !== undefined) label.refuse("a variable is its own label");
    return { need, guid: guidFor(value, guid), name: value.text() };
  }
  if (guid !== undefined) guid.refuse("belongs to a `variable`");
  const digests = digestsOf(form, value, bank);
  const told = label?.text() ?? labelOf(form, value);
  return { need, digests, label: told === null ? null : labelBytes(told) };
}

function guidFor(name: Field, guid: Field | undefined): Uint8Array {
  if (guid === undefined) {
    const known = guidOf(name.text());
    return known ?? name.refuse("has no place that is known: name its `guid` too");
  }
  return parseGuid(guid.text()) ?? guid.refuse("expected a GUID, such as 8be4df61-93ca-...");
}

function digestsOf(
  form: Exclude<(typeof FORMS)[number], "variable">,
  value: Field,
  bank: HashName,
): Uint8Array[] {
  if (form === "digest") return several(value).map((one) => one.hexBytes(BANK_BYTES[bank]));
  const data =
    form === "text"
      ? several(value).flatMap((one) => encodingsOf(one.text()))
      : secureBoot(value.word(["on", "off"]));
  return data.map((one) => digestOf(bank, one));
}

/** The variable as firmware measures it. Where it is off, some measure it empty. */
function secureBoot(state: "on" | "off"): Uint8Array[] {
  const guid = guidOf("SecureBoot") ?? new Uint8Array(16);
  const values = state === "on" ? [[1]] : [[0], []];
  return values.map((value) =>
    variableData({ guid, name: "SecureBoot", value: Uint8Array.from(value) }),
  );
}

function labelOf(form: string, value: Field): string | null {
  if (form === "secure-boot") return `secure boot ${value.text()}`;
  if (form === "digest") return null;
  return several(value)
    .map((one) => one.text())
    .join(" | ");
}

/** Labels are for people: one that is too long is cut, between characters. */
function labelBytes(text: string): Uint8Array | null {
  let cut = text;
  while (Buffer.byteLength(cut) > LIMITS.fieldBytes) cut = cut.slice(0, -1);
  return cut === "" ? null : new Uint8Array(Buffer.from(cut));
}
