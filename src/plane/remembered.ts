/**
 * What was read from bytes that come again and again, found by all of these bytes. Nothing of it is
 * verified, as nothing of the bytes is.
 */

/** Beyond it the one read longest ago is forgotten: anyone may send anything. */
const ENTRIES_MAX = 4_096;
/** Longer ones are read each time. */
const BYTES_MAX = 2_048;

export class Remembered<T> {
  readonly #read: (bytes: Uint8Array) => T;
  readonly #known = new Map<string, T>();

  constructor(read: (bytes: Uint8Array) => T) {
    this.#read = read;
  }

  of(bytes: Uint8Array): T {
    if (bytes.length > BYTES_MAX) return this.#read(bytes);
    const { buffer, byteOffset, byteLength } = bytes;
    const key = Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const read = this.#read(bytes);
    this.#known.set(key, read);
    if (this.#known.size > ENTRIES_MAX) {
      const [oldest] = this.#known.keys();
      if (oldest !== undefined) this.#known.delete(oldest);
    }
    return read;
  }
}
