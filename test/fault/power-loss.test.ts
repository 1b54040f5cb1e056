/** The ledger after a loss of power, and on a disk whose syncs fail. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { verifyLog } from "../../src/log/verification.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { digest, type Home, makeHome, ORIGIN, SIGNER } from "../support/journal.ts";
import { hasStrace, momentsOf } from "../support/power-loss.ts";
import { seededRandom } from "../support/random.ts";

const CLAIMANT = fileURLToPath(new URL("../support/claimant.ts", import.meta.url));
const ELEMENT = 60;
const SEED = 11;
let home: Home;
beforeEach(async () => {
  home = await makeHome();
  await home.store.close();
});
afterEach(() => home.remove());

/** Claims that the ledger of this file has, whose log verifies. */
async function claimsIn(file: string): Promise<number> {
  const store = openSqliteStore(file);
  try {
    const { events, open } = await verifyLog(store, { origin: ORIGIN, verifier: SIGNER.verifier });
    expect(await store.uses([digest(ELEMENT)])).toEqual([events.intent]);
    expect((await store.openRuns()).map(({ leafIndex }) => leafIndex)).toEqual(open);
    return events.intent;
  } finally {
    await store.close();
  }
}

const announced = (said: string): number => said.match(/^claimed/gm)?.length ?? 0;

describe.skipIf(!hasStrace)(`strace, seed ${SEED}`, () => {
  test("after a loss of power at any moment, every claim that was announced is there", async () => {
    const moments = momentsOf(home.file, [
      ...[process.execPath, CLAIMANT, home.file],
      ...["1000", "2", String(ELEMENT), "99"],
    ]);
    expect(announced(moments.at(-1)?.said ?? "")).toBe(2);
    const random = seededRandom(SEED);
    const fates = [() => false, () => true, () => random() < 0.5, () => random() < 0.9];
    let lost = 0;
    for (const [i, { said, image }] of moments.entries()) {
      const keep = fates[i % fates.length] ?? (() => false);
      const folder = mkdtempSync(join(tmpdir(), "portcullis-image-"));
      image(folder, keep);
      const claims = await claimsIn(join(folder, "state.db"));
      // A claim that was on its way may be there too: its use is spent, and nothing started.
      expect(claims).toBeGreaterThanOrEqual(announced(said));
      expect(claims).toBeLessThanOrEqual(announced(said) + 1);
      if (claims === announced(said)) lost++;
      rmSync(folder, { recursive: true });
    }
    expect(moments.length).toBeGreaterThan(20);
    expect(lost).toBeGreaterThan(0);
  });

  test.each([1, 3, 4])(
    "sync %i fails: what was announced stays, what was refused is whole",
    async (which) => {
      const said = execFileSync(
        "strace",
        [
          ...["-f", "-o", "/dev/null", "-e", "trace=fsync"],
          ...["-e", `inject=fsync:error=EIO:when=${which}`],
          ...[process.execPath, CLAIMANT, home.file, "1001", "4", String(ELEMENT), "99"],
        ],
        { encoding: "utf8" },
      );
      const refused = said.split("\n").filter((line) => line.startsWith("refused"));
      expect(refused.length).toBeGreaterThan(0);
      for (const line of refused) expect(line).toMatch(/log\.unwritable store\.failed$/);
      const claims = await claimsIn(home.file);
      expect(claims).toBeGreaterThanOrEqual(announced(said));
      expect(claims).toBeLessThanOrEqual(announced(said) + refused.length);
    },
  );
});
