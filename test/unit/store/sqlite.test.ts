import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Transaction } from "../../../src/store/contract.ts";
import { createSqliteStore, openSqliteStore } from "../../../src/store/sqlite.ts";
import { CHARTER, digest, FLOORS, type Home, makeHome } from "../../support/journal.ts";

let home: Home;
beforeEach(async () => {
  home = await makeHome();
});
afterEach(() => home.remove());

const modeOf = (path: string) => statSync(path).mode & 0o777;
const failing = (code: string) => expect.objectContaining({ code, name: "StoreError" });

describe("files", () => {
  test("folder 0700, every file 0600, no draft left", () => {
    expect(modeOf(home.path)).toBe(0o700);
    for (const name of readdirSync(home.path)) expect(modeOf(join(home.path, name))).toBe(0o600);
    expect(readdirSync(home.path).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("the folder is made, closed to others, whatever the umask", () => {
    const before = process.umask(0);
    try {
      const file = join(home.path, "a/b/state.db");
      createSqliteStore(file);
      expect(modeOf(join(home.path, "a/b"))).toBe(0o700);
      expect(modeOf(file)).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  test.each(["state.db", "state.db-wal", "state.db-shm"])(
    "%s open to others is refused",
    (name) => {
      chmodSync(join(home.path, name), 0o640);
      expect(() => openSqliteStore(home.file)).toThrow(failing("store.private"));
      expect(() => openSqliteStore(home.file)).toThrow(`chmod 600 ${join(home.path, name)}`);
    },
  );

  test("a folder open to others is refused", () => {
    chmodSync(home.path, 0o750);
    expect(() => openSqliteStore(home.file)).toThrow(`chmod 700 ${home.path}`);
    expect(() => createSqliteStore(join(home.path, "other.db"))).toThrow(failing("store.private"));
  });

  test.skipIf(process.geteuid?.() !== 0)("another user's file is refused", async () => {
    const { chownSync } = await import("node:fs");
    chownSync(home.file, 65_534, 65_534);
    expect(() => openSqliteStore(home.file)).toThrow(/belongs to user 65534/);
  });

  test("a symbolic link is refused", () => {
    const link = join(home.path, "link.db");
    symlinkSync(home.file, link);
    expect(() => openSqliteStore(link)).toThrow(/is not a file/);
  });

  test("a folder at its place is refused", () => {
    mkdirSync(join(home.path, "folder.db"), { mode: 0o700 });
    expect(() => openSqliteStore(join(home.path, "folder.db"))).toThrow(failing("store.private"));
  });

  test("a missing store is an error, never an empty one", () => {
    const file = join(home.path, "gone.db");
    expect(() => openSqliteStore(file)).toThrow(failing("store.missing"));
    expect(readdirSync(home.path)).not.toContain("gone.db");
  });

  test("an existing one is never replaced", async () => {
    expect(() => createSqliteStore(home.file)).toThrow(failing("store.exists"));
    expect((await home.store.floors())?.charterDigest).toEqual(CHARTER);
    expect(readdirSync(home.path).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("a folder that cannot be made", () => {
    expect(() => createSqliteStore(join(home.file, "state.db"))).toThrow(failing("store.failed"));
  });
});

describe("what is not a store of this version", () => {
  const other = (fill: (database: DatabaseSync) => void): string => {
    const file = join(home.path, "other.db");
    writeFileSync(file, "", { mode: 0o600 });
    const database = new DatabaseSync(file);
    fill(database);
    database.close();
    return file;
  };

  test("a newer schema", async () => {
    const file = join(home.path, "newer.db");
    await home.store.backup(file);
    const database = new DatabaseSync(file);
    database.exec("PRAGMA user_version = 7");
    database.close();
    expect(() => openSqliteStore(file)).toThrow(failing("store.newer"));
    expect(() => openSqliteStore(file)).toThrow(/schema 7, this one knows 3.*upgrade/);
  });

  test("an earlier schema is led to this one, whoever comes first, and keeps what it held", async () => {
    const file = join(home.path, "earlier.db");
    await home.store.backup(file);
    const database = new DatabaseSync(file);
    database.exec("DROP TABLE ima_prefixes; PRAGMA user_version = 2");
    database.close();
    const [first, second] = [openSqliteStore(file), openSqliteStore(file)];
    expect(await second.imaPrefix(new Uint8Array(34), [new Uint8Array(32)])).toBe(null);
    expect(await first.floors()).toEqual(await home.store.floors());
    await first.close();
    await second.close();
    const after = new DatabaseSync(file);
    expect(after.prepare("PRAGMA user_version").get()).toEqual({ user_version: 3 });
    after.close();
  });

  test("another program's database, and an empty file", () => {
    const file = other((database) => database.exec("CREATE TABLE t (x)"));
    expect(() => openSqliteStore(file)).toThrow(failing("store.corrupt"));
    truncateSync(file, 0);
    expect(() => openSqliteStore(file)).toThrow(failing("store.corrupt"));
  });

  test("bytes that are no database", () => {
    const file = join(home.path, "noise.db");
    writeFileSync(file, "x".repeat(8192), { mode: 0o600 });
    expect(() => openSqliteStore(file)).toThrow(failing("store.corrupt"));
    expect(() => openSqliteStore(file)).toThrow(/restore it from a backup/);
  });

  test("a value of another kind than was written", async () => {
    const database = new DatabaseSync(home.file);
    database.exec("PRAGMA ignore_check_constraints = ON; UPDATE floors SET charter_digest = x'00'");
    database.close();
    await expect(home.store.floors()).rejects.toThrow(failing("store.corrupt"));
  });

  test("damaged pages", async () => {
    const file = join(home.path, "damaged.db");
    await home.store.backup(file);
    const { readFileSync } = await import("node:fs");
    const bytes = readFileSync(file);
    bytes.fill(0xff, 4096);
    writeFileSync(file, bytes);
    const damaged = openSqliteStore(file);
    await expect(damaged.floors()).rejects.toThrow(failing("store.corrupt"));
    await damaged.close();
  });
});

describe("transactions", () => {
  const raise = (time: number) => async (transaction: Transaction) => {
    await transaction.raiseFloors({ ...FLOORS, timeSeconds: time });
  };
  const time = async () => (await home.store.floors())?.timeSeconds;

  test("what work throws undoes everything and is thrown on", async () => {
    const error = new Error("no");
    const work = home.store.transact(async (transaction) => {
      await raise(500)(transaction);
      throw error;
    });
    await expect(work).rejects.toBe(error);
    expect(await time()).toBe(0);
  });

  test("a transaction is dead once it has ended", async () => {
    let kept: Transaction | undefined;
    await home.store.transact(async (transaction) => {
      kept = transaction;
    });
    await expect(kept?.floors()).rejects.toThrow(failing("store.closed"));
    await expect(kept?.closeRun(digest(1))).rejects.toThrow(failing("store.closed"));
  });

  test("those of one process take turns", async () => {
    const order: number[] = [];
    const enter = (n: number) =>
      home.store.transact(async (transaction) => {
        order.push(n);
        await transaction.floors();
        order.push(n);
      });
    await Promise.all([enter(1), enter(2), enter(3)]);
    expect(order).toEqual([1, 1, 2, 2, 3, 3]);
  });

  test("two stores over one file in one process wait for each other", async () => {
    const second = openSqliteStore(home.file);
    await Promise.all([home.store.transact(raise(200)), second.transact(raise(300))]);
    expect(await time()).toBe(300);
    await second.close();
  });

  test("a held file is store.busy after a bounded time, and nothing is lost", async () => {
    const holder = new DatabaseSync(home.file);
    holder.exec("BEGIN IMMEDIATE");
    const impatient = openSqliteStore(home.file, { busyMs: 30 });
    await expect(impatient.transact(raise(200))).rejects.toThrow(failing("store.busy"));
    holder.exec("ROLLBACK");
    holder.close();
    await impatient.transact(raise(300));
    expect(await time()).toBe(300);
    await impatient.close();
  });

  test("a reader is not held up by a writer, and sees the last commit", async () => {
    const second = openSqliteStore(home.file);
    await home.store.transact(async (transaction) => {
      await raise(400)(transaction);
      expect((await second.floors())?.timeSeconds).toBe(0);
    });
    expect((await second.floors())?.timeSeconds).toBe(400);
    await second.close();
  });

  test.each(["removed", "replaced", "a folder now"])("the file is %s while open", async (how) => {
    renameSync(home.file, join(home.path, "old.db"));
    if (how === "replaced") writeFileSync(home.file, "", { mode: 0o600 });
    if (how === "a folder now") mkdirSync(home.file, { mode: 0o700 });
    const code = { removed: "store.missing", replaced: "store.moved" }[how] ?? "store.private";
    await expect(home.store.transact(raise(200))).rejects.toThrow(failing(code));
    rmSync(home.file, { recursive: true, force: true });
    renameSync(join(home.path, "old.db"), home.file);
    expect(await time()).toBe(0);
  });

  test("after close every call is refused; closing again is not", async () => {
    await home.store.close();
    await home.store.close();
    await expect(home.store.floors()).rejects.toThrow(failing("store.closed"));
    await expect(home.store.transact(raise(1))).rejects.toThrow(failing("store.closed"));
  });

  test("what is committed is there for the next process", async () => {
    await home.store.transact(raise(700));
    await home.store.close();
    const again = openSqliteStore(home.file);
    expect((await again.floors())?.timeSeconds).toBe(700);
    await again.close();
  });
});

test("a backup is whole, private, and never overwrites", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "portcullis-backup-")), "copy.db");
  await home.store.backup(file);
  expect(modeOf(file)).toBe(0o600);
  const copy = openSqliteStore(file);
  expect(await copy.floors()).toEqual(await home.store.floors());
  await copy.close();
  await expect(home.store.backup(file)).rejects.toThrow(failing("store.failed"));
  rmSync(join(file, ".."), { recursive: true });
});
