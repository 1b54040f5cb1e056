/**
 * Where in an IMA list an entry begins. Nothing is judged here: a wrong place leads to no quoted
 * PCR, and the core denies.
 */

const WIDTHS = [20, 32, 48, 64] as const;
const NAME_BYTES_MAX = 255;
/** The oldest template: SHA-1, then a name with its length. */
const LEGACY = "ima";
const LEGACY_DIGEST_BYTES = 20;

/** Where the entry behind the first `count` ones begins; null where there are not as many. */
export function skipEntries(list: Uint8Array, count: number): number | null {
  const view = new DataView(list.buffer, list.byteOffset, list.length);
  const text = Buffer.from(list.buffer, list.byteOffset, list.length);
  const word = (at: number): number => (at + 4 <= list.length ? view.getUint32(at, true) : 2 ** 32);
  const width = WIDTHS.find((bytes) => isName(text, 4 + bytes, word)) ?? WIDTHS[0];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const name = at + 4 + width;
    const body = name + 4 + word(name);
    const legacy = text.toString("latin1", name + 4, body) === LEGACY ? LEGACY_DIGEST_BYTES : 0;
    at = body + legacy + 4 + word(body + legacy);
    if (at > list.length) return null;
  }
  return at;
}

/** Whether the name of a template stands here, behind its length; only one width lets it. */
function isName(text: Buffer, at: number, word: (at: number) => number): boolean {
  const bytes = word(at);
  const name = bytes > NAME_BYTES_MAX ? "" : text.toString("latin1", at + 4, at + 4 + bytes);
  return name.length === bytes && /^[\x21-\x7e]+$/.test(name);
}
