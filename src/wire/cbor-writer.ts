/** Writes CBOR values in their one encoding: RFC 8949 §4.2.1. */
import { compareBytes } from "../bytes.ts";
import {
  ARRAY,
  BYTES,
  type CborKey,
  type CborValue,
  enter,
  FALSE,
  INTEGERS,
  isArray,
  isMap,
  MAP,
  NEGATIVE,
  NULL,
  TEXT,
  TRUE,
  UNSIGNED,
} from "./cbor-value.ts";
import { WireError } from "./error.ts";

const HEAD_BYTES_MAX = 9;

/** Most values are small: they are written here, and what was written is copied out. */
const SPARE_BYTES = 16_384;
let spare: Buffer | null = Buffer.alloc(SPARE_BYTES);

export class Writer {
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
        const keyed = entries.map((entry) => ({ entry, bytes: encodedKey(entry[0]) }));
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

function encodedKey(key: CborKey): Uint8Array {
  const writer = new Writer();
  writer.value(key, 0);
  return writer.written();
}
