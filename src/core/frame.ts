/**
 * Frames: what the host writes for the core to read in one pass, and the few heads of CBOR that it
 * needs in them.
 */

// Major types of CBOR, RFC 8949 §3.1.
export const UNSIGNED = 0;
export const BYTES = 2;
export const ARRAY = 4;
export const MAP = 5;

/** Room for a quote without logs. */
const FIRST_BYTES = 4096;

/** Bytes written one behind another into one buffer that grows; numbers big-endian. */
export class Frame {
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;

  /** Room for so many more bytes; gives where they begin. */
  #room(more: number): number {
    const at = this.#length;
    this.#length += more;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return at;
  }

  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A number of `width` bytes, at most 4. */
  number(width: number, value: number): void {
    const at = this.#room(width);
    for (let i = 0; i < width; i++) this.#bytes[at + i] = value >>> (8 * (width - 1 - i));
  }

  long(value: bigint): void {
    const at = this.#room(8);
    new DataView(this.#bytes.buffer).setBigUint64(at, value);
  }

  /** Four bytes of length, and the bytes. */
  part(bytes: Uint8Array): void {
    this.number(4, bytes.length);
    this.raw(bytes);
  }

  get length(): number {
    return this.#length;
  }

  /** Leaves room for four bytes that are known later, and gives where. */
  later(): number {
    return this.#room(4);
  }

  /** Writes what `later` left room for. */
  settle(at: number, value: number): void {
    new DataView(this.#bytes.buffer).setUint32(at, value);
  }

  /** The head of a CBOR item, in its shortest form. */
  head(major: number, argument: number): void {
    const type = major << 5;
    if (argument < 24) {
      this.number(1, type | argument);
      return;
    }
    const power = argument < 0x100 ? 0 : argument < 0x1_0000 ? 1 : 2;
    this.number(1, type | (24 + power));
    this.number(1 << power, argument);
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
