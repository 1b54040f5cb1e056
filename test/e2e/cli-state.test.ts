/** What lies in the home is absent, or something else than it should be: denied, and recorded. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { parseLeaf } from "../../src/log/leaf.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { generateKey } from "../../src/wire/keys.ts";
import { preparedMachines } from "../../swtpm/index.ts";
import { Place } from "./cli-support.ts";
import { softwareTpm } from "./tpm-support.ts";

const tpms = softwareTpm();
let place: Place;
const words = ["--json", "--grant", "echo.grant", "--", "/bin/echo", "hello"];

beforeAll(async () => {
  place = await Place.make();
  const { root: vendor, issuer } = await preparedMachines();
  const files = [await place.write("root.pem", vendor), await place.write("issuer.pem", issuer)];
  const trust = ["--root", files[0] ?? "", "--intermediate", files[1] ?? ""];
  await place.json(["init", "example.org", "--tpm", tpms.machine.uri]);
  await place.json(["enroll", ...trust]);
  await place.json(["policy", "capture", "base"]);
  await place.json(["policy", "activate", "base"]);
  const job = ["--exec", "/bin/echo", "--arg", "hello", "--uses", "30"];
  await place.json(["authorize", ...job, "--out", "echo.grant"]);
  expect(await place.run(["run", ...words])).toMatchObject({ code: 0 });
});
afterAll(() => place.remove());

/** Leaves of the log, from this one on, as their event and code. */
async function leaves(from = 0): Promise<string[]> {
  const store = openSqliteStore(join(place.home, "state.db"));
  const stored = await store.leaves(from, 1_000).finally(() => store.close());
  return stored.map(({ bytes }) => {
    const { event, code } = parseLeaf(bytes);
    return code === null ? event : `${event} ${code}`;
  });
}

const shapes: { readonly [shape: string]: (path: string) => unknown } = {
  folder: (path) => mkdir(path, { mode: 0o700 }),
  pipe: (path) => execFileSync("mkfifo", ["-m", "600", path]),
  loop: (path) => symlink(path, path),
  file: (path) => writeFile(path, "no such thing", { mode: 0o600 }),
};

test("the job spoils the state: told that it ran, and declared aborted by the next run", async () => {
  const state = join(place.home, "state.db");
  const job = ["--exec", "/bin/chmod", "--arg", "0640", "--arg", state, "--out", "chmod.grant"];
  await place.json(["authorize", ...job]);
  const before = (await leaves()).length;
  const spoilt = ["run", "--json", "--grant", "chmod.grant", "--", "/bin/chmod", "0640", state];
  const { code, out } = await place.run(spoilt);
  const detail = expect.stringMatching(/^it was admitted, and its end could not be recorded: /);
  expect([code, JSON.parse(out)]).toEqual([
    70,
    expect.objectContaining({ code: "internal.log", detail, leaf: null }),
  ]);
  await chmod(state, 0o600);
  expect(await leaves(before)).toEqual(["intent"]);
  expect((await place.run(["run", ...words])).code).toBe(0);
  expect(await leaves(before)).toEqual(["intent", "aborted", "intent", "outcome"]);
});

describe("instead of what belongs there", () => {
  let at = "";
  afterEach(async () => {
    await rm(at, { recursive: true, force: true });
    if (existsSync(place.file("aside"))) await rename(place.file("aside"), at);
  });

  async function put(name: string, shape: string): Promise<void> {
    at = join(place.home, name);
    await rename(at, place.file("aside"));
    await shapes[shape]?.(at);
  }

  test.each([
    ["charters", "file", 70, "internal.evidence"],
    ["snapshots", "loop", 70, "internal.evidence"],
    ["policies", "pipe", 70, "internal.evidence"],
    ["policies", "folder", 77, "policy.missing"],
    ["node/credential", "loop", 70, "internal.evidence"],
  ])("%s: a %s, denied and recorded", async (name, shape, exit, code) => {
    const before = (await leaves()).length;
    await put(name, shape);
    const { code: status, out } = await place.run(["run", ...words]);
    const denial = expect.objectContaining({ code, leaf: before });
    expect([status, JSON.parse(out)]).toEqual([exit, denial]);
    expect(await leaves(before)).toEqual([`denied ${code}`]);
  });

  test("cases: a file, so that no case can be kept: nothing starts, and that is recorded", async () => {
    const before = (await leaves()).length;
    await put("cases", "file");
    for (const verb of ["run", "check"]) {
      const { code, out } = await place.run([verb, ...words]);
      expect([code, JSON.parse(out).code]).toEqual([70, "internal.log"]);
    }
    expect(await leaves(before)).toEqual(["denied internal.log", "checked"]);
  });

  test("the log's key: absent or another, nothing starts, and the log still verifies", async () => {
    const before = (await leaves()).length;
    await put("node/log.pem", "absent");
    const { code, out } = await place.run(["run", ...words]);
    expect([code, JSON.parse(out).detail]).toEqual([70, expect.stringContaining("backup")]);
    expect(existsSync(at)).toBe(false);
    const pem = generateKey("Ed25519").export({ type: "pkcs8", format: "pem" });
    await writeFile(at, pem, { mode: 0o600 });
    for (const verb of ["run", "check"]) {
      const other = await place.run([verb, ...words]);
      expect([other.code, JSON.parse(other.out).code]).toEqual([70, "internal.log"]);
    }
    expect(await leaves(before)).toEqual([]);
    expect((await place.run(["audit", "verify"])).code).toBe(0);
  });
});
