import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { currentProcess, mayLive } from "../../src/log/owner.ts";
import { verifyLog } from "../../src/log/verification.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { faultyStore } from "../support/faulty-store.ts";
import {
  claimOf,
  denied,
  digest,
  type Home,
  journalOf,
  makeHome,
  ORIGIN,
  outcome,
  PROVEN,
  SIGNER,
} from "../support/journal.ts";

const CLAIMANT = fileURLToPath(new URL("../support/claimant.ts", import.meta.url));
const ELEMENT = 60;
let home: Home;
beforeEach(async () => {
  home = await makeHome();
});
afterEach(() => home.remove());

const verified = () => verifyLog(home.store, { origin: ORIGIN, verifier: SIGNER.verifier });
const uses = async () => (await home.store.uses([digest(ELEMENT)]))[0];
const unwritable = expect.objectContaining({ name: "LogError", code: "log.unwritable" });

function claimant(...parameters: (string | number)[]): ChildProcess {
  return spawn(process.execPath, [CLAIMANT, home.file, ...parameters.map(String)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
}

/** The child's lines; those that had been printed when it died are all there. */
async function linesOf(child: ChildProcess): Promise<string[]> {
  const lines: string[] = [];
  if (child.stdout === null) throw new Error("no standard output");
  for await (const line of createInterface(child.stdout)) lines.push(line);
  return lines;
}

describe("every write fails twice", () => {
  const COUNTERS = {
    akName: new Uint8Array(34),
    values: { resetCount: 1, restartCount: 1, clock: 1n, firmwareVersion: 1n },
    seenSeconds: 1_000,
  };
  const claim = { ...claimOf(50, ELEMENT, 1), proven: { ...PROVEN, counters: COUNTERS } };
  const entry = { proven: { ...PROVEN, counters: COUNTERS }, leaf: outcome(digest(50)) };
  // raiseFloors, raiseCounters, claimUses, appendLeaves, putHead, openRun, commit
  const CLAIM_WRITES = 7;
  // closeRun, raiseFloors, raiseCounters, appendLeaves, putHead, commit
  const RECORD_WRITES = 6;
  const places = (count: number) => Array.from({ length: count }, (_, at) => at);
  const both = (count: number) =>
    places(count).flatMap((at) => [[at, "lost"] as const, [at, "reported"] as const]);

  test("the count of writes is the whole", async () => {
    const counted = faultyStore(home.store, -1, "lost");
    const journal = journalOf(counted);
    await journal.claim(claim);
    expect(counted.writes()).toBe(CLAIM_WRITES);
    await journal.record(entry);
    expect(counted.writes()).toBe(CLAIM_WRITES + RECORD_WRITES);
  });

  test.each(both(CLAIM_WRITES))("claim, write %i %s", async (at, fault) => {
    const journal = journalOf(faultyStore(home.store, at, fault));
    await expect(journal.claim(claim)).rejects.toThrow(unwritable);
    const persisted = at === CLAIM_WRITES - 1 && fault === "reported";
    const happened = persisted ? 1 : 0;
    expect(await uses()).toBe(happened);
    expect((await verified()).size).toBe(happened);
    expect(await home.store.openRuns()).toHaveLength(happened);
    // The failed claim is never retried into a second use: it is there once, or not at all.
    const again = journal.claim(claim);
    if (persisted) await expect(again).rejects.toMatchObject({ code: "ledger.request" });
    else expect((await again).index).toBe(0);
    expect(await uses()).toBe(1);
    // Its run never started: it is aborted, though this very process still lives.
    const aborted = await journal.abortOpenRuns(200);
    expect(aborted).toHaveLength(happened);
    expect((await verified()).open).toEqual(persisted ? [] : [0]);
  });

  test.each(both(RECORD_WRITES))("outcome, write %i %s", async (at, fault) => {
    await journalOf(home.store).claim(claim);
    const journal = journalOf(faultyStore(home.store, at, fault));
    await expect(journal.record(entry)).rejects.toThrow(unwritable);
    const persisted = at === RECORD_WRITES - 1 && fault === "reported";
    expect((await verified()).open).toEqual(persisted ? [] : [0]);
    // A repeated record ends with one outcome in either case.
    const again = journal.record(entry);
    if (persisted) await expect(again).rejects.toMatchObject({ code: "log.closed" });
    else await again;
    expect((await verified()).events.outcome).toBe(1);
  });

  test("an outcome that could not be recorded leaves its run to be aborted by this process too", async () => {
    const journal = journalOf(faultyStore(home.store, CLAIM_WRITES, "lost"));
    await journal.claim(claim);
    await expect(journal.record(entry)).rejects.toThrow(unwritable);
    expect(await journal.abortOpenRuns(200)).toHaveLength(1);
    expect((await verified()).open).toEqual([]);
  });

  test.each(both(4))("abort, write %i %s", async (at, fault) => {
    await journalOf(home.store).claim(claim);
    const dead = () => false;
    const journal = journalOf(faultyStore(home.store, at, fault));
    await expect(journal.abortOpenRuns(200, dead)).rejects.toThrow(unwritable);
    await journal.abortOpenRuns(200, dead);
    expect(await verified()).toMatchObject({ open: [], events: { aborted: 1 } });
  });

  test("any number of faults in any order leaves whole states", async () => {
    const step = fc.tuple(fc.nat(9), fc.nat(12), fc.constantFrom("lost", "reported"));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const fresh = await makeHome();
        for (const [request, at, fault] of steps) {
          const journal = journalOf(faultyStore(fresh.store, at, fault as "lost" | "reported"));
          const leaf = outcome(digest(request));
          await journal.claim(claimOf(request, ELEMENT, 4)).catch(() => undefined);
          await journal.record({ proven: PROVEN, leaf }).catch(() => undefined);
        }
        const options = { origin: ORIGIN, verifier: SIGNER.verifier };
        const { events, open } = await verifyLog(fresh.store, options);
        expect(await fresh.store.uses([digest(ELEMENT)])).toEqual([events.intent]);
        expect(events.intent).toBeLessThanOrEqual(4);
        const runs = (await fresh.store.openRuns()).map((run) => run.leafIndex);
        expect(runs).toEqual(open);
        await fresh.remove();
      }),
      { numRuns: 40 },
    );
  });
});

describe("real processes", () => {
  test("of two that claim the last use at once, exactly one wins", async () => {
    for (let round = 0; round < 4; round++) {
      const children = [0, 1, 2].map((n) =>
        claimant(1_000 + 10 * round + n, 1, 200 + round, 1, "start"),
      );
      const lines = children.map(linesOf);
      await Promise.all(children.map((child) => child.stdout && once(child.stdout, "data")));
      for (const child of children) child.stdin?.write("go\n");
      const said = (await Promise.all(lines)).flat().filter((line) => line !== "ready");
      expect(said.filter((line) => line.startsWith("claimed"))).toHaveLength(1);
      expect(said.filter((line) => line.endsWith("ledger.use "))).toHaveLength(2);
      expect(await home.store.uses([digest(200 + round)])).toEqual([1]);
    }
    await verified();
  });

  test("many claims of several processes all land, each once", async () => {
    const children = [0, 1, 2].map((n) => claimant(1_000 + 100 * n, 25, ELEMENT, 50));
    const said = (await Promise.all(children.map(linesOf))).flat();
    expect(said.filter((line) => line.startsWith("claimed"))).toHaveLength(50);
    expect(said.filter((line) => line.includes("ledger.use"))).toHaveLength(25);
    expect(await uses()).toBe(50);
    expect((await verified()).events.intent).toBe(50);
  });

  test("SIGKILL amid many claims: no half state, nothing announced is lost, the log verifies", async () => {
    let first = 10_000;
    const announced = new Set<number>();
    for (const steps of [1, 3, 10, 25, 60]) {
      const child = claimant(first, 5_000, ELEMENT, 1_000_000);
      first += 5_000;
      let seen = 0;
      child.stdout?.on("data", (chunk: Buffer) => {
        seen += String(chunk).split("\n").length - 1;
        if (seen >= steps) child.kill("SIGKILL");
      });
      const lines = await linesOf(child);
      for (const line of lines) {
        const [word, , index] = line.split(" ");
        if (word === "claimed" && index !== undefined) announced.add(Number(index));
      }
      const { events, open } = await verified();
      expect(await uses()).toBe(events.intent);
      expect((await home.store.openRuns()).map((run) => run.leafIndex)).toEqual(open);
      expect(announced.size).toBeLessThanOrEqual(events.intent);
    }
    for (const index of announced) expect(await home.store.leaves(index, 1)).toHaveLength(1);
    const { open } = await verified();
    expect(open.length).toBeGreaterThan(0);
    const self = currentProcess();
    for (const run of await home.store.openRuns()) expect(mayLive(run.owner, self)).toBe(false);
    expect(await journalOf(home.store).abortOpenRuns(200)).toHaveLength(open.length);
    expect((await verified()).open).toEqual([]);
  });

  test("the disk fills up amid claims: refused from then on, what was claimed stays", async () => {
    // RLIMIT_FSIZE, in blocks of 512 bytes: a write beyond it fails for root too.
    const command = `ulimit -f 900; exec "$0" "$@"`;
    const { stdout, status } = spawnSync(
      "sh",
      ["-c", command, process.execPath, CLAIMANT, home.file, "1000", "400", "60", "999"],
      { encoding: "utf8" },
    );
    expect(status).toBe(0);
    const lines = stdout.trim().split("\n");
    const claimed = lines.filter((line) => line.startsWith("claimed")).length;
    const refused = lines.filter((line) => line.startsWith("refused"));
    expect(claimed).toBeGreaterThan(0);
    expect(refused.length).toBeGreaterThan(0);
    for (const line of refused) expect(line).toMatch(/log\.unwritable store\.(full|failed)$/);
    const { events } = await verified();
    expect(events.intent).toBe(claimed);
    expect(await uses()).toBe(claimed);
  });

  const strace = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
  test.skipIf(!strace)("a claim is synced before it is announced (strace)", () => {
    const trace = join(home.path, "trace");
    execFileSync("strace", [
      ...["-f", "-o", trace, "-e", "trace=fsync,fdatasync,write", "-s", "16"],
      ...[process.execPath, CLAIMANT, home.file, "1001", "1", "60", "9"],
    ]);
    const calls = readFileSync(trace, "utf8").split("\n");
    const announced = calls.findIndex((call) => /write\(1, "claimed/.test(call));
    const synced = calls.findLastIndex((call, at) => at < announced && /f(data)?sync\(/.test(call));
    expect(announced).toBeGreaterThan(0);
    expect(synced).toBeGreaterThan(0);
    // Between the sync and the announcement nothing was written.
    const between = calls.slice(synced, announced).filter((call) => /write64?\(/.test(call));
    expect(between).toEqual([]);
  });
});

describe("a log that cannot be written, also as root", () => {
  const attempts = async (store = home.store) => {
    const journal = journalOf(store);
    await expect(journal.claim(claimOf(50, ELEMENT, 3))).rejects.toThrow(unwritable);
    const entry = { proven: null, leaf: denied("window.expired") };
    await expect(journal.record(entry)).rejects.toThrow(unwritable);
  };

  test.each<[string, () => void]>([
    ["removed", () => rmSync(home.file)],
    ["replaced by a folder", () => [rmSync(home.file), mkdirSync(home.file, { mode: 0o700 })]],
    [
      "replaced by another file",
      () => [rmSync(home.file), writeFileSync(home.file, "", { mode: 0o600 })],
    ],
    ["opened to others", () => chmodSync(home.file, 0o666)],
    ["in a home opened to others", () => chmodSync(home.path, 0o777)],
    ["in a home that is gone", () => renameSync(home.path, `${home.path}-gone`)],
  ])("%s", async (_, spoil) => {
    spoil();
    await attempts();
    rmSync(`${home.path}-gone`, { recursive: true, force: true });
  });

  test("held by another process for too long: store.busy, which may be retried", async () => {
    const impatient = openSqliteStore(home.file, { busyMs: 20 });
    const busy = expect.objectContaining({ name: "StoreError", code: "store.busy" });
    const claim = claimOf(50, ELEMENT, 3);
    await home.store.transact(async () => {
      await expect(journalOf(impatient).claim(claim)).rejects.toThrow(busy);
    });
    expect((await journalOf(impatient).claim(claim)).index).toBe(0);
    await impatient.close();
  });

  // A file system of its own, in a mount namespace that ends with the shell.
  const namespace = ["--user", "--map-root-user", "--mount", "sh", "-ec"];
  const mounts = spawnSync("unshare", [...namespace, "mount -t tmpfs none /mnt"]).status === 0;
  const mounted = (script: string) => {
    const parameters = [home.path, process.execPath, CLAIMANT];
    const { stdout, stderr, status } = spawnSync("unshare", [...namespace, script, ...parameters], {
      encoding: "utf8",
    });
    expect(`${status} ${stderr}`).toBe("0 ");
    return stdout.trim().split("\n");
  };

  test.skipIf(!mounts)("on a file system that is full", async () => {
    await home.store.close();
    const lines = mounted(`
      mount -t tmpfs -o size=600k,mode=700 none /mnt
      cp -p "$0"/state.db /mnt/
      "$1" "$2" /mnt/state.db 1001 400 60 999
      cp -p /mnt/state.db* "$0"/`);
    const claimed = lines.filter((line) => line.startsWith("claimed")).length;
    expect(claimed).toBeGreaterThan(0);
    expect(lines.at(-1)).toMatch(/^refused \d+ log\.unwritable store\.(full|failed)$/);
    const store = openSqliteStore(home.file);
    const { events } = await verifyLog(store, { origin: ORIGIN, verifier: SIGNER.verifier });
    expect(events.intent).toBe(claimed);
    expect(await store.uses([digest(ELEMENT)])).toEqual([claimed]);
    await store.close();
  });

  test.skipIf(!mounts)("on a file system remounted read-only", async () => {
    await home.store.close();
    const lines = mounted(`
      mount -t tmpfs -o mode=700 none /mnt
      cp -p "$0"/state.db /mnt/
      "$1" "$2" /mnt/state.db 1001 1 60 999
      mount -o remount,bind,ro /mnt
      "$1" "$2" /mnt/state.db 1003 1 60 999`);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toBe("claimed 1001 0");
    expect(lines[1]).toMatch(/^(unopened|refused 1003 log\.unwritable) store\.(readonly|failed)$/);
  });

  test.each(["-wal", "-shm"])("a folder at the place of state.db%s", async (side) => {
    await home.store.close();
    mkdirSync(home.file + side, { mode: 0o700 });
    expect(() => openSqliteStore(home.file)).toThrow(/is not a file: move it away/);
  });

  test("closed", async () => {
    await home.store.close();
    await attempts();
  });
});
