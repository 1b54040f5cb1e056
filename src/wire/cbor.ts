/**
 * CBOR (RFC 8949) under the one strict profile of docs/wire-format.md: deterministic (RFC 8949
 * §4.2.1) and narrower.
 *
 * Not supported, and refused in both directions: floats, undefined and other simple values,
 * indefinite lengths, bignums, tags (but for the one around a COSE message, where a caller asks for
 * it), map keys other than integers and text, integers from 2^53 or below -2^53, nesting beyond 8
 * arrays and maps. What decode() accepts, encode() gives back byte for byte.
 */
import { Reader } from "./cbor-reader.ts";
import { type CborValue, TAG } from "./cbor-value.ts";
import { Writer } from "./cbor-writer.ts";

export interface Tagged {
  readonly tag: number;
  readonly value: CborValue;
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
export function decode(bytes: Uint8Array, itemsMax?: number): CborValue {
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
