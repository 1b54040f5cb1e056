/** A backup of a plane that goes on deciding: its ledger's leaves, and the packs of their cases. */
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { homeAt, readConfig } from "../../src/cli/home.ts";
import { logKeyOf } from "../../src/cli/machine.ts";
import { CaseFolder } from "../../src/log/cases.ts";
import { Journal } from "../../src/log/journal.ts";
import { parseLeaf } from "../../src/log/leaf.ts";
import { noteSigner } from "../../src/log/note.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { Place } from "./cli-support.ts";

const PER_PACK_WRITE = 8;
const CASE_BYTES = 65_536;
const NONE = {
  request: null,
  run: null,
  parentRun: null,
  job: null,
  chain: null,
  exit: null,
  warnings: [],
  mark: null,
} as const;

/** Writes cases and their leaves as a plane does, until it is told to end. */
async function decideUntil(path: string, ended: () => boolean): Promise<number> {
  const home = homeAt(path);
  const { origin } = readConfig(home);
  const store = openSqliteStore(home.state);
  const signer = noteSigner(origin, await logKeyOf(home));
  const journal = new Journal({ store, origin, signer });
  const cases = new CaseFolder(home.cases);
  let written = 0;
  while (!ended()) {
    const all = Array.from({ length: PER_PACK_WRITE }, () => randomBytes(CASE_BYTES));
    const digests = await cases.writeAll(all);
    const leaf = { ...NONE, event: "denied", time: 1, code: "replay.nonce" } as const;
    await journal.settle(
      digests.map((digest) => ({
        proven: null,
        claim: null,
        leaf: { ...leaf, case: digest, core: new Uint8Array(32) },
      })),
    );
    written += digests.length;
  }
  await cases.close();
  await store.close();
  return written;
}

test("a backup taken while cases are written restores to a log that holds, with every case", async () => {
  const place = await Place.make();
  try {
    await place.json(["init", "example.org", "--plane", "1/1"]);
    const backups = ["one", "two"].map((name) => place.file(name));
    let ended = false;
    const deciding = decideUntil(place.home, () => ended);
    await vi.waitFor(async () => expect(await readdir(join(place.home, "cases"))).not.toEqual([]));
    for (const backup of backups) await place.json(["backup", backup]);
    ended = true;
    const written = await deciding;
    for (const backup of backups) {
      const home = `${backup} restored`;
      await place.json(["restore", backup, "--home", home]);
      const verified = await place.run(["audit", "verify", "--home", home, "--json"]);
      expect([verified.code, verified.err]).toEqual([0, ""]);
      const { size } = JSON.parse(verified.out);
      expect(size).toBeLessThanOrEqual(written);
      expect((await readdir(join(home, "cases"))).length).toBeGreaterThan(0);
      const store = openSqliteStore(join(home, "state.db"));
      const cases = new CaseFolder(join(home, "cases"));
      for (const { bytes } of await store.leaves(0, size)) {
        const { case: digest } = parseLeaf(bytes);
        if (digest === null) throw new Error("no case");
        expect(await cases.read(digest)).toHaveLength(CASE_BYTES);
      }
      await store.close();
    }
  } finally {
    await place.remove();
  }
});
