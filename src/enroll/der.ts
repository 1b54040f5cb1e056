/**
 * As much DER (ITU-T X.690) as it takes to cut a certificate out of NV bytes, to find a key in its
 * wrapping, and to read names.
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
const INTEGER = 0x02;
const VERSION = 0xa0;
/** ecdsa-with-SHA2 and ecdsa-with-SHA1 lie below 1.2.840.10045.4 (RFC 5758 §3.2). */
const ECDSA = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];

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

/** Every element of `bytes`, one behind another; null where anything else is among them. */
export function readElements(bytes: Uint8Array): Element[] | null {
  const found: Element[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const read = readElement(rest);
    if (!read) return null;
    found.push(read[0]);
    rest = read[1];
  }
  return found;
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

/** ECDSA-Sig-Value (RFC 3279 §2.2.3): two positive INTEGERs, none longer than it must be. */
function isEcdsaSignature(bytes: Uint8Array): boolean {
  const outer = readSequence(bytes);
  const values = outer && outer[1].length === 0 ? readElements(outer[0].content) : null;
  if (values?.length !== 2) return false;
  return values.every(({ tag, content: [first = 0x80, second = 0] }) => {
    return tag === INTEGER && first < 0x80 && (first !== 0 || second >= 0x80);
  });
}

/**
 * Whether what stands around the signed part of a certificate is exactly as it must be (RFC 5280
 * §4.1): a library that reads it leniently would take many encodings for one certificate, and its
 * digest would name none of them.
 */
export function isSoundEnvelope(certificate: Uint8Array): boolean {
  const outer = readSequence(certificate);
  const parts = outer && readElements(outer[0].content);
  const [tbs, algorithm, signature] = parts ?? [];
  if (parts?.length !== 3 || !tbs || !algorithm || !signature) return false;
  const fields = readElements(tbs.content);
  const inner = fields?.[fields[0]?.tag === VERSION ? 2 : 1];
  const same = inner && Buffer.from(inner.whole).equals(algorithm.whole);
  if (tbs.tag !== SEQUENCE || signature.tag !== BIT_STRING || !same) return false;
  const oid = readElements(algorithm.content)?.[0]?.content;
  const ecdsa = ECDSA.every((byte, i) => oid?.[i] === byte);
  return signature.content[0] === 0 && (!ecdsa || isEcdsaSignature(signature.content.subarray(1)));
}
