import { chmod, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadDomain } from "../../src/domain/domain.ts";
import { sha256 } from "../../src/wire/digests.ts";
import { parseSigned } from "../../src/wire/objects.ts";
import { isRevoked } from "../../src/wire/status.ts";
import { Place, POLICY, UEID } from "./cli-support.ts";

interface Issued {
  readonly file: string;
  readonly digest: string;
  readonly statusIndex: number;
}

let place: Place;
beforeAll(async () => {
  place = await Place.make();
  await place.json(["init", "example.org"]);
  await place.json(["policy", "sign", await place.write("base.yaml", POLICY)]);
  await place.json(["policy", "activate", "base"]);
});
afterAll(() => place.remove());

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const status = async () => (await loadDomain(place.home)).status.list;
const version = async () => (await loadDomain(place.home)).snapshot.object.claims.version;
const grantOf = async ({ file }: Pick<Issued, "file">) =>
  parseSigned("grant", new Uint8Array(await readFile(file))).claims;
const authorize = (...words: string[]) => place.json<Issued>(["authorize", ...words]);

describe("authorize", () => {
  test("flags: exactly the job that they name", async () => {
    const script = await place.write("job one.sh", "#!/bin/sh\necho\n");
    await chmod(script, 0o755);
    const out = place.file("a grant");
    const issued = await authorize(
      ...["--exec", "job one.sh", "--arg=--json", "--arg", "", "--env", "A=b=c", "--env", "LD_X="],
      ...["--uses", "3", "--lifetime", "2h", "--runtime", "5m", "--caller", "1", "--caller", "2"],
      ...["--node", "02aabbccddeeff0011", "--node", UEID, "--sub", "alice", "--ticket", "CHG-1"],
      ...["--class", "break-glass", "--lifetime", "1h", "--stdin", `sha256:${"cd".repeat(32)}`],
      ...["--cwd", ".", "--out", out],
    );
    expect(issued.file).toBe(out);
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    const grant = await grantOf(issued);
    expect(grant).toMatchObject({
      iss: "example.org",
      sub: "alice",
      cnf: { node: "executing" },
      policies: ["base"],
      governance: { class: "break-glass", ticket: "CHG-1", epoch: 1 },
    });
    expect(grant.exp - grant.nbf).toBe(3600);
    const ueids = Array.isArray(grant.audience) ? grant.audience : [];
    expect(ueids.map((one: Uint8Array) => Buffer.from(one).toString("hex"))).toEqual([
      UEID,
      "02aabbccddeeff0011",
    ]);
    const { scope } = grant;
    expect(scope.image.digest).toEqual(sha256(new Uint8Array(await readFile(script))));
    expect(scope.interpreter?.digest).toEqual(sha256(new Uint8Array(await readFile("/bin/sh"))));
    expect(scope.argv.form === "exact" && scope.argv.values.map(text)).toEqual([
      script,
      "--json",
      "",
    ]);
    expect(
      scope.environment?.map((v) => [text(v.name), v.form === "exact" && text(v.value)]),
    ).toEqual([
      ["A", "b=c"],
      ["LD_X", ""],
    ]);
    expect(text(scope.cwd)).toBe(place.path);
    expect(scope).toMatchObject({ callers: [1, 2], uses: 3, runtimeSeconds: 300 });
    const { message } = parseSigned("grant", new Uint8Array(await readFile(out)));
    expect(message.signatures).toHaveLength(3);
    const kept = join(place.home, `grants/${issued.statusIndex}.grant`);
    expect(await readFile(kept)).toEqual(await readFile(out));
  });

  test("a document: scalars are text as written, and indexes are never given twice", async () => {
    const digest = "1".repeat(64);
    const document = [
      `executable: {sha256: ${digest}}`,
      "argv0: report",
      "arguments: [2030-03, no, 1e3, [a, ~], {hex: ff}]",
      `environment: {LANG: , TOKEN: {sha256: ${digest}}}`,
      "cwd: /srv/in out",
      "stdin: inherit",
      `inputs: {/srv/b: ${digest}, /srv/a: ${digest}}`,
      "audience: {label: web}",
      "not-before: 2099-01-01T00:00:00Z",
      "uses: 7",
    ];
    const past = await place.write("far.yaml", document.join("\n"));
    expect(await place.run(["authorize", past])).toMatchObject({
      code: 64,
      err: expect.stringMatching(/allows 2592000 s from now/),
    });
    const near = document.filter((line) => !line.startsWith("not-before"));
    const file = await place.write("near.yaml", near.join("\n"));
    const both = await Promise.all([authorize(file), authorize(file)]);
    expect(both[0].statusIndex).not.toBe(both[1].statusIndex);
    const { scope, audience } = await grantOf(both[0]);
    expect(audience).toBe("web");
    expect(scope.argv.form === "choices" && scope.argv.values.map((set) => set.map(text))).toEqual([
      ["report"],
      ["2030-03"],
      ["no"],
      ["1e3"],
      ["a", "~"],
      ["\ufffd"],
    ]);
    expect(scope.environment?.map((one) => one.form)).toEqual(["exact", "digest"]);
    expect(scope.inputs?.map(({ path }) => text(path))).toEqual(["/srv/a", "/srv/b"]);
    expect([scope.stdin, text(scope.cwd), scope.uses]).toEqual(["inherit", "/srv/in out", 7]);
    expect(scope.interpreter).toBeUndefined();
  });

  const flags = ["--exec", "/bin/true", "--label", "web"];
  test.each([
    [[], /Name a document, or --exec/],
    [["--exec", "/bin/absent", "--label", "web"], /cannot open the executable \/bin\/absent/],
    [["--exec", "/etc/passwd", "--label", "web"], /not executable/],
    [["--exec", "/bin/true"], /flags: name the `audience`, for this machine is not enrolled/],
    [[...flags, "--node", UEID], /exclude each other/],
    [
      [...flags, "--class", "bogus"],
      /no class "bogus"; it has break-glass, standard|standard, break/,
    ],
    [[...flags, "--lifetime", "31d"], /allows 2592000 s/],
    [[...flags, "--class", "break-glass", "--lifetime", "2h"], /break-glass allows 3600 s/],
    [[...flags, "--not-before", "2001-01-01T00:00:00Z"], /lies in the past/],
    [[...flags, "--not-before", "tomorrow"], /flags: not-before: "tomorrow" is no time/],
    [[...flags, "--policy", "other"], /policy other is not active/],
    [[...flags, "--uses", "0"], /flags: uses: "0" is no whole number/],
    [[...flags, "--uses", "1.5"], /flags: uses: "1.5"/],
    [[...flags, "--env", "A"], /"A" is not name=value/],
    [[...flags, "--env", "A=1", "--env", "A=2"], /A is given twice/],
    [[...flags, "--stdin", "file"], /flags: stdin: expected one of none, inherit/],
    [[...flags, "--sub", "two words"], /grant\.sub: expected an identifier/],
    [[...flags, "--holder", "absent.pem"], /absent\.pem does not exist/],
    [[...flags, "--signer", "absent.pem"], /absent\.pem does not exist/],
    [["absent.yaml"], /absent\.yaml does not exist/],
    [["base.yaml", "--exec", "/bin/true"], /exclude each other/],
    [["base.yaml"], /base\.yaml: unknown "name"; known are executable/],
  ])("%j is refused in one line", async (words, message) => {
    const { code, out, err } = await place.run(["authorize", ...words]);
    expect(err).toMatch(message);
    expect(err.trim().split("\n")).toHaveLength(1);
    expect([code, out]).toEqual([64, ""]);
  });

  test.each([
    ["uses: 1\nuses: 2", /line 2, column 1: Map keys must be unique/],
    ["a: &x 1\nb: *x", /aliases|unknown/],
    ["executable: [", /line \d+, column \d+: /],
    ["- executable", /expected a map/],
    ["executable: /bin/true\nuses: [1]", /uses: expected text/],
    ["executable: /bin/true\ncwd: srv", /cwd: expected an absolute path/],
    [
      "executable: /bin/true\nenvironment: {A: {sha256: 00}}",
      /environment\.A\.sha256: expected 64/,
    ],
    ["executable: /bin/true\narguments: [[a, {b: c}]]", /arguments\[0\]\[1\]: unknown "b"/],
    ["executable: /bin/true\n---\nuses: 1", /multiple documents/i],
  ])("the document %j is refused, with the place", async (document, message) => {
    const file = await place.write("bad.yaml", document);
    const { code, err } = await place.run(["authorize", file]);
    expect(err).toMatch(message);
    expect(err).toContain("bad.yaml");
    expect(code).toBe(64);
  });

  test("one signer short of the threshold, or a stranger among them, is refused", async () => {
    const key = (name: string) => join(place.home, "keys", `${name}.pem`);
    const one = await place.run(["authorize", ...flags, "--signer", key("authority-1")]);
    expect(one.err).toMatch(/needs 2 of 3 keys, and 1 of them is at hand/);
    const same = ["--signer", key("authority-1"), "--signer", key("authority-1")];
    const twice = await place.run(["authorize", ...flags, ...same]);
    expect(twice.err).toMatch(/1 of them is at hand/);
    const mixed = ["--signer", key("authority-1"), "--signer", key("policy-1")];
    const stranger = await place.run(["authorize", ...flags, ...mixed]);
    expect(stranger.err).toMatch(/may not sign for authority/);
    expect([one.code, twice.code, stranger.code]).toEqual([64, 64, 64]);
    const two = [...same.slice(0, 2), "--signer", key("authority-3")];
    expect((await place.run(["authorize", ...flags, ...two])).code).toBe(0);
  });

  test("--out never overwrites; --holder takes a key", async () => {
    const taken = await place.write("taken", "x");
    const { code, err } = await place.run(["authorize", ...flags, "--out", taken]);
    expect([code, err]).toEqual([64, expect.stringMatching(/exists already; the grant lies in/)]);
    expect(await readFile(taken, "utf8")).toBe("x");
    const key = join(place.home, "keys/policy-1.pem");
    const grant = await grantOf(await authorize(...flags, "--holder", key));
    expect(grant.cnf).toMatchObject({ key: { kty: "OKP" } });
  });
});

describe("what a snapshot says", () => {
  test("renew: the next version, as long as was asked for", async () => {
    const before = await version();
    const told = await place.json<{ version: number; issued: string; expires: string }>([
      "snapshot",
      "renew",
      "--lifetime",
      "10m",
    ]);
    expect(told).toMatchObject({ version: before + 1, domain: "example.org", freeze: "none" });
    expect(Date.parse(told.expires) - Date.parse(told.issued)).toBe(600_000);
    const long = await place.run(["snapshot", "renew", "--lifetime", "61m"]);
    expect([long.code, await version()]).toEqual([64, before + 1]);
  });

  test("freeze, freeze --all, unfreeze", async () => {
    expect(await place.json(["freeze"])).toMatchObject({ freeze: "new" });
    expect(await place.json(["freeze", "--all"])).toMatchObject({ freeze: "all" });
    expect(await place.json(["status"])).toMatchObject({ snapshot: { freeze: "all" } });
    expect(await place.json(["unfreeze"])).toMatchObject({ freeze: "none" });
  });

  test("revoke: by file, index and digest, all or none", async () => {
    const { file, statusIndex, digest } = await authorize("--exec", "/bin/true", "--label", "web");
    const beyond = await place.run(["revoke", file, "--grant", "999999"]);
    expect([beyond.code, beyond.err]).toEqual([64, expect.stringMatching(/beyond the list/)]);
    expect(isRevoked(await status(), "grants", statusIndex)).toBe(false);
    const told = await place.json(["revoke", file, "--node", "3", "--digest", digest]);
    expect(told).toMatchObject({
      revoked: [
        { kind: "grant", index: statusIndex },
        { kind: "node", index: 3 },
        { kind: "element", digest },
      ],
    });
    const list = await status();
    expect(isRevoked(list, "grants", statusIndex)).toBe(true);
    expect(isRevoked(list, "nodes", 3)).toBe(true);
    expect(isRevoked(list, "nodes", 4)).toBe(false);
    expect(list.elements.map((one) => Buffer.from(one).toString("hex"))).toContain(digest);
    for (const words of [[], [join(place.home, "charters/1.charter")], ["--digest", "00"]]) {
      expect((await place.run(["revoke", ...words])).code).toBe(64);
    }
  });

  test("policies: sign, activate alternatives, replace, deactivate", async () => {
    const second = POLICY.replace("name: base", "name: base\nfirmware-version-min: 0x1a");
    const file = await place.write("second.yaml", second);
    const signed = await place.json<{ digest: string }>(["policy", "sign", file]);
    expect(signed).toMatchObject({ name: "base", version: 2 });
    const names = (told: { policies: { base?: string[] } }) => told.policies.base ?? [];
    type Told = { policies: { base?: string[] } };
    const added = names(await place.json<Told>(["policy", "activate", "base"]));
    expect(added).toHaveLength(2);
    expect(added).toContain(signed.digest);
    const replaced = await place.json<Told>(["policy", "activate", "base", "--replace"]);
    expect(names(replaced)).toEqual([signed.digest]);
    const { policies } = await place.json<{ policies: { active: boolean; version: number }[] }>([
      "policy",
      "show",
      "base",
    ]);
    expect(policies.map((one) => [one.version, one.active]).sort()).toEqual([
      [1, false],
      [2, true],
    ]);
    expect((await place.run(["policy", "show", "base"])).out).toMatch(/sha256 PCR 7: may be 1{64}/);
    await place.json(["policy", "deactivate", "base", "--digest", signed.digest.slice(0, 12)]);
    const again = await place.run(["policy", "deactivate", "base"]);
    expect([again.code, again.err]).toEqual([64, expect.stringMatching(/not active/)]);
    await place.json(["policy", "activate", "base"]);
  });

  test.each([
    ["16: aa", /PCR 16 can be reset by any program|expected 64/],
    [`16: ${"aa".repeat(32)}`, /PCR 16 can be reset by any program/],
    [`24: ${"aa".repeat(32)}`, /a PCR is a number from 0 to 23/],
    ["0: zz", /pcrs\.sha256\.0: expected 64 hex/],
    ["0: []", /1 to 64|expected/],
  ])("a policy over {%s} is refused", async (row, message) => {
    const file = await place.write("bad.yaml", `name: bad\npcrs: {sha256: {${row}}}\n`);
    const { code, err } = await place.run(["policy", "sign", file]);
    expect([code, err]).toEqual([64, expect.stringMatching(message)]);
  });
});

describe("inspect", () => {
  test("shows an object, and what is not verified about it", async () => {
    const issued = await authorize("--exec", "/bin/true", "--label", "web", "--arg", "a\nb");
    const { code, out } = await place.run(["inspect", issued.file]);
    expect(code).toBe(0);
    expect(out).toContain(issued.digest);
    expect(out).toMatch(/NOT verified:\n {2}- the signatures/);
    const shape = await place.json<{ unverified: string[] }>(["inspect", issued.file]);
    expect(shape).toMatchObject({ kind: "grant", digest: issued.digest });
    expect(shape.unverified.length).toBeGreaterThan(0);
    const none = await place.run(["inspect", await place.write("none", "nothing")]);
    expect([none.code, none.err]).toEqual([64, expect.stringMatching(/no object of ours/)]);
  });
});

describe("backup and restore", () => {
  test("a backup is a whole home, and an older ledger is called a rollback", async () => {
    const target = place.file("safe place");
    const told = await place.json<{ files: number }>(["backup", target]);
    expect(told.files).toBeGreaterThan(15);
    expect((await stat(target)).mode & 0o777).toBe(0o700);
    expect((await stat(join(target, "keys/root-1.pem"))).mode & 0o777).toBe(0o600);
    const again = await place.run(["backup", target]);
    expect([again.code, again.err]).toEqual([64, expect.stringMatching(/exists already/)]);
    const inside = await place.run(["backup", join(place.home, "backup")]);
    expect([inside.code, inside.err]).toEqual([64, expect.stringMatching(/in the home itself/)]);
    const over = await place.run(["restore", target]);
    expect([over.code, over.err]).toEqual([64, expect.stringMatching(/nothing is ever overwr/)]);
    const home = place.file("other home");
    const restored = await place.run(["restore", target, "--home", home]);
    expect(restored.code).toBe(0);
    expect(restored.err).toMatch(/^warning: This ledger is as old as the backup/);
    const [before, after] = [await loadDomain(place.home), await loadDomain(home)];
    expect(after.snapshot.bytes).toEqual(before.snapshot.bytes);
    const renewed = await place.run(["snapshot", "renew", "--home", home]);
    expect(renewed.code).toBe(0);
  });

  test.each([
    ["altered", (file: string) => writeFile(file, "x"), /was altered/],
    ["absent", (file: string) => rm(file), /is absent/],
    ["added", (file: string) => writeFile(`${file}2`, "x", { mode: 0o600 }), /not in the manifest/],
  ])("a file %s since the backup: nothing is restored", async (name, spoil, message) => {
    const target = place.file(`backup ${name}`);
    await place.json(["backup", target]);
    await spoil(join(target, "keys/root-1.pem"));
    const home = place.file(`home ${name}`);
    const { code, err } = await place.run(["restore", target, "--home", home]);
    expect([code, err]).toEqual([64, expect.stringMatching(message)]);
    await expect(readdir(home)).rejects.toThrow("ENOENT");
  });

  test.each(["../escape", "/etc/escape", "a//b"])(
    "a manifest that names %s is refused",
    async (path) => {
      const target = place.file(`backup ${path.replaceAll("/", "_")}`);
      await place.json(["backup", target]);
      const manifest = join(target, "MANIFEST.sha256");
      await writeFile(manifest, `${await readFile(manifest, "utf8")}${"0".repeat(64)}  ${path}\n`);
      const home = place.file("home escaped");
      const { code, err } = await place.run(["restore", target, "--home", home]);
      expect([code, err]).toEqual([64, expect.stringMatching(/no digest and path/)]);
    },
  );
});
