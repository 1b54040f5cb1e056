import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadDomain } from "../../src/domain/domain.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { Place, root } from "./cli-support.ts";

const main = join(root, "src/cli/main.ts");

let place: Place;
beforeEach(async () => {
  place = await Place.make();
});
afterEach(() => place.remove());

/**
 * Runs a command under RLIMIT_FSIZE: a write beyond so many blocks of 512 bytes fails, for root
 * too.
 */
function limited(
  blocks: number,
  words: readonly string[],
): Promise<{ code: unknown; err: string }> {
  const script = `ulimit -f ${blocks}; exec "$0" "$@"`;
  const env = { PATH: process.env.PATH, PORTCULLIS_HOME: place.home };
  return new Promise((done) => {
    execFile("sh", ["-c", script, process.execPath, main, ...words], { env }, (error, _, err) => {
      done({ code: error === null ? 0 : error.code, err });
    });
  });
}

const version = async (): Promise<number> =>
  (await loadDomain(place.home)).snapshot.object.claims.version;

describe("a disk that refuses", () => {
  test("init leaves nothing behind, and can be repeated", async () => {
    const { code, err } = await limited(2, ["init", "example.org"]);
    expect(err).toMatch(/^portcullis: [^\n]+\n$/);
    expect(code).toBe(70);
    expect(await readdir(place.home)).toEqual([]);
    expect((await place.run(["init", "example.org"])).code).toBe(0);
  });

  test("a publication that cannot be written changes nothing", async () => {
    await place.json(["init", "example.org"]);
    const refused = await limited(1, ["freeze"]);
    expect(refused).toEqual({
      code: 70,
      err: expect.stringMatching(/^portcullis: Could not write/),
    });
    expect(await version()).toBe(1);
    expect(await readdir(join(place.home, "snapshots"))).toEqual(["1"]);
    expect((await place.run(["freeze"])).code).toBe(0);
    expect(await version()).toBe(2);
  });

  test.each(["run", "check"])(
    "a job that cannot be copied is a recorded denial: %s",
    async (verb) => {
      await place.json(["init", "example.org"]);
      const bytes = (await stat("/usr/bin/perl")).size;
      const blocks = Math.floor(bytes / 512) - 1;
      const { code, err } = await limited(blocks, [verb, "--", "/usr/bin/perl", "-e", "1"]);
      expect(err).toMatch(/^internal\.exec: .*sealer failed.*\nnext: /);
      expect(code).toBe(70);
      const { leaves } = await place.json<{ leaves: { leaf: object }[] }>(["audit", "show"]);
      const event = verb === "run" ? "denied" : "checked";
      expect(leaves.map(({ leaf }) => leaf)).toMatchObject([{ event, code: "internal.exec" }]);
    },
  );

  test("a backup that cannot be written leaves nothing behind", async () => {
    await place.json(["init", "example.org"]);
    const { code } = await limited(2, ["backup", place.file("backup")]);
    expect(code).toBe(70);
    expect(await readdir(place.path)).toEqual(["the home"]);
  });

  test("neither does a restore", async () => {
    await place.json(["init", "example.org"]);
    await place.json(["backup", place.file("backup")]);
    const other = place.file("other");
    const { code } = await limited(2, ["restore", place.file("backup"), "--home", other]);
    expect(code).toBe(70);
    expect(await readdir(other)).toEqual([]);
  });
});

describe("death", () => {
  test("init killed at any moment: a whole domain, or none that any verb takes for one", async () => {
    const delays = fc.sample(fc.integer({ min: 60, max: 400 }), { numRuns: 10, seed: 7 });
    for (const delayMs of delays) {
      const env = { PATH: process.env.PATH, PORTCULLIS_HOME: place.home };
      const child = spawn(process.execPath, [main, "init", "example.org"], {
        env,
        stdio: "ignore",
      });
      await Promise.race([sleep(delayMs), once(child, "exit")]);
      if (child.exitCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
      const charters = await readdir(join(place.home, "charters")).catch((): string[] => []);
      if (charters.includes("1.charter")) {
        const domain = await loadDomain(place.home);
        const store = openSqliteStore(join(place.home, "state.db"));
        expect((await store.floors())?.charterDigest).toEqual(domain.charter.digest);
        await store.close();
      } else {
        await expect(loadDomain(place.home)).rejects.toMatchObject({ code: "domain.missing" });
      }
      await rm(place.home, { recursive: true, force: true });
    }
  });
});

describe("permissions", () => {
  test("a home in a folder that cannot be written: one line, exit 70", async () => {
    const sealed = place.file("sealed");
    await place.write("sealed", "a file, where a folder should be");
    const { code, err } = await place.run(["init", "example.org", "--home", join(sealed, "home")]);
    expect([code, err]).toEqual([
      expect.toBeOneOf([64, 70]),
      expect.stringMatching(/^portcullis: /),
    ]);
    expect(err.trim().split("\n")).toHaveLength(1);
  });

  test.each(["charters/1.charter", "state.db", "config.yaml"])(
    "%s open to others",
    async (name) => {
      await place.json(["init", "example.org"]);
      await chmod(join(place.home, name), 0o644);
      const { code, err } = await place.run(["status"]);
      // Signed files may be read by anyone; the ledger and the configuration are private.
      const open = name.endsWith(".charter");
      expect([code, err]).toEqual(open ? [0, ""] : [64, expect.stringMatching(/mode 0644/)]);
    },
  );
});
