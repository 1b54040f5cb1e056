/**
 * Big-endian reading and writing as the TPM does it (Part 1 §9.2). Every length is checked before
 * anything is read.
 */
import { TpmFormatError } from "./errors.ts";

/** Reads one structure from its first byte to its last; `what` names it in errors. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  #offset = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  get offset(): number {
    return this.#offset;
  }

  /** A TpmFormatError that names the structure and the place. */
  fail(why: string): TpmFormatError {
    return new TpmFormatError(`${this.#what} is malformed at byte ${this.#offset}: ${why}`);
  }

  #take(length: number): number {
    if (length > this.left) throw this.fail(`${length} bytes expected, ${this.left} left`);
    const start = this.#offset;
    this.#offset += length;
    return start;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  /** A copy, so that what was parsed does not change with the buffer. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.slice(start, start + length);
  }

  /** The content of a TPM2B: a two-byte size, then that many bytes, at most `max`. */
  sized(max = 0xffff): Uint8Array {
    const length = this.u16();
    if (length > max) throw this.fail(`a buffer of ${length} bytes, more than the ${max} allowed`);
    return this.bytes(length);
  }

  /** A copy of everything read since `start`. */
  since(start: number): Uint8Array {
    return this.#bytes.slice(start, this.#offset);
  }

  rest(): Uint8Array {
    return this.bytes(this.left);
  }

  /** Throws if anything trails: a parser owns all of its bytes. */
  end(): void {
    if (this.left !== 0) throw this.fail(`${this.left} bytes follow its end`);
  }
}

/** Runs `read` over all of `bytes`; what trails is an error. */
export function parseAll<T>(bytes: Uint8Array, what: string, read: (reader: Reader) => T): T {
  const reader = new Reader(bytes, what);
  const value = read(reader);
  reader.end();
  return value;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** A TPM2B: a two-byte size, then the bytes. */
export function sized(bytes: Uint8Array): Uint8Array {
  if (bytes.length > 0xffff) throw new RangeError(`${bytes.length} bytes do not fit a TPM2B`);
  return concat(u16(bytes.length), bytes);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/**
 * `bytes` without leading zeros, or with as many as make it `width` wide; throws if it is wider.
 */
export function leftPad(bytes: Uint8Array, width: number): Uint8Array {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  if (digits.length > width) throw new RangeError(`${digits.length} bytes do not fit ${width}`);
  const out = new Uint8Array(width);
  out.set(digits, width - digits.length);
  return out;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}
