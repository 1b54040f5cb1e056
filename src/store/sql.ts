/** SQL with prepared statements, typed values and our errors. */
import {
  DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from "node:sqlite";
import { pathToFileURL } from "node:url";
import { StoreError, type StoreErrorCode } from "./contract.ts";

/**
 * How long SQLite itself sleeps on a locked file, blocking the thread; beyond it we wait
 * asynchronously.
 */
const BLOCKING_MS = 20;

/** One row; every value is checked when it is read, since the file may have been altered. */
export class Row {
  readonly #values: Record<string, SQLOutputValue>;

  constructor(values: Record<string, SQLOutputValue>) {
    this.#values = values;
  }

  integer(column: string): number {
    const value = this.#values[column];
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    throw corrupt(`${column} is no unsigned integer`);
  }

  text(column: string): string {
    const value = this.#values[column];
    if (typeof value === "string") return value;
    throw corrupt(`${column} is no text`);
  }

  bytes(column: string, size?: number): Uint8Array {
    const value = this.#values[column];
    if (value instanceof Uint8Array && (size === undefined || value.length === size)) return value;
    throw corrupt(size === undefined ? `${column} is no blob` : `${column} is no blob of ${size}`);
  }

  bytesOrNull(column: string, size: number): Uint8Array | null {
    return this.#values[column] === null ? null : this.bytes(column, size);
  }
}

function corrupt(what: string): StoreError {
  return new StoreError(
    "store.corrupt",
    `The store holds a value that was never written: ${what}.`,
  );
}

/** A connection. Every method throws StoreError, with SQLite's own error as the cause. */
export class Sql {
  readonly #path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string) {
    this.#path = path;
    const url = pathToFileURL(path);
    url.searchParams.set("mode", "rw"); // never create: an empty ledger would give every use back
    this.#database = guarded(path, () => new DatabaseSync(url, { timeout: BLOCKING_MS }));
  }

  /** SQL without results or parameters. */
  execute(sql: string): void {
    guarded(this.#path, () => this.#database.exec(sql));
  }

  /** Returns the number of rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return guarded(this.#path, () => Number(this.#prepare(sql).run(...values).changes));
  }

  one(sql: string, ...values: SQLInputValue[]): Row | null {
    const row = guarded(this.#path, () => this.#prepare(sql).get(...values));
    return row === undefined ? null : new Row(row);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    const rows = guarded(this.#path, () => this.#prepare(sql).all(...values));
    return rows.map((row) => new Row(row));
  }

  /**
   * Reads of one moment. Each by itself would take a lock of the file and give it back, which costs
   * more than the read.
   */
  together<T>(read: () => T): T {
    if (this.inTransaction) return read();
    this.run("BEGIN");
    try {
      return read();
    } finally {
      this.run("COMMIT");
    }
  }

  /** Whether a transaction is open. */
  get inTransaction(): boolean {
    return this.#database.isTransaction;
  }

  close(): void {
    this.#statements.clear();
    guarded(this.#path, () => this.#database.close());
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

/**
 * SQLite's primary result codes (https://www.sqlite.org/rescode.html), and what to say for each.
 */
const RESULTS: { readonly [code: number]: readonly [StoreErrorCode, string] } = {
  5: ["store.busy", "is held by another process"],
  6: ["store.busy", "is held by another connection"],
  8: ["store.readonly", "cannot be written: check its permissions and how its disk is mounted"],
  10: ["store.failed", "could not be read or written: check its disk"],
  11: ["store.corrupt", "is damaged: restore it from a backup"],
  13: ["store.full", "cannot grow: its disk or quota is full"],
  14: ["store.failed", "cannot be opened: check its folder and its permissions"],
  26: ["store.corrupt", "is no SQLite database: restore it from a backup"],
};

function guarded<T>(path: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    const code = resultCode(cause);
    const [kind, what] = (code === null ? undefined : RESULTS[code & 0xff]) ?? [
      "store.failed" as const,
      "could not be used",
    ];
    const detail = cause instanceof Error ? cause.message : String(cause);
    const number = code === null ? "" : `, SQLite result ${code}`;
    throw new StoreError(kind, `The store ${path} ${what} (${detail}${number}).`, { cause });
  }
}

function resultCode(cause: unknown): number | null {
  if (!(cause instanceof Error) || !("errcode" in cause)) return null;
  return typeof cause.errcode === "number" ? cause.errcode : null;
}
