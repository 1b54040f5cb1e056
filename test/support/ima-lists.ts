/**
 * IMA lists made by hand, and their replay by @noble/hashes: ima_fs.c and ima_template_lib.c of the
 * kernel.
 */
import { type Bank, concat } from "./ak.ts";
import { HASH, le32 } from "./event-logs.ts";

export const TEMPLATES = [
  "ima",
  "ima-ng",
  "ima-sig",
  "ima-ngv2",
  "ima-sigv2",
  "ima-buf",
  "ima-modsig",
] as const;
export const IMA_PCR = 10;

export interface MadeEntry {
  readonly pcr: number;
  readonly template: string;
  /** The template data; of the legacy template a file digest of 20 bytes, then the name. */
  readonly data: Uint8Array;
  /** The template digest in the list: of the data, all zero, SHA-1 and zeros, or another. */
  readonly digest: "own" | "zero" | "padded" | "wrong";
}

const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
const LEGACY_NAME = 256;
const FILE_DIGEST = 20;

/** Fields of template data, each with its length before it. */
export const fields = (...parts: readonly Uint8Array[]): Uint8Array =>
  concat(...parts.flatMap((part) => [le32(part.length), part]));

export const ngEntry = (path: string, digest: MadeEntry["digest"] = "own"): MadeEntry => ({
  pcr: IMA_PCR,
  template: "ima-ng",
  data: fields(concat(ascii("sha256:\0"), HASH.sha256(ascii(path))), ascii(`${path}\0`)),
  digest,
});

export const legacyEntry = (path: string): MadeEntry => ({
  pcr: IMA_PCR,
  template: "ima",
  data: concat(HASH.sha1(ascii(path)), ascii(path)),
  digest: "own",
});

/** What the template digest covers. */
function covered({ template, data }: MadeEntry): Uint8Array {
  if (template !== "ima") return data;
  const all = new Uint8Array(FILE_DIGEST + LEGACY_NAME);
  all.set(data);
  return all;
}

function widened(digest: Uint8Array, bytes: number): Uint8Array {
  const all = new Uint8Array(bytes);
  all.set(digest);
  return all;
}

/** The entry with a template digest of the width of this hash. */
export function encodeEntry(entry: MadeEntry, stored: Bank = "sha1"): Uint8Array {
  const { outputLen: width } = HASH[stored];
  const digests = {
    own: HASH[stored](covered(entry)),
    zero: new Uint8Array(width),
    padded: widened(HASH.sha1(covered(entry)), width),
    wrong: new Uint8Array(width).fill(0x5a),
  };
  const { data } = entry;
  const body =
    entry.template === "ima"
      ? concat(data.subarray(0, FILE_DIGEST), fields(data.subarray(FILE_DIGEST)))
      : fields(data);
  const name = ascii(entry.template);
  return concat(le32(entry.pcr), digests[entry.digest], fields(name), body);
}

export const encodeList = (entries: readonly MadeEntry[], stored: Bank = "sha1"): Uint8Array =>
  concat(...entries.map((entry) => encodeEntry(entry, stored)));

/** The PCRs of one bank; `padded`: as a kernel before 5.8 extends it. */
export function replayedIma(entries: readonly MadeEntry[], bank: Bank, padded = false) {
  const hash = HASH[bank];
  const values: { [pcr: number]: Uint8Array } = {};
  for (const entry of entries) {
    let digest = padded ? widened(HASH.sha1(covered(entry)), hash.outputLen) : hash(covered(entry));
    if (entry.digest === "zero") digest = new Uint8Array(hash.outputLen).fill(0xff);
    values[entry.pcr] = hash(concat(values[entry.pcr] ?? new Uint8Array(hash.outputLen), digest));
  }
  return values;
}
