/** Reads CBOR values, and refuses every other encoding of them: RFC 8949 §4.2.1. */
import { compareBytes } from "../bytes.ts";
import {
  ARRAY,
  BYTES,
  type CborArray,
  type CborKey,
  type CborMap,
  type CborValue,
  enter,
  FALSE,
  INTEGERS,
  MAP,
  NEGATIVE,
  NULL,
  TAG,
  TEXT,
  TRUE,
  UNSIGNED,
} from "./cbor-value.ts";
import { WireError } from "./error.ts";

const fromUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** An item is told in one byte and takes hundreds. The largest objects, policies, have fewer. */
const ITEMS_MAX = 1_048_576;

/** What an argument of 1, 2, 4, 8 bytes must at least be to need them. */
const LEAST = [24, 0x100, 0x1_0000, 0x1_0000_0000];

export class Reader {
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
