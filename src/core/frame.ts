/**
 * Frames: what the host writes for the core to read in one pass, and the few heads of CBOR that it
 * needs in them.
 */

// Major types of CBOR, RFC 8949 §3.1.
export const UNSIGNED = 0;
export const BYTES = 2;
export const ARRAY = 4;
export const MAP = 5;

/** Bytes written one behind another; numbers big-endian. */
export class Frame {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  raw(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  /** A number of `width` bytes, at most 4. */
  number(width: number, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value);
    this.raw(bytes.subarray(4 - width));
  }

  long(value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value);
    this.raw(bytes);
  }

  /** Four bytes of length, and the bytes. */
  part(bytes: Uint8Array): void {
    this.number(4, bytes.length);
    this.raw(bytes);
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
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
