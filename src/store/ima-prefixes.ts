/** IMA prefixes in SQL: what was proven of the list of each machine, under each set of policies. */
import { type Counters, type ImaPrefix, StoreError } from "./contract.ts";
import type { Sql } from "./sql.ts";
import { requireBytes, requireCount } from "./values.ts";

/** Sets of policies that a machine is judged by between two boots; beyond them whole lists travel. */
const PREFIXES_MAX = 16;

export function findImaPrefix(
  sql: Sql,
  akName: Uint8Array,
  policies: readonly Uint8Array[],
): ImaPrefix | null {
  const row = sql.one(
    "SELECT * FROM ima_prefixes WHERE ak_name = ? AND policies = ?",
    akName,
    joinDigests(policies),
  );
  if (row === null) return null;
  return {
    resetCount: row.integer("reset_count"),
    restartCount: row.integer("restart_count"),
    entries: row.integer("entries"),
    values: splitValues(row.bytes("register_values")),
  };
}

/** Keeps a prefix of the boot session of these counters, where it has more entries than what is held. */
export function keepImaPrefix(
  sql: Sql,
  akName: Uint8Array,
  policies: readonly Uint8Array[],
  prefix: ImaPrefix,
  { resetCount, restartCount }: Counters,
): void {
  if (prefix.resetCount !== resetCount || prefix.restartCount !== restartCount) return;
  const held = findImaPrefix(sql, akName, policies);
  if (held !== null && held.entries >= requireCount(prefix.entries, "number of entries")) return;
  sql.run(
    "INSERT OR REPLACE INTO ima_prefixes VALUES (?, ?, ?, ?, ?, ?)",
    akName,
    joinDigests(policies),
    resetCount,
    restartCount,
    prefix.entries,
    joinValues(prefix.values),
  );
  sql.run(
    "DELETE FROM ima_prefixes WHERE ak_name = ?1 AND policies NOT IN " +
      "(SELECT policies FROM ima_prefixes WHERE ak_name = ?1 ORDER BY entries DESC LIMIT ?2)",
    akName,
    PREFIXES_MAX,
  );
}

export function dropImaPrefixes(sql: Sql, akName: Uint8Array): void {
  sql.run("DELETE FROM ima_prefixes WHERE ak_name = ?", akName);
}

const DIGEST_BYTES = 32;

/** Digests of a set, sorted: one key for each set. */
function joinDigests(digests: readonly Uint8Array[]): Uint8Array {
  const all = digests.map((digest) => requireBytes(digest, DIGEST_BYTES, "policy digest"));
  return Buffer.concat(all.toSorted((a, b) => Buffer.compare(a, b)));
}

const VALUE_BYTES: readonly number[] = [20, 32, 48, 64];

/** Values of PCRs, each with its length before it. */
function joinValues(values: readonly Uint8Array[]): Uint8Array {
  const parts = values.flatMap((value) => {
    if (VALUE_BYTES.includes(value.length)) return [Uint8Array.of(value.length), value];
    throw new StoreError("store.input", `A PCR has ${value.length} bytes in no bank.`);
  });
  return Buffer.concat(parts);
}

/** Inverse of joinValues. */
function splitValues(bytes: Uint8Array): Uint8Array[] {
  const values: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 1 + (bytes[at] ?? 0)) {
    const value = bytes.slice(at + 1, at + 1 + (bytes[at] ?? 0));
    if (value.length === bytes[at] && VALUE_BYTES.includes(value.length)) values.push(value);
    else throw new StoreError("store.corrupt", "The store holds a PCR value of no bank.");
  }
  return values;
}
