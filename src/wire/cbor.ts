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
/** An item is told in one byte and takes hundreds. The largest objects, policies, have fewer. */
const ITEMS_MAX = 1_048_576;

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
  const writer = new Writer();
  writer.value(value, 0);
  return writer.written();
}

/** Encodes a value under one tag, as COSE messages stand (RFC 9052 §2). */
export function encodeTagged(tag: number, value: CborValue): Uint8Array {
  const writer = new Writer();
  writer.head(TAG, tag);
  writer.value(value, 0);
  return writer.written();
}

/**
 * Decodes exactly one value of at most so many items, and nothing after it; byte strings are copies.
 * Throws WireError `wire.cbor`.
 */
export function decode(bytes: Uint8Array, itemsMax = ITEMS_MAX): CborValue {
  const reader = new Reader(bytes, itemsMax);
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

const HEAD_BYTES_MAX = 9;
const fromUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Most values are small: they are written here, and what was written is copied out. */
const SPARE_BYTES = 16_384;
let spare: Buffer | null = Buffer.alloc(SPARE_BYTES);

class Writer {
  #bytes = spare ?? Buffer.alloc(SPARE_BYTES);
  #length = 0;

  constructor() {
    spare = null;
  }

  written(): Uint8Array {
    if (this.#bytes.length === SPARE_BYTES) spare = this.#bytes;
    return new Uint8Array(this.#bytes.subarray(0, this.#length));
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.alloc(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }

  /** RFC 8949 §3: the initial byte and the shortest form of its argument (§4.2.1). */
  head(major: number, argument: number): void {
    this.#reserve(HEAD_BYTES_MAX);
    const type = major << 5;
    const [bytes, at] = [this.#bytes, this.#length];
    if (argument < 24) this.#length = bytes.writeUInt8(type | argument, at);
    else if (argument < 0x100) {
      bytes[at] = type | 24;
      this.#length = bytes.writeUInt8(argument, at + 1);
    } else if (argument < 0x1_0000) {
      bytes[at] = type | 25;
      this.#length = bytes.writeUInt16BE(argument, at + 1);
    } else if (argument < 0x1_0000_0000) {
      bytes[at] = type | 26;
      this.#length = bytes.writeUInt32BE(argument, at + 1);
    } else {
      bytes[at] = type | 27;
      this.#length = bytes.writeBigUInt64BE(BigInt(argument), at + 1);
    }
  }

  value(value: CborValue, depth: number): void {
    if (value === null) this.#byte(NULL);
    else if (typeof value === "boolean") this.#byte(value ? TRUE : FALSE);
    else if (typeof value === "number") this.#integer(value);
    else if (typeof value === "string") this.#text(value);
    else if (value instanceof Uint8Array) this.#string(value);
    else if (isArray(value)) {
      enter(depth);
      this.head(ARRAY, value.length);
      for (const item of value) this.value(item, depth + 1);
    } else if (isMap(value)) {
      enter(depth);
      this.head(MAP, value.size);
      this.#entries([...value], depth);
    } else {
      throw new WireError("wire.cbor", `a ${typeof value} has no encoding in this profile`);
    }
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  #integer(value: number): void {
    if (!Number.isInteger(value) || value >= INTEGERS || value < -INTEGERS) {
      throw new WireError("wire.cbor", `${value} is no integer from -2^53 up to below 2^53`);
    }
    if (value < 0) this.head(NEGATIVE, -1 - value);
    else this.head(UNSIGNED, value);
  }

  #string(value: Uint8Array): void {
    this.head(BYTES, value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #text(value: string): void {
    if (/\p{Surrogate}/u.test(value)) {
      throw new WireError("wire.cbor", "text holds half a surrogate pair");
    }
    const length = Buffer.byteLength(value);
    this.head(TEXT, length);
    this.#reserve(length);
    this.#length += this.#bytes.write(value, this.#length);
  }

  #key(key: CborKey): void {
    if (typeof key === "number") this.#integer(key);
    else if (typeof key === "string") this.#text(key);
    else throw new WireError("wire.cbor", "a map key is neither an integer nor text");
  }

  /** As they come; sorted, and written once more, where a key proves to stand before the last. */
  #entries(entries: readonly (readonly [CborKey, CborValue])[], depth: number): void {
    const start = this.#length;
    let last = start;
    let lastEnd = start;
    for (const [key, item] of entries) {
      const at = this.#length;
      this.#key(key);
      const end = this.#length;
      if (lastEnd > last && this.#bytes.compare(this.#bytes, last, lastEnd, at, end) < 0) {
        this.#length = start;
        const keyed = entries.map((entry) => ({ entry, bytes: encode(entry[0]) }));
        keyed.sort((a, b) => compareBytes(a.bytes, b.bytes));
        for (const { entry } of keyed) {
          this.#key(entry[0]);
          this.value(entry[1], depth + 1);
        }
        return;
      }
      [last, lastEnd] = [at, end];
      this.value(item, depth + 1);
    }
  }
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

/** What an argument of 1, 2, 4, 8 bytes must at least be to need them. */
const LEAST = [24, 0x100, 0x1_0000, 0x1_0000_0000];

class Reader {
  /** Never a Buffer, whose slice() is no copy. */
  readonly #bytes: Uint8Array;
  #offset = 0;
  #itemsLeft: number;
  /** Of the head that was read last. */
  #major = 0;
  #argument = 0;

  constructor({ buffer, byteOffset, byteLength }: Uint8Array, itemsMax = ITEMS_MAX) {
    this.#bytes = new Uint8Array(buffer, byteOffset, byteLength);
    this.#itemsLeft = itemsMax;
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
    this.#head();
    if (this.#major === TAG && tags.includes(this.#argument)) return this.#argument;
    throw this.#error(`expected tag ${tags.join(" or ")}`, start);
  }

  value(depth: number): CborValue {
    const start = this.#offset;
    if (this.#itemsLeft === 0) throw this.#error("too many items", start);
    this.#itemsLeft -= 1;
    this.#head();
    const argument = this.#argument;
    switch (this.#major) {
      case UNSIGNED:
        return argument;
      case NEGATIVE:
        return -1 - argument;
      case BYTES:
        this.#skip(argument, start);
        return this.#bytes.slice(this.#offset - argument, this.#offset);
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

  #skip(length: number, start: number): void {
    if (length > this.#bytes.length - this.#offset) {
      throw this.#error("the bytes end inside a value", start);
    }
    this.#offset += length;
  }

  /** Major type and argument; for major type 7 the argument is not read (see #simple). */
  #head(): void {
    const start = this.#offset;
    this.#skip(1, start);
    const initial = this.#bytes[start] ?? 0;
    const info = initial & 0x1f;
    this.#major = initial >> 5;
    this.#argument = info;
    if (this.#major === 7 || info < 24) return;
    if (info === 31) throw this.#error("an indefinite length", start);
    if (info > 27) throw this.#error("a reserved initial byte", start);
    this.#skip(1 << (info - 24), start);
    let argument = 0;
    // Eight bytes are rounded here, which the bound below refuses whatever it makes of them.
    for (let at = start + 1; at < this.#offset; at++) {
      argument = argument * 256 + (this.#bytes[at] ?? 0);
    }
    if (argument < (LEAST[info - 24] ?? 0))
      throw this.#error("a number or length is not in its shortest form", start);
    if (argument >= INTEGERS) throw this.#error("a number is 2^53 or more", start);
    this.#argument = argument;
  }

  #simple(start: number): CborValue {
    const initial = this.#bytes[start];
    if (initial === FALSE) return false;
    if (initial === TRUE) return true;
    if (initial === NULL) return null;
    throw this.#error("a float, undefined or another simple value", start);
  }

  #text(length: number, start: number): string {
    this.#skip(length, start);
    try {
      return fromUtf8.decode(this.#bytes.subarray(this.#offset - length, this.#offset));
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
