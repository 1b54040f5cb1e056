/**
 * Entries of an IMA list as the kernel's own ascii_runtime_measurements has them: ima_template.c
 * names the fields of each template, ima_template_lib.c their text.
 */
import type { ImaEntry } from "../core/ima.ts";
import { hex, oneLine } from "./print.ts";

type Field = "digest" | "name" | "hex";
const TEMPLATES: { readonly [template: string]: readonly Field[] } = {
  "ima-ng": ["digest", "name"],
  "ima-sig": ["digest", "name", "hex"],
  "ima-ngv2": ["digest", "name"],
  "ima-sigv2": ["digest", "name", "hex"],
  "ima-buf": ["digest", "name", "hex"],
  "ima-modsig": ["digest", "name", "hex", "digest", "hex"],
};
const LEGACY_DIGEST_BYTES = 20;

const text = (bytes: Uint8Array): string => oneLine(Buffer.from(bytes).toString("utf8"));

/** Fields with four bytes of length before each; null where they do not fill the data. */
function split(data: Uint8Array): Uint8Array[] | null {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const fields: Uint8Array[] = [];
  for (let at = 0; at < data.length; ) {
    if (data.length - at < 4) return null;
    const length = view.getUint32(at, true);
    at += 4;
    if (length > data.length - at) return null;
    fields.push(data.subarray(at, at + length));
    at += length;
  }
  return fields;
}

/** `sha256:...`: the algorithm's name ends with a colon and a NUL. */
function digestText(field: Uint8Array): string {
  const end = field.indexOf(0);
  return end < 0 ? hex(field) : `${text(field.subarray(0, end))}${hex(field.subarray(end + 1))}`;
}

function fieldText(kind: Field, field: Uint8Array): string {
  if (kind === "hex") return hex(field);
  if (kind === "digest") return digestText(field);
  const end = field.indexOf(0);
  return text(end < 0 ? field : field.subarray(0, end));
}

/**
 * The fields of an entry as text; the whole data in hexadecimal where the template is unknown or
 * not kept to.
 */
export function imaFields({ template, data }: ImaEntry): string[] {
  if (template === "ima") {
    const [name] = split(data.subarray(LEGACY_DIGEST_BYTES)) ?? [];
    if (name !== undefined) return [hex(data.subarray(0, LEGACY_DIGEST_BYTES)), text(name)];
  }
  const kinds = TEMPLATES[template];
  const fields = split(data);
  if (kinds === undefined || fields?.length !== kinds.length) return [hex(data)];
  return fields.map((field, i) => fieldText(kinds[i] ?? "hex", field));
}

/** What an entry measured, where its template is one of the kernel's and kept to. */
export interface Measured {
  readonly kind: "file" | "buffer";
  /** As the kernel named it: `sha256`, or `verity:sha256`. */
  readonly hash: string;
  readonly digest: Uint8Array;
  readonly name: Uint8Array;
}

/** As assembly/measure/ima-file.ts reads it, for people. */
export function measuredOf({ template, data }: ImaEntry): Measured | null {
  if (template === "ima") {
    const [name] = split(data.subarray(LEGACY_DIGEST_BYTES)) ?? [];
    const digest = data.slice(0, LEGACY_DIGEST_BYTES);
    return name?.length ? { kind: "file", hash: "sha1", digest, name } : null;
  }
  const [field, ended] = split(data) ?? [];
  const colon = field?.indexOf(0) ?? -1;
  if (field === undefined || ended === undefined || colon < 1 || ended.at(-1) !== 0) return null;
  const hash = text(field.subarray(0, colon - 1)).replace(/^ima:/, "");
  const kind = template === "ima-buf" ? "buffer" : "file";
  const name = ended.subarray(0, -1);
  return name.length > 0 ? { kind, hash, digest: field.slice(colon + 1), name } : null;
}

/** One line about an entry, such as a denial names. */
export function entryText(entry: ImaEntry): string {
  const found = measuredOf(entry);
  if (found === null) return `${entry.template} that does not parse`;
  const { kind, hash, digest, name } = found;
  const signed = entry.template.startsWith("ima-sig") || entry.template === "ima-modsig";
  const signature = signed && (split(entry.data)?.[2]?.length ?? 0) > 0 ? ", signed" : "";
  const said = kind === "buffer" ? "buffer " : "";
  return `${said}${text(name)} with ${hash}:${hex(digest)}${signature}`;
}

/**
 * `PCR template-digest template fields...`; an empty last field leaves its space, as the kernel's
 * does.
 */
export function imaLine(entry: ImaEntry): string {
  const { pcr, templateDigest, template } = entry;
  return [`${pcr}`.padStart(2), hex(templateDigest), template, ...imaFields(entry)].join(" ");
}
