/**
 * The contract's writes in SQL. The rules live here; commit and rollback in sqlite.ts.
 */
import type {
  Anchor,
  ClaimRefusal,
  Counters,
  ElementUse,
  Floors,
  ImaPrefix,
  OpenRun,
  Raise,
  StoredHead,
  StoredLeaf,
  Transaction,
} from "./contract.ts";
import { StoreError } from "./contract.ts";
import { clockFloor, higher, isSlow, requireCounters } from "./counters.ts";
import { dropImaPrefixes, keepImaPrefix } from "./ima-prefixes.ts";
import { countersOf, SqliteReader } from "./reader.ts";
import { bytesOf, requireBytes, requireCount } from "./values.ts";

const DIGEST_BYTES = 32;
const NAME_BYTES_MAX = 66;

export class SqliteTransaction extends SqliteReader implements Transaction {
  /** Nobody else writes while this transaction lasts. */
  #held: Floors | null = null;

  protected override floorsRow(): Floors | null {
    this.check();
    this.#held ??= super.floorsRow();
    return this.#held;
  }

  async pinCharter(digest: Uint8Array, number: number): Promise<void> {
    if ((await this.floors()) !== null) {
      throw new StoreError("store.pinned", "A charter is pinned already; it moves only forward.");
    }
    this.sql.run(
      "INSERT INTO floors VALUES (1, ?, ?, 0, NULL, 0)",
      requireBytes(digest, DIGEST_BYTES, "charter digest"),
      requireCount(number, "charter number"),
    );
  }

  async raiseFloors(offered: Floors): Promise<Raise> {
    const held = await this.floors();
    if (held === null) throw new StoreError("store.unpinned", "No charter is pinned yet.");
    requireFloors(offered);
    const pin = compare(
      [held.charterNumber, held.charterDigest],
      [offered.charterNumber, offered.charterDigest],
    );
    const snapshot = compare(
      [held.snapshotVersion, held.snapshotDigest],
      [offered.snapshotVersion, offered.snapshotDigest],
    );
    if (pin === "contradicted" || snapshot === "contradicted") return "contradicted";
    const later = offered.timeSeconds > held.timeSeconds;
    if (pin === "higher" || snapshot === "higher" || later) {
      this.#putFloors({
        ...(pin === "higher" ? offered : held),
        ...(snapshot === "higher" ? snapshotOf(offered) : snapshotOf(held)),
        timeSeconds: Math.max(held.timeSeconds, offered.timeSeconds),
      });
    }
    if (later) {
      this.sql.run("DELETE FROM elements WHERE expires < ?", offered.timeSeconds);
      this.sql.run("DELETE FROM claims WHERE expires < ?", offered.timeSeconds);
    }
    return pin === "lower" || snapshot === "lower" ? "behind" : "raised";
  }

  #putFloors(floors: Floors): void {
    this.#held = null;
    this.sql.run(
      "UPDATE floors SET charter_digest = ?, charter_number = ?, snapshot_version = ?, " +
        "snapshot_digest = ?, time_seconds = ?",
      floors.charterDigest,
      floors.charterNumber,
      floors.snapshotVersion,
      floors.snapshotDigest,
      floors.timeSeconds,
    );
  }

  async raiseCounters(akName: Uint8Array, offered: Counters, seen: number): Promise<Raise> {
    requireCounters(offered);
    const row = this.countersRow(akName);
    if (row === null) {
      this.#putCounters(akName, offered, seen);
      return "raised";
    }
    const held = countersOf(row);
    const before = row.integer("seen_seconds");
    const slow = isSlow({ ...held, seen: before }, { ...offered, seen });
    const session =
      offered.resetCount - held.resetCount || offered.restartCount - held.restartCount;
    const boot = session > 0 ? offered : held;
    const raised = {
      resetCount: boot.resetCount,
      restartCount: boot.restartCount,
      clock: clockFloor(held, offered),
      firmwareVersion: higher(held.firmwareVersion, offered.firmwareVersion),
    };
    // The time belongs to the clock: where that stays, so does this.
    const newer = session > 0 || (session === 0 && offered.clock > held.clock);
    if (!slow) this.#putCounters(akName, raised, newer ? seen : before);
    // An IMA list begins anew at each boot.
    if (!slow && session > 0) dropImaPrefixes(this.sql, akName);
    if (session < 0 || offered.firmwareVersion < held.firmwareVersion) return "behind";
    return slow ? "slow" : "raised";
  }

  async raiseImaPrefix(
    akName: Uint8Array,
    policies: readonly Uint8Array[],
    prefix: ImaPrefix,
  ): Promise<void> {
    const counters = await this.counters(akName);
    if (counters !== null) keepImaPrefix(this.sql, akName, policies, prefix, counters);
  }

  async replaceCounters(akName: Uint8Array, counters: Counters, seen: number): Promise<void> {
    this.check();
    dropImaPrefixes(this.sql, akName);
    this.#putCounters(akName, counters, seen);
  }

  #putCounters(akName: Uint8Array, counters: Counters, seen: number): void {
    requireCounters(counters);
    if (akName.length === 0 || akName.length > NAME_BYTES_MAX) {
      throw new StoreError("store.input", `A TPM Name of ${akName.length} bytes.`);
    }
    this.sql.run(
      "INSERT OR REPLACE INTO counters VALUES (?, ?, ?, ?, ?, ?)",
      akName,
      counters.resetCount,
      counters.restartCount,
      bytesOf(counters.clock, "clock"),
      bytesOf(counters.firmwareVersion, "firmwareVersion"),
      requireCount(seen, "time"),
    );
  }

  async setAnchor(anchor: Anchor | null): Promise<void> {
    this.check();
    if (anchor === null) {
      this.sql.run("DELETE FROM anchor");
      return;
    }
    if (anchor.name.length === 0 || anchor.name.length > NAME_BYTES_MAX) {
      throw new StoreError("store.input", `An NV index Name of ${anchor.name.length} bytes.`);
    }
    this.sql.run(
      "INSERT OR REPLACE INTO anchor VALUES (1, ?, ?, ?, ?, ?, ?)",
      requireCount(anchor.index, "NV index"),
      anchor.name,
      bytesOf(anchor.value, "counter"),
      anchor.announced ? 1 : 0,
      requireCount(anchor.snapshotVersion, "snapshot version"),
      requireCount(anchor.size, "log size"),
    );
  }

  async claimUses(
    request: Uint8Array,
    elements: readonly ElementUse[],
  ): Promise<ClaimRefusal | null> {
    const floors = await this.floors();
    if (floors === null) throw new StoreError("store.unpinned", "No charter is pinned yet.");
    requireBytes(request, DIGEST_BYTES, "request digest");
    requireDistinct(elements);
    if (elements.some((element) => element.expires <= floors.timeSeconds)) return "expired";
    if (this.sql.one("SELECT 1 FROM claims WHERE request = ? LIMIT 1", request)) return "request";
    const uses = await this.uses(elements.map((element) => element.digest));
    if (elements.some((element, place) => (uses[place] ?? element.max) >= element.max)) {
      return "use";
    }
    for (const { digest, expires } of elements) {
      this.sql.run(
        "INSERT INTO elements VALUES (?1, 1, ?2) ON CONFLICT (digest) DO UPDATE " +
          "SET uses = uses + 1, expires = max(expires, ?2)",
        digest,
        expires,
      );
      this.sql.run("INSERT INTO claims VALUES (?, ?, ?)", request, digest, expires);
    }
    return null;
  }

  async openRun(run: OpenRun): Promise<void> {
    this.check();
    const runId = requireBytes(run.runId, DIGEST_BYTES, "run id");
    if (this.sql.one("SELECT 1 FROM runs WHERE run_id = ?", runId)) {
      throw new StoreError("store.input", "That run is open already.");
    }
    this.sql.run(
      "INSERT INTO runs (leaf_index, run_id, owner) VALUES (?, ?, ?)",
      requireCount(run.leafIndex, "leaf index"),
      runId,
      run.owner,
    );
  }

  async closeRun(runId: Uint8Array): Promise<boolean> {
    this.check();
    return this.sql.run("DELETE FROM runs WHERE run_id = ?", runId) === 1;
  }

  async appendLeaves(leaves: readonly StoredLeaf[], frontier: Uint8Array): Promise<void> {
    let { size } = await this.tree();
    for (const { index, bytes, hash } of leaves) {
      if (index !== size) {
        throw new StoreError("store.input", `Leaf ${index} does not follow ${size} leaves.`);
      }
      requireBytes(hash, DIGEST_BYTES, "leaf hash");
      this.sql.run("INSERT INTO leaves VALUES (?, ?, ?)", index, bytes, hash);
      size += 1;
    }
    this.sql.run("UPDATE tree SET size = ?, frontier = ?", size, frontier);
  }

  async putHead(head: StoredHead): Promise<void> {
    const { size } = await this.tree();
    if (head.size !== size) {
      throw new StoreError("store.input", `A head of size ${head.size} over ${size} leaves.`);
    }
    this.sql.run("INSERT INTO heads VALUES (?, ?)", head.size, head.note);
  }
}

const snapshotOf = ({ snapshotVersion, snapshotDigest }: Floors) => ({
  snapshotVersion,
  snapshotDigest,
});

function requireFloors(floors: Floors): void {
  requireBytes(floors.charterDigest, DIGEST_BYTES, "charter digest");
  requireCount(floors.charterNumber, "charter number");
  requireCount(floors.snapshotVersion, "snapshot version");
  requireCount(floors.timeSeconds, "time");
  const { snapshotDigest } = floors;
  if ((snapshotDigest === null) !== (floors.snapshotVersion === 0)) {
    throw new StoreError("store.input", "A snapshot digest is null exactly for version 0.");
  }
  if (snapshotDigest !== null) requireBytes(snapshotDigest, DIGEST_BYTES, "snapshot digest");
}

type Numbered = readonly [number: number, digest: Uint8Array | null];

function compare(held: Numbered, offered: Numbered): "higher" | "equal" | "lower" | "contradicted" {
  if (offered[0] > held[0]) return "higher";
  if (offered[0] < held[0]) return "lower";
  if (held[1] === null || offered[1] === null) {
    return held[1] === offered[1] ? "equal" : "contradicted";
  }
  return Buffer.compare(held[1], offered[1]) === 0 ? "equal" : "contradicted";
}

/**
 * Nothing to claim would be a claim that always succeeds; one element twice would be checked once
 * and counted twice.
 */
function requireDistinct(elements: readonly ElementUse[]): void {
  if (elements.length === 0) throw new StoreError("store.input", "No element to claim.");
  const seen = new Set<string>();
  for (const { digest, max, expires } of elements) {
    seen.add(Buffer.from(requireBytes(digest, DIGEST_BYTES, "element digest")).toString("hex"));
    requireCount(max, "maximum of uses");
    requireCount(expires, "expiry");
  }
  if (seen.size !== elements.length) {
    throw new StoreError("store.input", "One element is claimed twice in one request.");
  }
}
