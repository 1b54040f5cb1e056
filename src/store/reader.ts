/** The contract's reads in SQL. */
import type {
  Anchor,
  Counters,
  Floors,
  ImaPrefix,
  OpenRun,
  StoredHead,
  StoredLeaf,
  StoredSubject,
  StoredTree,
  StoreReader,
} from "./contract.ts";
import { StoreError } from "./contract.ts";
import { findImaPrefix } from "./ima-prefixes.ts";
import type { Row, Sql } from "./sql.ts";
import { bigintOf, requireCount } from "./values.ts";

const DIGEST_BYTES = 32;
const PAGE_MAX = 10_000;

/** Reads of the last commit, or inside a transaction of what it wrote. */
export class SqliteReader implements StoreReader {
  protected readonly sql: Sql;
  /** Throws where the store must not be used any more. */
  protected readonly check: () => void;

  constructor(sql: Sql, check: () => void) {
    this.sql = sql;
    this.check = check;
  }

  async floors(): Promise<Floors | null> {
    return this.floorsRow();
  }

  protected floorsRow(): Floors | null {
    this.check();
    const row = this.sql.one("SELECT * FROM floors");
    if (row === null) return null;
    return {
      charterDigest: row.bytes("charter_digest", DIGEST_BYTES),
      charterNumber: row.integer("charter_number"),
      snapshotVersion: row.integer("snapshot_version"),
      snapshotDigest: row.bytesOrNull("snapshot_digest", DIGEST_BYTES),
      timeSeconds: row.integer("time_seconds"),
    };
  }

  async counters(akName: Uint8Array): Promise<Counters | null> {
    return this.#counters(akName);
  }

  #counters(akName: Uint8Array): Counters | null {
    const row = this.countersRow(akName);
    return row && countersOf(row);
  }

  protected countersRow(akName: Uint8Array): Row | null {
    this.check();
    return this.sql.one("SELECT * FROM counters WHERE ak_name = ?", akName);
  }

  async anchor(): Promise<Anchor | null> {
    this.check();
    const row = this.sql.one("SELECT * FROM anchor");
    if (row === null) return null;
    return {
      index: row.integer("nv_index"),
      name: row.bytes("nv_name"),
      value: bigintOf(row.bytes("value", 8)),
      announced: row.integer("announced") === 1,
      snapshotVersion: row.integer("snapshot_version"),
      size: row.integer("size"),
    };
  }

  async imaPrefix(akName: Uint8Array, policies: readonly Uint8Array[]): Promise<ImaPrefix | null> {
    this.check();
    return findImaPrefix(this.sql, akName, policies);
  }

  async uses(digests: readonly Uint8Array[]): Promise<number[]> {
    return this.#uses(digests);
  }

  async holdings(subjects: readonly StoredSubject[]) {
    return this.sql.together(() => ({
      floors: this.floorsRow(),
      holdings: subjects.map(({ akName, elements }) => ({
        counters: this.#counters(akName),
        uses: this.#uses(elements),
      })),
    }));
  }

  #uses(digests: readonly Uint8Array[]): number[] {
    this.check();
    return digests.map((digest) => {
      const row = this.sql.one("SELECT uses FROM elements WHERE digest = ?", digest);
      return row === null ? 0 : row.integer("uses");
    });
  }

  async openRuns(): Promise<OpenRun[]> {
    this.check();
    return this.sql.all("SELECT * FROM runs ORDER BY leaf_index").map((row) => ({
      runId: row.bytes("run_id", DIGEST_BYTES),
      leafIndex: row.integer("leaf_index"),
      owner: row.text("owner"),
    }));
  }

  async tree(): Promise<StoredTree> {
    this.check();
    const row = this.sql.one("SELECT size, frontier FROM tree");
    if (row === null) throw new StoreError("store.corrupt", "The store has lost the log's state.");
    return { size: row.integer("size"), frontier: row.bytes("frontier") };
  }

  async leaves(from: number, count: number): Promise<StoredLeaf[]> {
    this.check();
    const rows = this.sql.all(
      "SELECT * FROM leaves WHERE leaf_index >= ? ORDER BY leaf_index LIMIT ?",
      requireCount(from, "from"),
      Math.min(requireCount(count, "count"), PAGE_MAX),
    );
    return rows.map((row) => ({
      index: row.integer("leaf_index"),
      bytes: row.bytes("bytes"),
      hash: row.bytes("hash", DIGEST_BYTES),
    }));
  }

  async heads(from: number, count: number): Promise<StoredHead[]> {
    this.check();
    const rows = this.sql.all(
      "SELECT * FROM heads WHERE size >= ? ORDER BY size LIMIT ?",
      requireCount(from, "from"),
      Math.min(requireCount(count, "count"), PAGE_MAX),
    );
    return rows.map(headOf);
  }

  async lastHead(): Promise<StoredHead | null> {
    this.check();
    const row = this.sql.one("SELECT * FROM heads ORDER BY size DESC LIMIT 1");
    return row === null ? null : headOf(row);
  }
}

export function countersOf(row: Row): Counters {
  return {
    resetCount: row.integer("reset_count"),
    restartCount: row.integer("restart_count"),
    clock: bigintOf(row.bytes("clock", 8)),
    firmwareVersion: bigintOf(row.bytes("firmware_version", 8)),
  };
}

function headOf(row: Row): StoredHead {
  return { size: row.integer("size"), note: row.bytes("note") };
}
