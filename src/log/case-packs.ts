/**
 * Many cases in one file, for who decides many at once: they share its name and its way to the
 * disk. A pack is nothing but records, each SHA-256, length (32 bits, big-endian) and bytes of a
 * case; it only grows, and is left alone once it is large, or a write has failed. A crash may tear
 * its last record, which then no leaf names.
 */
import { hash, randomBytes } from "node:crypto";
import { closeSync, constants, openSync, readdirSync, readSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { nowSeconds } from "../clock.ts";
import { LIMITS } from "../limits.ts";
import { requirePrivate } from "../private.ts";

const EXTENSION = ".cases";
const DIGEST_BYTES = 32;
const HEADER_BYTES = DIGEST_BYTES + 4;
/** What is written is durable when the write returns (open(2), O_DSYNC): one call, not two. */
const NEW_PACK = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_DSYNC;
const PACK_BYTES_MAX = 67_108_864;
/** Names sort by time. */
const TIME_DIGITS = 12;

export interface PackedCase {
  readonly digest: Uint8Array;
  readonly bytes: Uint8Array;
}

export class CasePack {
  readonly #handle: FileHandle;
  readonly #path: string;
  #size = 0;

  private constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  /** A new one. It is durable once its folder is. */
  static async create(folder: string): Promise<CasePack> {
    const time = String(nowSeconds()).padStart(TIME_DIGITS, "0");
    const name = `${time}-${randomBytes(8).toString("hex")}${EXTENSION}`;
    const path = join(folder, name);
    return new CasePack(await open(path, NEW_PACK, 0o600), path);
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
    this.#size += whole.length;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  /** After a failure. Of one that holds nothing nothing stays: a full disk would have as many as tries. */
  async abandon(): Promise<void> {
    await this.#handle.close();
    if (this.#size === 0) await rm(this.#path, { force: true });
  }
}

/** The case of that digest in any pack of the folder; null where there is none. */
export function findPacked(folder: string, digest: Uint8Array): Uint8Array | null {
  for (const record of recordsOf(folder)) {
    if (Buffer.compare(record.digest, digest) === 0) return record.read();
  }
  return null;
}

/** Every case in the packs of the folder that is what its record says. */
export function* packedCases(folder: string): Generator<PackedCase> {
  for (const { digest, read } of recordsOf(folder)) {
    const bytes = read();
    if (bytes === null || Buffer.compare(hash("sha256", bytes, "buffer"), digest) !== 0) continue;
    yield { digest, bytes };
  }
}

interface PackRecord {
  readonly digest: Uint8Array;
  /** Good until the next record is asked for; null where the file ends before. */
  read(): Uint8Array | null;
}

/** The newest pack first. */
function* recordsOf(folder: string): Generator<PackRecord> {
  const packs = readdirSync(folder).filter((name) => name.endsWith(EXTENSION));
  for (const name of packs.sort().reverse()) {
    const path = join(folder, name);
    if (requirePrivate(path, "file") !== null) yield* recordsIn(path);
  }
}

/** What does not look like a record is the torn end. */
function* recordsIn(path: string): Generator<PackRecord> {
  const descriptor = openSync(path, "r");
  const header = Buffer.alloc(HEADER_BYTES);
  try {
    for (let at = 0; readSync(descriptor, header, 0, HEADER_BYTES, at) === HEADER_BYTES; ) {
      const length = header.readUInt32BE(DIGEST_BYTES);
      if (length > LIMITS.caseBytes) return;
      const from = at + HEADER_BYTES;
      const read = (): Uint8Array | null => {
        const bytes = new Uint8Array(length);
        return readSync(descriptor, bytes, 0, length, from) === length ? bytes : null;
      };
      yield { digest: new Uint8Array(header.subarray(0, DIGEST_BYTES)), read };
      at = from + length;
    }
  } finally {
    closeSync(descriptor);
  }
}
