/**
 * As much DER (ITU-T X.690) as it takes to cut a certificate out of NV bytes and to find a key in
 * its wrapping.
 */

/** One element: its tag, its content, and everything up to its end. */
export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;
const OBJECT_IDENTIFIER = 0x06;

/**
 * Reads the first element of `bytes` and gives what follows it; null where it is no definite,
 * complete element.
 */
function readElement(bytes: Uint8Array): [Element, rest: Uint8Array] | null {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return null;
  let [length, start] = [first, 2];
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 3 || bytes.length < 2 + count) return null;
    length = bytes.subarray(2, 2 + count).reduce((sum, byte) => sum * 256 + byte, 0);
    start += count;
  }
  const end = start + length;
  if (end > bytes.length) return null;
  const element = { tag, content: bytes.subarray(start, end), whole: bytes.subarray(0, end) };
  return [element, bytes.subarray(end)];
}

/** The first element of `bytes` if it is a SEQUENCE. */
export function readSequence(bytes: Uint8Array): [Element, rest: Uint8Array] | null {
  const read = readElement(bytes);
  return read && read[0].tag === SEQUENCE ? read : null;
}

/**
 * The algorithm (content of its OBJECT IDENTIFIER) and the key bytes of a SubjectPublicKeyInfo (RFC
 * 5280 §4.1).
 */
export function splitSpki(spki: Uint8Array): { algorithm: Uint8Array; key: Uint8Array } | null {
  const outer = readSequence(spki);
  const algorithm = outer && readSequence(outer[0].content);
  const oid = algorithm && readElement(algorithm[0].content);
  const bits = algorithm && readElement(algorithm[1]);
  if (!oid || !bits || oid[0].tag !== OBJECT_IDENTIFIER || bits[0].tag !== BIT_STRING) return null;
  // The first byte of a BIT STRING counts unused bits; a key has none.
  if (bits[0].content[0] !== 0) return null;
  return { algorithm: oid[0].content, key: bits[0].content.subarray(1) };
}
