/**
 * Frames: what the host writes for the core to read in one pass, and the few heads of CBOR that it
 * needs in them.
 */
import { CoreError } from "./errors.ts";
import type { Exports } from "./instance.ts";

// Major types of CBOR, RFC 8949 §3.1.
export const UNSIGNED = 0;
export const BYTES = 2;
export const ARRAY = 4;
export const MAP = 5;

/** Bytes written one behind another into the core's input region; numbers big-endian. */
export class Frame {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #length = 0;

  constructor(core: Exports) {
    this.#bytes = new Uint8Array(core.memory.buffer, core.input(), core.inputBytes());
    this.#view = new DataView(core.memory.buffer, core.input(), core.inputBytes());
  }

  /**
   * Room for so many more bytes; gives where they begin.
   *
   * @throws CoreError `input` when there is none.
   */
  #room(more: number): number {
    const at = this.#length;
    if (more > this.#bytes.length - at) {
      throw new CoreError("input", `The input is larger than ${this.#bytes.length} bytes.`);
    }
    this.#length += more;
    return at;
  }

  raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#room(bytes.length));
  }

  number(width: 1 | 2 | 4, value: number): void {
    const at = this.#room(width);
    if (width === 1) this.#bytes[at] = value;
    else if (width === 2) this.#view.setUint16(at, value);
    else this.#view.setUint32(at, value);
  }

  long(value: bigint): void {
    this.#view.setBigUint64(this.#room(8), value);
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
    this.#view.setUint32(at, value);
  }

  /** The head of a CBOR item, in its shortest form. */
  head(major: number, argument: number): void {
    const type = major << 5;
    if (argument < 24) {
      this.number(1, type | argument);
      return;
    }
    const width = argument < 0x100 ? 1 : argument < 0x1_0000 ? 2 : 4;
    this.number(1, type | (24 + (width >> 1)));
    this.number(width, argument);
  }
}
