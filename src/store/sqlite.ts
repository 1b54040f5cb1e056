/**
 * The contract over node:sqlite, for one machine: any number of processes share the file.
 *
 * journal_mode=WAL with synchronous=FULL: a commit appends to the write-ahead log and fsyncs it
 * before it returns, so it survives loss of power
 * (https://www.sqlite.org/pragma.html#pragma_synchronous: with NORMAL a WAL commit might roll
 * back). A rollback journal needs EXTRA for the same, since the commit there is the deletion of a
 * directory entry, and costs four fsyncs instead of one. WAL also lets an auditor read while a gate
 * writes. Its price: the state is the file together with its -wal; use `backup` for a copy, never
 * cp.
 *
 * Trusted: the file, for what one machine's owner cannot be kept from (DESIGN.md §9). Not trusted
 * to be well-formed: every value is checked as it is read.
 */
import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, rmSync, type Stats } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { monotonicMs } from "../clock.ts";
import { PrivateError, requirePrivate } from "../private.ts";
import { type Store, StoreError, type Transaction } from "./contract.ts";
import { SqliteReader } from "./reader.ts";
import { APPLICATION_ID, MIGRATIONS, SCHEMA, SCHEMA_VERSION } from "./schema.ts";
import { Sql } from "./sql.ts";
import { SqliteTransaction } from "./transaction.ts";

/** How long a transaction waits for other processes before it rejects with `store.busy`. */
const BUSY_MS_MAX = 5_000;
const RETRY_MS = 2;
/** The earliest schema that leads to this one. */
const OLDEST_VERSION = 2;
/** PRAGMA synchronous as a number. */
const FULL = 2;

export interface SqliteOptions {
  /** Default 5,000; a gate's permission lasts 10 s. */
  readonly busyMs?: number;
}

/**
 * Creates an empty store at `path` and its folder (0700) if need be. It appears whole or not at
 * all.
 *
 * @throws StoreError `store.exists` where something lies at `path`, `store.private`, or why it
 * could not be written.
 */
export function createSqliteStore(path: string): void {
  const file = resolve(path);
  const folder = dirname(file);
  onDisk(`create ${folder}`, () => mkdirSync(folder, { recursive: true, mode: 0o700 }));
  privately(folder, "folder");
  const draft = join(folder, `.${basename(file)}.${randomBytes(8).toString("hex")}`);
  try {
    onDisk(`create ${draft}`, () => closeSync(openSync(draft, "wx", 0o600)));
    const sql = new Sql(draft);
    try {
      sql.execute(
        `PRAGMA synchronous = EXTRA; BEGIN; ${SCHEMA} COMMIT; PRAGMA journal_mode = WAL;`,
      );
    } finally {
      sql.close();
    }
    publish(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * A link never replaces what is there: of two processes that create the store, one is told that it
 * exists.
 */
function publish(draft: string, file: string): void {
  try {
    linkSync(draft, file);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "EEXIST") {
      throw new StoreError("store.exists", `There is something at ${file} already.`, { cause });
    }
    throw new StoreError("store.failed", `Could not create ${file}: ${String(cause)}.`, { cause });
  }
  syncFolder(dirname(file));
}

/**
 * Opens the store at `path`. A missing one is an error, never an empty one: else deleting the
 * ledger would give every use back.
 *
 * @throws StoreError `store.missing`, `store.private`, `store.newer`, `store.corrupt`, or why it
 * cannot be read.
 */
export function openSqliteStore(path: string, options?: SqliteOptions): SqliteStore {
  return new SqliteStore(resolve(path), options?.busyMs ?? BUSY_MS_MAX);
}

export class SqliteStore extends SqliteReader implements Store {
  readonly #path: string;
  readonly #busyMs: number;
  readonly #identity: string;
  #state: "open" | "broken" | "closed" = "open";
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string, busyMs: number) {
    const stats = requireStore(path);
    super(new Sql(path), () => this.#check());
    this.#path = path;
    this.#busyMs = busyMs;
    this.#identity = identityOf(stats);
    try {
      this.#prepare();
    } catch (error) {
      this.sql.close();
      throw error;
    }
  }

  #prepare(): void {
    requireSchema(this.sql, this.#path);
    this.sql.execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON");
    this.sql.execute("PRAGMA synchronous = FULL");
    const mode = this.sql.one("PRAGMA journal_mode = WAL")?.text("journal_mode");
    const level = this.sql.one("PRAGMA synchronous")?.integer("synchronous");
    if (mode === "wal" && level === FULL) return;
    throw new StoreError(
      "store.failed",
      `${this.#path} would not be durable: journal mode ${mode}, synchronous ${level}.`,
    );
  }

  async transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    // One connection holds one transaction: those of this process queue here, in the order of their
    // calls.
    const turn = this.#last.then(() => this.#transact(work));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    this.#check();
    await this.#begin();
    let live = true;
    const transaction = new SqliteTransaction(this.sql, () => {
      if (!live) throw new StoreError("store.closed", "That transaction has ended.");
    });
    try {
      const result = await work(transaction);
      this.#requireSameFile();
      this.sql.execute("COMMIT");
      return result;
    } catch (error) {
      this.#rollback(error);
      throw error;
    } finally {
      live = false;
    }
  }

  /**
   * IMMEDIATE takes the write lock first: a transaction never reads what another is about to
   * change.
   */
  async #begin(): Promise<void> {
    const deadline = monotonicMs() + this.#busyMs;
    for (;;) {
      try {
        this.sql.execute("BEGIN IMMEDIATE");
        return;
      } catch (error) {
        const busy = error instanceof StoreError && error.code === "store.busy";
        if (!busy || monotonicMs() >= deadline) throw error;
      }
      await sleep(RETRY_MS);
    }
  }

  /**
   * Where even the rollback fails, what the connection holds is unknown, and it serves nobody any
   * more.
   */
  #rollback(because: unknown): void {
    if (!this.sql.inTransaction) return;
    try {
      this.sql.execute("ROLLBACK");
    } catch (error) {
      this.#state = "broken";
      throw new StoreError("store.failed", `The store ${this.#path} could not roll back.`, {
        cause: new AggregateError([because, error]),
      });
    }
  }

  /**
   * A file that was replaced or removed while open still takes writes, which nobody would ever read
   * again: a use claimed there is a use that can be claimed once more.
   */
  #requireSameFile(): void {
    if (identityOf(requireStore(this.#path)) === this.#identity) return;
    throw new StoreError("store.moved", `Another file lies at ${this.#path} since it was opened.`);
  }

  #check(): void {
    if (this.#state === "open") return;
    throw new StoreError("store.closed", `The store ${this.#path} is ${this.#state}.`);
  }

  /**
   * Writes a consistent copy to `path`, which must not exist, and makes it durable; or leaves
   * nothing there.
   */
  async backup(path: string): Promise<void> {
    this.#check();
    const file = resolve(path);
    onDisk(`create ${file}`, () => closeSync(openSync(file, "wx", 0o600)));
    try {
      this.sql.run("VACUUM INTO ?", file);
      onDisk(`sync ${file}`, () => syncPath(file));
      syncFolder(dirname(file));
    } catch (error) {
      rmSync(file, { force: true });
      throw error;
    }
  }

  /** Waits for transactions under way, then closes. A second call does nothing. */
  async close(): Promise<void> {
    await this.#last;
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.sql.close();
  }
}

function requireStore(path: string): Stats {
  privately(dirname(path), "folder");
  for (const side of ["-wal", "-shm"]) privately(path + side, "file");
  const stats = privately(path, "file");
  if (stats !== null) return stats;
  throw new StoreError(
    "store.missing",
    `There is no store at ${path}: check --home, restore a backup, or set up with \`portcullis init\`.`,
  );
}

function requireSchema(sql: Sql, path: string): void {
  const id = sql.one("PRAGMA application_id")?.integer("application_id");
  if (id !== APPLICATION_ID) {
    throw new StoreError("store.corrupt", `${path} is no store of Portcullis: check --home.`);
  }
  const version = versionOf(sql);
  if (version > SCHEMA_VERSION) {
    throw new StoreError(
      "store.newer",
      `${path} was written by a newer Portcullis (schema ${version}, this one knows ` +
        `${SCHEMA_VERSION}): upgrade this one.`,
    );
  }
  if (version < OLDEST_VERSION) {
    throw new StoreError(
      "store.corrupt",
      `${path} has schema ${version}, which was never released.`,
    );
  }
  if (version < SCHEMA_VERSION) migrate(sql);
}

const versionOf = (sql: Sql): number =>
  sql.one("PRAGMA user_version")?.integer("user_version") ?? 0;

/**
 * Leads a store of an earlier version to this one: all of it or nothing. Of two processes that try,
 * the second finds it done.
 */
function migrate(sql: Sql): void {
  sql.execute("PRAGMA synchronous = FULL; BEGIN IMMEDIATE");
  try {
    for (let version = versionOf(sql); version < SCHEMA_VERSION; version++) {
      sql.execute(`${MIGRATIONS[version] ?? ""} PRAGMA user_version = ${version + 1}`);
    }
    sql.execute("COMMIT");
  } catch (error) {
    if (sql.inTransaction) sql.execute("ROLLBACK");
    throw error;
  }
}

function identityOf(stats: Stats): string {
  return `${stats.dev}:${stats.ino}`;
}

function privately(path: string, kind: "file" | "folder"): Stats | null {
  try {
    return requirePrivate(path, kind);
  } catch (cause) {
    if (!(cause instanceof PrivateError)) throw cause;
    throw new StoreError("store.private", cause.message, { cause });
  }
}

function onDisk<T>(what: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    throw new StoreError("store.failed", `Could not ${what}: ${String(cause)}.`, { cause });
  }
}

function syncFolder(path: string): void {
  onDisk(`sync ${path}`, () => syncPath(path));
}

function syncPath(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
