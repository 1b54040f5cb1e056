import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import {
  coverIndex,
  publish,
  renewSnapshot,
  revoke,
  setFreeze,
} from "../../../src/domain/publication.ts";
import { keepIssued, reserveIndex } from "../../../src/domain/register.ts";
import { isRevoked } from "../../../src/wire/status.ts";
import { NOW, Operator } from "./operator.ts";

const made: Operator[] = [];
const operator = async (grants = 8): Promise<Operator> => {
  const one = await Operator.make({ room: { grants, nodes: 8 } });
  made.push(one);
  return one;
};
afterEach(async () => {
  for (const one of made.splice(0)) await one.remove();
});

const publisher = fileURLToPath(new URL("publisher.ts", import.meta.url));
const wordsOf = ({ path }: Operator, from: number, to: number): string[] => {
  const keys = [1, 2].map((n) => join(path, `keys/governance-${n}.pem`));
  return [publisher, path, String(from), String(to), String(NOW), ...keys];
};

describe("publishing", () => {
  test("each snapshot follows the one before, signed to the threshold", async () => {
    const one = await operator();
    const { path, publication } = one;
    const before = await one.load();
    const later = { ...publication, nowSeconds: NOW + 5, lifetimeSeconds: 60 };
    const { snapshot, charter } = await renewSnapshot(path, later);
    expect(snapshot.object.claims).toEqual({
      ...before.snapshot.object.claims,
      version: 2,
      iat: NOW + 5,
      exp: NOW + 65,
      charter: charter.digest,
    });
    expect(snapshot.object.message.signatures).toHaveLength(2);
  });

  test.each([
    [{ lifetimeSeconds: 601 }, "domain.input", /allows 1 to 600 s/],
    [{ lifetimeSeconds: 0 }, "domain.input", /allows 1 to 600 s/],
    [{ nowSeconds: NOW - 61 }, "domain.input", /61 s in the future/],
    [{ nowSeconds: NOW + 86_400 }, "domain.input", /charter has expired/],
    [{ signers: [] }, "domain.signers", /needs 2 of 2 keys, and 0 of them are/],
  ])("%j is refused and changes nothing", async (change, code, message) => {
    const { path, publication } = await operator();
    const refused = renewSnapshot(path, { ...publication, ...change });
    await expect(refused).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await readdir(join(path, "snapshots"))).toEqual(["1"]);
  });

  test("one key twice is one key (GHSA-pwqf-9h7j-7mv8)", async () => {
    const { path, publication } = await operator();
    const [first] = publication.signers;
    const signers = first === undefined ? [] : [first, first];
    const refused = renewSnapshot(path, { ...publication, signers });
    await expect(refused).rejects.toMatchObject({ code: "domain.signers" });
  });

  test("of processes that publish at once, none loses another's revocation", async () => {
    const one = await operator(64);
    const run = promisify(execFile);
    const parts = [0, 8, 16].map((from) => run(process.execPath, wordsOf(one, from, from + 8)));
    await Promise.all(parts);
    const { status } = await one.load();
    for (let index = 0; index < 25; index++) {
      expect([index, isRevoked(status.list, "grants", index)]).toEqual([index, index < 24]);
    }
    // Kept are sixteen, and perhaps what a publication under way had yet to remove.
    expect((await readdir(join(one.path, "snapshots"))).length).toBeLessThanOrEqual(18);
  });

  test("a version that was pruned and is created again is never in force", async () => {
    const { path, publication } = await operator();
    let raced = false;
    const domain = await publish(path, publication, async () => {
      if (raced) return { freeze: "all" };
      raced = true;
      // Others publish far ahead, so that version 2 is pruned before it is created here.
      for (let i = 0; i < 20; i++) await renewSnapshot(path, publication);
      return { freeze: "all" };
    });
    expect(domain.snapshot.object.claims).toMatchObject({ version: 22, freeze: "all" });
  });

  test("killed at any moment: the domain loads, and what was acknowledged stays", async () => {
    const one = await operator(512);
    const delays = fc.sample(fc.integer({ min: 0, max: 40 }), { numRuns: 8, seed: 2 });
    let next = 0;
    for (const delayMs of delays) {
      const child = spawn(process.execPath, wordsOf(one, next, 512), {
        stdio: ["ignore", "pipe", 2],
      });
      let told = "";
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        if (told === "") setTimeout(() => child.kill("SIGKILL"), delayMs);
        told += text;
      });
      await once(child, "close");
      const acknowledged = told.split("\n").slice(0, -1).map(Number);
      expect(acknowledged.length).toBeGreaterThan(0);
      next = (acknowledged.at(-1) ?? 0) + 1;
      const { status } = await one.load();
      for (let index = 0; index < next; index++) {
        expect([delayMs, index, isRevoked(status.list, "grants", index)]).toEqual([
          delayMs,
          index,
          true,
        ]);
      }
    }
    await revoke(one.path, one.publication, [{ kind: "nodes", index: 1 }]);
  });

  test("the list grows when an index lies beyond it, and keeps what it says", async () => {
    const { path, publication } = await operator();
    await revoke(path, publication, [{ kind: "grants", index: 3 }]);
    const unchanged = await coverIndex(path, publication, "grants", 7);
    expect(unchanged.snapshot.object.claims.version).toBe(2);
    const { status, snapshot } = await coverIndex(path, publication, "grants", 8);
    expect(snapshot.object.claims.version).toBe(3);
    expect(status.list.grants.length).toBeGreaterThanOrEqual(2);
    expect([3, 8].map((index) => isRevoked(status.list, "grants", index))).toEqual([true, false]);
  });
});

describe("loading", () => {
  test.each([
    ["snapshots/1/snapshot", "cut", "domain.malformed"],
    ["snapshots/1/snapshot", "removed", "domain.missing"],
    ["snapshots/1/status", "cut", "domain.malformed"],
    ["snapshots/1/status", "removed", "domain.missing"],
    ["charters/1.charter", "cut", "domain.malformed"],
    ["charters/1.charter", "removed", "domain.missing"],
    ["charters/1.charter", "renamed", "domain.malformed"],
  ])("%s, %s: %s", async (file, how, code) => {
    const one = await operator();
    const path = join(one.path, file);
    const bytes = await readFile(path);
    if (how === "cut") await writeFile(path, bytes.subarray(0, -1));
    else await rm(path);
    if (how === "renamed") await writeFile(path.replace("/1.", "/2."), bytes);
    await expect(one.load()).rejects.toMatchObject({ code });
  });

  test("a snapshot under a version that it does not state is refused", async () => {
    const one = await operator();
    await rename(join(one.path, "snapshots/1"), join(one.path, "snapshots/2"));
    await expect(one.load()).rejects.toMatchObject({
      code: "domain.malformed",
      message: expect.stringMatching(/states version 1/),
    });
  });

  test("a status list of other bytes than the snapshot names is refused", async () => {
    const one = await operator();
    const { file, bytes } = (await one.load()).status;
    await writeFile(
      file,
      bytes.map((byte, i) => (i === 3 ? byte ^ 1 : byte)),
    );
    await expect(one.load()).rejects.toMatchObject({ code: "domain.malformed" });
  });

  test("drafts and strangers' files are passed over", async () => {
    const one = await operator();
    for (const name of [`.2.${"0".repeat(16)}.draft`, "x", "02", "3.bak", "-1"]) {
      await mkdir(join(one.path, "snapshots", name));
      await writeFile(join(one.path, "snapshots", name, "snapshot"), "half");
    }
    expect((await one.load()).snapshot.object.claims.version).toBe(1);
    const { snapshot } = await setFreeze(one.path, one.publication, "new");
    expect(snapshot.object.claims).toMatchObject({ version: 2, freeze: "new" });
  });
});

describe("status indexes", () => {
  test("are never given twice, also not after a crash between index and object", async () => {
    const one = await operator();
    const { layout } = await one.load();
    const given = await Promise.all(
      Array.from({ length: 12 }, () => reserveIndex(layout, "grants")),
    );
    expect(given.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i));
    await keepIssued(layout, "grants", 11, Uint8Array.of(1));
    expect(await reserveIndex(layout, "grants")).toBe(12);
    expect(await reserveIndex(layout, "nodes")).toBe(0);
  });
});
