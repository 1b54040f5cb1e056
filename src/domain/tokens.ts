/** Tokens of a plane's operators, one private file each in tokens/; the secret's hash is in it. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { LIMITS } from "../limits.ts";
import { decode, encode } from "../wire/cbor.ts";
import { bytes, choice, flag, list, type Of, time, tuple } from "../wire/schema.ts";
import { ident } from "../wire/shapes.ts";
import { DomainError } from "./error.ts";
import { createFile, makeFolder, namesIn, readBounded, syncFolder } from "./files.ts";

const record = tuple({
  role: choice({ view: 0, operate: 1, enroll: 2 }),
  labels: list(ident, { max: LIMITS.labels }),
  replace: flag,
  expires: time,
  secretHash: bytes([32]),
});
export type StoredToken = Of<typeof record> & { readonly id: string };

const BYTES_MAX = 8_192;

export class TokenFolder {
  readonly #path: string;

  constructor(home: string) {
    this.#path = join(home, "tokens");
  }

  #fileOf(id: string): string {
    return join(this.#path, `${id}.token`);
  }

  async add({ id, ...stored }: StoredToken): Promise<void> {
    await makeFolder(this.#path);
    const made = await createFile(this.#fileOf(id), encode(record.encode(stored, "token")));
    if (!made) throw new DomainError("domain.exists", `There is a token ${id} already.`);
  }

  /** Null where there is none. `id`: 16 hexadecimal digits. */
  async find(id: string): Promise<StoredToken | null> {
    if (!/^[0-9a-f]{16}$/.test(id)) return null;
    const stored = await readBounded(this.#fileOf(id), BYTES_MAX);
    if (stored === null) return null;
    try {
      return { id, ...record.decode(decode(stored), "token") };
    } catch (cause) {
      throw new DomainError("domain.malformed", `${this.#fileOf(id)} is damaged.`, { cause });
    }
  }

  async all(): Promise<StoredToken[]> {
    const found: StoredToken[] = [];
    for (const name of await namesIn(this.#path)) {
      const token = await this.find(name.replace(/\.token$/, ""));
      if (token !== null) found.push(token);
    }
    return found;
  }

  /** False where there is none. */
  async remove(id: string): Promise<boolean> {
    if ((await this.find(id)) === null) return false;
    await rm(this.#fileOf(id));
    await syncFolder(this.#path);
    return true;
  }
}
