/**
 * Many cases in one file, for who decides many at once: they share its name and its way to the
 * disk. A pack is nothing but records, each SHA-256, length (32 bits, big-endian) and bytes of a
 * case; it only grows, and is left alone once it is large, or a write has failed. A crash may tear
 * its last record, which then no leaf names.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readdirSync, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { nowSeconds } from "../clock.ts";
import { LIMITS } from "../limits.ts";
import { requirePrivate } from "../private.ts";

const EXTENSION = ".cases";
const DIGEST_BYTES = 32;
const HEADER_BYTES = DIGEST_BYTES + 4;
const PACK_BYTES_MAX = 67_108_864;
/** Names sort by time. */
const TIME_DIGITS = 12;

export interface PackedCase {
  readonly digest: Uint8Array;
  readonly bytes: Uint8Array;
}

export class CasePack {
  readonly #handle: FileHandle;
  #size = 0;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** A new one. It is durable once its folder is. */
  static async create(folder: string): Promise<CasePack> {
    const time = String(nowSeconds()).padStart(TIME_DIGITS, "0");
    const name = `${time}-${randomBytes(8).toString("hex")}${EXTENSION}`;
    return new CasePack(await open(join(folder, name), "wx", 0o600));
  }

  get full(): boolean {
    return this.#size >= PACK_BYTES_MAX;
  }

  /** All of them are durable then. After a failure the pack must not be used any more. */
  async append(cases: readonly PackedCase[]): Promise<void> {
    const parts = cases.flatMap(({ digest, bytes }) => {
      if (bytes.length > LIMITS.caseBytes) throw new Error(`a case of ${bytes.length} bytes`);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [digest, length, bytes];
    });
    const whole = Buffer.concat(parts);
    await this.#handle.appendFile(whole);
    await this.#handle.datasync();
    this.#size += whole.length;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** The case of that digest in any pack of the folder, the newest first; null where there is none. */
export function findPacked(folder: string, digest: Uint8Array): Uint8Array | null {
  const packs = readdirSync(folder).filter((name) => name.endsWith(EXTENSION));
  for (const name of packs.sort().reverse()) {
    const path = join(folder, name);
    if (requirePrivate(path, "file") === null) continue;
    const found = findIn(path, digest);
    if (found !== null) return found;
  }
  return null;
}

/** What does not look like a record is the torn end. */
function findIn(path: string, digest: Uint8Array): Uint8Array | null {
  const descriptor = openSync(path, "r");
  const header = Buffer.alloc(HEADER_BYTES);
  try {
    for (let at = 0; ; ) {
      if (readSync(descriptor, header, 0, HEADER_BYTES, at) < HEADER_BYTES) return null;
      const length = header.readUInt32BE(DIGEST_BYTES);
      if (length > LIMITS.caseBytes) return null;
      at += HEADER_BYTES;
      if (header.compare(digest, 0, DIGEST_BYTES, 0, DIGEST_BYTES) === 0) {
        const bytes = new Uint8Array(length);
        return readSync(descriptor, bytes, 0, length, at) === length ? bytes : null;
      }
      at += length;
    }
  } finally {
    closeSync(descriptor);
  }
}
