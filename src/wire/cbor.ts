/**
 * CBOR (RFC 8949) under the one strict profile of docs/wire-format.md: deterministic (RFC 8949
 * §4.2.1) and narrower.
 *
 * Not supported, and refused in both directions: floats, undefined and other simple values,
 * indefinite lengths, bignums, tags (but for the one around a COSE message, where a caller asks for
 * it), map keys other than integers and text, integers from 2^53 or below -2^53, nesting beyond 8
 * arrays and maps. What decode() accepts, encode() gives back byte for byte.
 */
import { LIMITS } from "../limits.ts";
import { WireError } from "./error.ts";

export type CborKey = number | string;
export type CborMap = ReadonlyMap<CborKey, CborValue>;
export type CborArray = readonly CborValue[];
/** Integers are numbers, byte strings Uint8Array, text is string. */
export type CborValue = number | string | boolean | null | Uint8Array | CborArray | CborMap;

export interface Tagged {
  readonly tag: number;
  readonly value: CborValue;
}

// RFC 8949 §3.1: the major types.
const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;
// RFC 8949 §3.3, initial bytes of major type 7.
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;

const INTEGERS = 2 ** 53;

const isArray = (value: CborValue): value is CborArray => Array.isArray(value);
/** True for a map, so that callers need not know its class. */
export const isMap = (value: CborValue): value is CborMap => value instanceof Map;

/** Bytewise order, a prefix first: RFC 8949 §4.2.1 sorts the encodings of map keys so. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/**
 * Encodes a value. Maps are sorted here, so their order of insertion is free. Throws WireError
 * `wire.cbor`.
 */
export function encode(value: CborValue): Uint8Array {
  const chunks: Uint8Array[] = [];
  encodeInto(chunks, value, 0);
  return concat(chunks);
}

/** Encodes a value under one tag, as COSE messages stand (RFC 9052 §2). */
export function encodeTagged(tag: number, value: CborValue): Uint8Array {
  const chunks = [head(TAG, tag)];
  encodeInto(chunks, value, 0);
  return concat(chunks);
}

/**
 * Decodes exactly one value and nothing after it; byte strings are copies. Throws WireError
 * `wire.cbor`.
 */
export function decode(bytes: Uint8Array): CborValue {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  reader.end();
  return value;
}

/** Decodes exactly one value under one of the given tags. */
export function decodeTagged(bytes: Uint8Array, tags: readonly number[]): Tagged {
  const reader = new Reader(bytes);
  const tag = reader.tag(tags);
  const value = reader.value(0);
  reader.end();
  return { tag, value };
}

/**
 * Splits a sequence of values (RFC 8742), each under one of the given tags, into their bytes. At
 * least one.
 */
export function splitTagged(bytes: Uint8Array, tags: readonly number[]): Uint8Array[] {
  const reader = new Reader(bytes);
  const items: Uint8Array[] = [];
  do {
    const start = reader.offset;
    reader.tag(tags);
    reader.value(0);
    items.push(bytes.slice(start, reader.offset));
  } while (reader.offset < bytes.length);
  return items;
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    out.set(chunk, offset);
    offset += chunk.length;
  }
  return out;
}

/** RFC 8949 §3: the initial byte and the shortest form of its argument (§4.2.1). */
function head(major: number, argument: number): Uint8Array {
  const type = major << 5;
  if (argument < 24) return Uint8Array.of(type | argument);
  if (argument < 0x100) return Uint8Array.of(type | 24, argument);
  if (argument < 0x1_0000) return Uint8Array.of(type | 25, argument >> 8, argument & 0xff);
  const out = new Uint8Array(argument < 0x1_0000_0000 ? 5 : 9);
  const view = new DataView(out.buffer);
  out[0] = type | (out.length === 5 ? 26 : 27);
  if (out.length === 5) view.setUint32(1, argument);
  else view.setBigUint64(1, BigInt(argument));
  return out;
}

function integer(value: number): Uint8Array {
  if (!Number.isInteger(value) || value >= INTEGERS || value < -INTEGERS) {
    throw new WireError("wire.cbor", `${value} is no integer from -2^53 up to below 2^53`);
  }
  return value < 0 ? head(NEGATIVE, -1 - value) : head(UNSIGNED, value);
}

function text(value: string): Uint8Array[] {
  if (/\p{Surrogate}/u.test(value))
    throw new WireError("wire.cbor", "text holds half a surrogate pair");
  const utf8 = new TextEncoder().encode(value);
  return [head(TEXT, utf8.length), utf8];
}

function encodeInto(chunks: Uint8Array[], value: CborValue, depth: number): void {
  if (value === null) chunks.push(Uint8Array.of(NULL));
  else if (typeof value === "boolean") chunks.push(Uint8Array.of(value ? TRUE : FALSE));
  else if (typeof value === "number") chunks.push(integer(value));
  else if (typeof value === "string") chunks.push(...text(value));
  else if (value instanceof Uint8Array) chunks.push(head(BYTES, value.length), value);
  else if (isArray(value)) {
    enter(depth);
    chunks.push(head(ARRAY, value.length));
    for (const item of value) encodeInto(chunks, item, depth + 1);
  } else if (isMap(value)) {
    enter(depth);
    chunks.push(head(MAP, value.size));
    const entries = [...value].map(([key, item]) => ({ key: encodeKey(key), item }));
    for (const { key, item } of entries.sort((a, b) => compareBytes(a.key, b.key))) {
      chunks.push(key);
      encodeInto(chunks, item, depth + 1);
    }
  } else {
    throw new WireError("wire.cbor", `a ${typeof value} has no encoding in this profile`);
  }
}

function encodeKey(key: CborKey): Uint8Array {
  if (typeof key === "number") return integer(key);
  if (typeof key === "string") return concat(text(key));
  throw new WireError("wire.cbor", "a map key is neither an integer nor text");
}

/**
 * Containers around the next one. The bound keeps recursion shallow (CVE-2026-26209,
 * GHSA-685m-2w69-288q).
 */
function enter(depth: number, offset?: number): void {
  if (depth < LIMITS.nesting) return;
  const message = `arrays and maps are nested more than ${LIMITS.nesting} deep`;
  throw new WireError("wire.cbor", message, offset === undefined ? {} : { offset });
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  end(): void {
    const trailing = this.#bytes.length - this.#offset;
    if (trailing > 0) throw this.#error(`${trailing} bytes follow the value`, this.#offset);
  }

  tag(tags: readonly number[]): number {
    const start = this.#offset;
    const [major, argument] = this.#head();
    if (major === TAG && tags.includes(argument)) return argument;
    throw this.#error(`expected tag ${tags.join(" or ")}`, start);
  }

  value(depth: number): CborValue {
    const start = this.#offset;
    const [major, argument] = this.#head();
    switch (major) {
      case UNSIGNED:
        return argument;
      case NEGATIVE:
        return -1 - argument;
      case BYTES:
        return new Uint8Array(this.#take(argument, start));
      case TEXT:
        return this.#text(argument, start);
      case ARRAY:
        enter(depth, start);
        return this.#array(argument, depth + 1, start);
      case MAP:
        enter(depth, start);
        return this.#map(argument, depth + 1, start);
      case TAG:
        throw this.#error(`tag ${argument} is not allowed here`, start);
      default:
        return this.#simple(start);
    }
  }

  #error(message: string, offset: number): WireError {
    return new WireError("wire.cbor", `${message} (at byte ${offset})`, { offset });
  }

  #take(length: number, start: number): Uint8Array {
    const from = this.#offset;
    if (length > this.#bytes.length - from) {
      throw this.#error("the bytes end inside a value", start);
    }
    this.#offset = from + length;
    return this.#bytes.subarray(from, this.#offset);
  }

  /** Major type and argument; for major type 7 the argument is not read (see #simple). */
  #head(): readonly [major: number, argument: number] {
    const start = this.#offset;
    const initial = this.#take(1, start)[0] ?? 0;
    const major = initial >> 5;
    const info = initial & 0x1f;
    if (major === 7) return [major, info];
    if (info < 24) return [major, info];
    if (info === 31) throw this.#error("an indefinite length", start);
    if (info > 27) throw this.#error("a reserved initial byte", start);
    const width = 1 << (info - 24);
    this.#take(width, start);
    const argument = this.#argument(start + 1, width);
    const least = [24n, 0x100n, 0x1_0000n, 0x1_0000_0000n][info - 24] ?? 0n;
    if (argument < least)
      throw this.#error("a number or length is not in its shortest form", start);
    if (argument >= BigInt(INTEGERS)) throw this.#error("a number is 2^53 or more", start);
    return [major, Number(argument)];
  }

  #argument(offset: number, width: number): bigint {
    if (width === 1) return BigInt(this.#view.getUint8(offset));
    if (width === 2) return BigInt(this.#view.getUint16(offset));
    if (width === 4) return BigInt(this.#view.getUint32(offset));
    return this.#view.getBigUint64(offset);
  }

  #simple(start: number): CborValue {
    const initial = this.#bytes[start];
    if (initial === FALSE) return false;
    if (initial === TRUE) return true;
    if (initial === NULL) return null;
    throw this.#error("a float, undefined or another simple value", start);
  }

  #text(length: number, start: number): string {
    const utf8 = this.#take(length, start);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(utf8);
    } catch (cause) {
      const message = `text is not UTF-8 (at byte ${start})`;
      throw new WireError("wire.cbor", message, { offset: start, cause });
    }
  }

  /**
   * Every item takes a byte at least, so a count beyond the bytes left is refused before anything
   * is allocated.
   */
  #bound(count: number, bytesEach: number, start: number): void {
    if (count * bytesEach > this.#bytes.length - this.#offset) {
      throw this.#error("the bytes end inside a value", start);
    }
  }

  #array(count: number, depth: number, start: number): CborArray {
    this.#bound(count, 1, start);
    const items: CborValue[] = [];
    for (let i = 0; i < count; i++) items.push(this.value(depth));
    return items;
  }

  #map(count: number, depth: number, start: number): CborMap {
    this.#bound(count, 2, start);
    const map = new Map<CborKey, CborValue>();
    let previous: Uint8Array | null = null;
    for (let i = 0; i < count; i++) {
      const at = this.#offset;
      const key = this.value(depth);
      if (typeof key !== "number" && typeof key !== "string") {
        throw this.#error("a map key is neither an integer nor text", at);
      }
      const encoded = this.#bytes.subarray(at, this.#offset);
      const order = previous === null ? 1 : compareBytes(encoded, previous);
      if (order === 0) throw this.#error("a map key occurs twice", at);
      if (order < 0) throw this.#error("map keys are not in order", at);
      previous = encoded;
      map.set(key, this.value(depth));
    }
    return map;
  }
}
