import { chmod, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadDomain } from "../../src/domain/domain.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { signedBytes } from "../../src/wire/cose.ts";
import { verifySignature } from "../../src/wire/keys.ts";
import { Place, root, runNode } from "./cli-support.ts";

let place: Place;
beforeEach(async () => {
  place = await Place.make();
});
afterEach(() => place.remove());

const oneLine = /^portcullis: [^\n]+\n$/;

describe("every command line", () => {
  test("--help lists the verbs, and each verb's help has an example", async () => {
    const { code, out } = await place.run(["--help"]);
    expect(code).toBe(0);
    const verbs = [...out.matchAll(/^ {2}([a-z]+) {2}/gm)].map(([, name]) => name ?? "");
    expect(verbs).toContain("authorize");
    const helps = await Promise.all(verbs.map((verb) => place.run([verb, "--help"])));
    for (const [i, help] of helps.entries()) {
      expect([verbs[i], help.code, help.err]).toEqual([verbs[i], 0, ""]);
      const inner = [...help.out.matchAll(/^ {2}([a-z]+) (?:\[|<|options)/gm)].map(([, v]) => v);
      if (help.out.includes("Commands:")) expect(inner.length).toBeGreaterThan(0);
      else expect(help.out).toMatch(/Examples?:\n {2}portcullis /);
    }
  });

  test("--version prints the package's", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    expect(await place.run(["--version"])).toEqual({ code: 0, out: `${version}\n`, err: "" });
    const { out } = await place.run(["--json", "--version"]);
    expect(JSON.parse(out)).toEqual({ version });
  });

  test.each([
    [[], /no verb/],
    [["bogus"], /unknown verb 'bogus'/],
    [["toString"], /unknown verb 'toString'/],
    [["--bogus"], /unknown option '--bogus'/],
    [["--home"], /--home needs a folder/],
    [["freeze", "--bogus"], /unknown option '--bogus'/],
    [["freeze", "extra"], /too many arguments/],
    [["snapshot"], /needs one of its verbs/],
    [["snapshot", "bogus"], /unknown command 'bogus'/],
    [["inspect"], /missing required argument 'file'/],
    [["inspect", "absent.grant"], /absent\.grant does not exist/],
    [["inspect", "."], /is not a file/],
    [["replay", "absent.case"], /absent\.case does not exist/],
    [["status"], /no home at .*portcullis init/],
    [["audit", "verify"], /no home/],
    [["init", "a b"], /identifier/],
    [["init", "example.org", "--root", "3/2"], /root: 3 of 2/],
    [["init", "example.org", "--authority", "0/2"], /authority: 0 of 2/],
    [["init", "example.org", "--policy", "two"], /--policy: "two" is no keyset/],
    [["init", "example.org", "--enroller", "2/2"], /signs alone/],
    [["init", "example.org", "--break-glass", "4"], /break-glass: 4 of 3/],
    [["init", "example.org", "--curve", "P-521"], /--curve: "P-521"/],
    [["init", "example.org", "--snapshot-lifetime", "2h"], /at most 3600/],
    [["init", "example.org", "--grant-lifetime", "soon"], /no span of time/],
    [["init", "example.org", "--origin", "a b"], /cannot name a log/],
  ])("%j: one line on standard error, exit 64", async (words, message) => {
    const { code, out, err } = await place.run(words);
    expect(err).toMatch(oneLine);
    expect(err).toMatch(message);
    expect([code, out]).toEqual([64, ""]);
    await expect(readdir(place.home)).rejects.toThrow("ENOENT");
  });

  test("with --json, an error is JSON too", async () => {
    const { code, err } = await place.run(["status", "--json"]);
    expect(code).toBe(64);
    expect(JSON.parse(err)).toEqual({ error: { code: "usage", message: expect.any(String) } });
  });

  test("what the disk refuses is exit 70, with a stack only on request", async () => {
    const { home } = place;
    await place.run(["init", "example.org"]);
    await rm(join(home, "snapshots"), { recursive: true });
    await writeFile(join(home, "snapshots"), "");
    const { code, err } = await place.run(["status"]);
    expect(code).toBe(70);
    expect(err).toMatch(oneLine);
    const debug = await place.run(["status"], { PORTCULLIS_DEBUG: "1" });
    expect(debug.err).toMatch(/\n {4}at /);
  });
});

describe("init", () => {
  test("makes a domain signed to its thresholds, and pins its charter", async () => {
    const words = ["init", "example.org", "--root", "3/5", "--plane", "1/2", "--curve", "P-256"];
    const told = await place.json<{ charter: { digest: string } }>(words);
    expect(told).toMatchObject({ home: place.home, domain: "example.org", charter: { number: 1 } });
    const { charter, snapshot } = await loadDomain(place.home);
    expect(Buffer.from(charter.digest).toString("hex")).toBe(told.charter.digest);
    const { keysets } = charter.object.claims;
    expect(keysets.root).toMatchObject({ threshold: 3 });
    expect(keysets.plane).toMatchObject({ threshold: 1 });
    expect(keysets.log).toBeUndefined();
    expect([...keysets.authority.classes.keys()].sort()).toEqual(["break-glass", "standard"]);
    expect(keysets.authority.classes.get("break-glass")).toMatchObject({
      threshold: 3,
      mark: true,
    });
    const { message } = charter.object;
    expect(message.signatures).toHaveLength(5);
    for (const signature of message.signatures) {
      const signs = keysets.root.keys.some((key) =>
        verifySignature(key, signedBytes(message, signature), signature.signature),
      );
      expect(signs).toBe(true);
    }
    expect(snapshot.object.claims).toMatchObject({ version: 1, epoch: 1, freeze: "none" });
    const store = openSqliteStore(join(place.home, "state.db"));
    const floors = await store.floors();
    await store.close();
    expect(floors).toMatchObject({ charterNumber: 1, charterDigest: charter.digest });
  });

  test.each(["000", "022", "777"])("leaves nothing open to others, umask %s", async (umask) => {
    const script = `process.umask(0o${umask}); process.argv.splice(1, 1);
      await import(process.argv[1]);`;
    const main = join(root, "src/cli/main.ts");
    const env = { PORTCULLIS_HOME: place.home };
    const words = ["--input-type=module", "-e", script, "x", main, "init", "example.org"];
    expect(await runNode(words, env, place.path)).toMatchObject({ code: 0 });
    const all = await readdir(place.home, { recursive: true, withFileTypes: true });
    expect(all.length).toBeGreaterThan(15);
    for (const entry of all) {
      const { mode } = await stat(join(entry.parentPath, entry.name));
      expect([entry.name, mode & 0o777]).toEqual([entry.name, entry.isFile() ? 0o600 : 0o700]);
    }
    expect((await stat(place.home)).mode & 0o777).toBe(0o700);
  });

  test("never overwrites, and tells the remains of an interrupted init", async () => {
    expect((await place.run(["init", "example.org"])).code).toBe(0);
    const again = await place.run(["init", "example.org"]);
    expect(again).toMatchObject({ code: 64, err: expect.stringMatching(/nothing is ever overwr/) });
    await rm(join(place.home, "charters"), { recursive: true });
    const remains = await place.run(["init", "example.org"]);
    expect(remains).toMatchObject({ code: 64, err: expect.stringMatching(/interrupted/) });
    expect(await place.run(["status"])).toMatchObject({
      code: 64,
      err: expect.stringMatching(/A trust domain is absent/),
    });
  });

  test("a home that others may enter is refused by every verb", async () => {
    await place.run(["init", "example.org"]);
    await chmod(place.home, 0o755);
    const verbs = [
      ["status"],
      ["snapshot", "renew"],
      ["audit", "show"],
      ["revoke", "--grant", "1"],
    ];
    for (const { code, err } of await Promise.all(verbs.map((words) => place.run(words)))) {
      expect(err).toMatch(/mode 0755.*chmod 700/);
      expect(code).toBe(64);
    }
  });

  test("a key file that others may read is refused", async () => {
    await place.run(["init", "example.org"]);
    await chmod(join(place.home, "keys/governance-1.pem"), 0o640);
    const { code, err } = await place.run(["snapshot", "renew"]);
    expect([code, err]).toEqual([64, expect.stringMatching(/mode 0640.*chmod 600/)]);
  });

  test("a configuration that it does not know is refused, with the line", async () => {
    await place.run(["init", "example.org", "--origin", "log.example.org", "--tpm", "swtpm:x y"]);
    const config = join(place.home, "config.yaml");
    expect(await place.json(["status"])).toMatchObject({
      tpm: "swtpm:x y",
      log: { origin: "log.example.org" },
    });
    const text = await readFile(config, "utf8");
    for (const [line, message] of [
      ["tpn: x", /line 4: unknown setting "tpn"/],
      ["tpm: again", /line 4: "tpm" is set twice/],
      ["tpm", /line 4: expected `name: value`/],
    ] as const) {
      await writeFile(config, `${text}${line}\n`);
      expect(await place.run(["status"])).toMatchObject({
        code: 64,
        err: expect.stringMatching(message),
      });
    }
  });
});
