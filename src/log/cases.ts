/**
 * Recorded cases: one file each, named by its SHA-256, or many in a pack (case-packs.ts), mode 0600
 * in a folder of mode 0700. A case holds arguments and environment values, so it is sensitive; the
 * leaf that names it is not. It is durable before the leaf is written: a crash between the two
 * leaves a case that no leaf names, never a leaf whose case is lost.
 */
import { hash, randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { LIMITS } from "../limits.ts";
import { requirePrivate } from "../private.ts";
import { CasePack, findPacked } from "./case-packs.ts";
import { LogError } from "./error.ts";

export class CaseFolder {
  readonly #path: string;
  #pack: CasePack | null = null;

  /** `path` is made on the first write; the folder around it must exist. */
  constructor(path: string) {
    this.#path = resolve(path);
  }

  /**
   * Keeps a case and returns its SHA-256. Writing the same case again is allowed.
   *
   * @throws LogError `log.unwritable`; nothing is left at its name.
   */
  async write(bytes: Uint8Array): Promise<Uint8Array> {
    const digest = digestOf(bytes);
    const file = this.#fileOf(digest);
    const draft = `${file}.${randomBytes(8).toString("hex")}.draft`;
    try {
      if (bytes.length > LIMITS.caseBytes) throw new Error(`a case of ${bytes.length} bytes`);
      await this.#requireFolder();
      await writeDurably(draft, bytes);
      await rename(draft, file);
      await syncFolder(this.#path);
    } catch (cause) {
      await rm(draft, { force: true }).catch((second: unknown) => {
        throw unwritable(file, new AggregateError([cause, second]));
      });
      throw unwritable(file, cause);
    }
    return digest;
  }

  /**
   * Keeps many cases in one pack, at one way to the disk, and returns their SHA-256. One call at a
   * time; close() at the end.
   *
   * @throws LogError `log.unwritable`; some may be there all the same.
   */
  async writeAll(cases: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const packed = cases.map((bytes) => ({ digest: digestOf(bytes), bytes }));
    try {
      this.#pack ??= await this.#newPack();
      await this.#pack.append(packed);
      if (this.#pack.full) await this.close();
    } catch (cause) {
      // Behind a torn record nothing would be found.
      const pack = this.#pack;
      this.#pack = null;
      await pack?.abandon().catch((second: unknown) => {
        throw unwritable(this.#path, new AggregateError([cause, second]));
      });
      throw unwritable(this.#path, cause);
    }
    return packed.map(({ digest }) => digest);
  }

  async #newPack(): Promise<CasePack> {
    await this.#requireFolder();
    const pack = await CasePack.create(this.#path);
    await syncFolder(this.#path);
    return pack;
  }

  async close(): Promise<void> {
    const pack = this.#pack;
    this.#pack = null;
    await pack?.close();
  }

  /**
   * Throws LogError `log.case` where it is absent, open to others, or not what its name promises.
   */
  async read(digest: Uint8Array): Promise<Uint8Array> {
    const file = this.#fileOf(digest);
    const bytes = await privately(file, () => findPacked(this.#path, digest));
    if (Buffer.compare(digestOf(bytes), digest) === 0) return bytes;
    throw new LogError("log.case", `The case ${file} was altered: its digest is not its name.`);
  }

  #fileOf(digest: Uint8Array): string {
    return join(this.#path, `${Buffer.from(digest).toString("hex")}.case`);
  }

  async #requireFolder(): Promise<void> {
    if (requirePrivate(this.#path, "folder") !== null) return;
    try {
      await mkdir(this.#path, { mode: 0o700 });
    } catch (error) {
      // Another process may have made it just now; what it made is checked like any other.
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
    requirePrivate(this.#path, "folder");
    await syncFolder(dirname(this.#path));
  }
}

async function privately(file: string, elsewhere: () => Uint8Array | null): Promise<Uint8Array> {
  try {
    const stats = requirePrivate(file, "file");
    if (stats === null) {
      const found = elsewhere();
      if (found === null) throw new Error("it is absent");
      return found;
    }
    if (stats.size > LIMITS.caseBytes) throw new Error(`it has ${stats.size} bytes`);
    return new Uint8Array(await readFile(file));
  } catch (cause) {
    throw new LogError("log.case", `The case ${file} cannot be read: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, "wx", 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A rename is durable only once its folder is. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function digestOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash("sha256", bytes, "buffer"));
}

function unwritable(file: string, cause: unknown): LogError {
  return new LogError("log.unwritable", `The case ${file} was not kept: ${messageOf(cause)}`, {
    cause,
  });
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
