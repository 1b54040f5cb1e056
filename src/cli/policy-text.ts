/** A reference policy in words, row by row; and what differs between two. */
import type { ImaRules, ReferencePolicy } from "../wire/objects.ts";
import type { PcrEventRules } from "../wire/policy-shapes.ts";
import { digestOf } from "./event-facts.ts";
import { eventTypeName } from "./event-types.ts";
import { BANKS } from "./policy-document.ts";
import { hex, oneLine } from "./print.ts";
import { guidText } from "./uefi-names.ts";

/** One thing that a policy says. Rows of two policies are told apart by place and what. */
export interface PolicyRow {
  /** `sha256 PCR 7`, or the policy itself. */
  readonly place: string;
  readonly what: string;
  /** How it is meant: a value, a required event, ... */
  readonly need: "may be" | "must occur" | "may occur" | "must be";
}

const LABEL_SHOWN = 200;

type Content = Pick<ReferencePolicy, "pcrs" | "eventLog" | "ima" | "firmwareVersionMin">;

export function policyRows({ pcrs, eventLog, ima, firmwareVersionMin }: Content): PolicyRow[] {
  const rows: PolicyRow[] = [];
  if (firmwareVersionMin !== undefined) {
    const what = `firmware version 0x${firmwareVersionMin.toString(16)} or newer`;
    rows.push({ place: "TPM", what, need: "must be" });
  }
  for (const bank of BANKS) {
    for (const [pcr, values] of pcrs?.[bank] ?? []) {
      const place = `${bank} PCR ${pcr}`;
      rows.push(...values.map((value) => ({ place, what: hex(value), need: "may be" as const })));
    }
    for (const [pcr, rules] of eventLog?.[bank] ?? []) {
      rows.push(...eventRows(`${bank} PCR ${pcr} events`, rules));
    }
  }
  if (ima !== undefined) rows.push(...imaRows(ima));
  return rows;
}

function imaRows({ aggregate, stages }: ImaRules): PolicyRow[] {
  const first = aggregate ? "boot_aggregate of the quoted PCRs" : "anything called boot_aggregate";
  const rows: PolicyRow[] = [
    { place: "IMA entry 0", what: first, need: aggregate ? "must be" : "may be" },
  ];
  for (const { from, to, files = [], buffers = [], keys = [], excluded = [] } of stages) {
    const last = to === null ? "" : ` to ${to - 1}`;
    const place = from === 0 && to === null ? "IMA" : `IMA from entry ${from}${last}`;
    const may = (what: string): void => void rows.push({ place, what, need: "may occur" });
    for (const { digest, names } of files) {
      if (names.length === 0) may(`any file with ${hex(digest)}`);
      for (const name of names) may(`${nameText(name)} with ${hex(digest)}`);
    }
    for (const { digest, names } of buffers) {
      for (const name of names) may(`buffer ${nameText(name)} with ${hex(digest)}`);
    }
    for (const { id, key } of keys) may(`any file signed by ${keyText(key)}, id ${hex(id)}`);
    for (const folder of excluded) may(`any file below ${nameText(folder)}`);
  }
  return rows;
}

const nameText = (name: Uint8Array): string => oneLine(Buffer.from(name).toString("utf8"));

type FileKey = NonNullable<ImaRules["stages"][number]["keys"]>[number]["key"];
function keyText(key: FileKey): string {
  if (key.kty === "RSA") return `the RSA key ${hex(digestOf("sha256", key.n))}`;
  return `the ${key.crv} key ${hex(key.x)}`;
}

function eventRows(place: string, rules: PcrEventRules): PolicyRow[] {
  const { separator, events, variables, types } = rules;
  const rows: PolicyRow[] = [];
  if (separator === "one") rows.push({ place, what: "one separator", need: "must occur" });
  for (const { need, digests, label } of events) {
    const named = label === null ? "" : ` (${labelText(label)})`;
    const what = `${digests.map(hex).join(" or ")}${named}`;
    rows.push({ place, what, need: needOf(need) });
  }
  for (const { need, guid, name } of variables) {
    const what = `variable ${name} of any value (${guidText(guid)})`;
    rows.push({ place, what, need: needOf(need) });
  }
  for (const type of types) {
    rows.push({ place, what: `any event called ${eventTypeName(type)}`, need: "may occur" });
  }
  if (rows.length === 0) rows.push({ place, what: "no event at all", need: "must be" });
  return rows;
}

const needOf = (need: "allowed" | "required") =>
  need === "required" ? ("must occur" as const) : ("may occur" as const);

/** Labels are in the policy's signed bytes, yet only a remark: the digest is what is compared. */
export function labelText(label: Uint8Array): string {
  return oneLine(Buffer.from(label).toString("utf8")).slice(0, LABEL_SHOWN);
}

export function rowText({ place, what, need }: PolicyRow): string {
  return `${place}: ${need} ${what}`;
}

export interface Difference {
  readonly added: readonly PolicyRow[];
  readonly removed: readonly PolicyRow[];
  /** The same thing, meant otherwise: as it is meant now. */
  readonly changed: readonly PolicyRow[];
}

/** What the second policy says otherwise than the first. */
export function differenceOf(before: Content, after: Content): Difference {
  const key = ({ place, what }: PolicyRow): string => `${place}\n${what}`;
  const old = new Map(policyRows(before).map((row) => [key(row), row]));
  const now = new Map(policyRows(after).map((row) => [key(row), row]));
  const common = [...now].filter(([name]) => old.has(name));
  return {
    added: [...now].filter(([name]) => !old.has(name)).map(([, row]) => row),
    removed: [...old].filter(([name]) => !now.has(name)).map(([, row]) => row),
    changed: common.filter(([name, row]) => old.get(name)?.need !== row.need).map(([, row]) => row),
  };
}

export function differenceLines({ added, removed, changed }: Difference): string[] {
  return [
    ...removed.map((row) => `- ${rowText(row)}`),
    ...added.map((row) => `+ ${rowText(row)}`),
    ...changed.map((row) => `~ ${rowText(row)}, now`),
  ];
}
