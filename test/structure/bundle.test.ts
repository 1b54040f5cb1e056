/** dist/src/cli, which scripts/bundle.ts makes: whole, and no more of it loaded than a verb needs. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { distribution } from "../support/engine.ts";
import { ROOT } from "./source.ts";

const run = promisify(execFile);
let place: string;
let cli: string;

beforeAll(async () => {
  cli = join(await distribution(), "src/cli");
  place = await mkdtemp(join(tmpdir(), "portcullis bundle "));
});
afterAll(() => rm(place, { recursive: true, force: true }));

test("every part of it loads, from any directory", async () => {
  const parts = (await readdir(cli)).filter((name) => name !== "main.js");
  const urls = parts.map((name) => pathToFileURL(join(cli, name)).href);
  const all = `await Promise.all(${JSON.stringify(urls)}.map((url) => import(url)));`;
  await writeFile(join(place, "all.mjs"), `${all}\nconsole.log("loaded");`);
  const { stdout, stderr } = await run(process.execPath, [join(place, "all.mjs")], { cwd: "/" });
  expect([stdout, stderr]).toEqual(["loaded\n", ""]);
});

/** Prints what was loaded when the process ends. */
const LISTING = `
import { registerHooks } from "node:module";
const urls = [];
registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) });
process.on("exit", () => console.error(JSON.stringify(urls)));
`;

/** The files that a command loads. */
async function loadedBy(...words: string[]): Promise<string[]> {
  await writeFile(join(place, "listing.mjs"), LISTING);
  const all = ["--import", join(place, "listing.mjs"), join(cli, "main.js"), ...words];
  const { stderr } = await run(process.execPath, all, { cwd: "/" });
  const urls: string[] = JSON.parse(stderr);
  return urls.filter((url) => url.startsWith("file:"));
}

test("a run loads a dozen files, and neither server nor parsers of words and YAML", async () => {
  const loaded = await loadedBy("run", "--help");
  expect(loaded.length).toBeLessThanOrEqual(12);
  expect(loaded.filter((url) => url.includes("/node_modules/"))).toEqual([]);
});

test("what looks at files alone loads neither the gate nor its state", async () => {
  for (const verb of ["eventlog", "ima", "checkquote"]) {
    const loaded = await loadedBy(verb, "--help");
    expect(loaded.filter((url) => /\/(?:gate|state|agent)\.js$/.test(url))).toEqual([]);
  }
});

test("it is started through a link, and says its version and what it does not know", async () => {
  const link = join(place, "portcullis");
  await symlink(join(ROOT, "bin/portcullis"), link);
  const { stdout } = await run(link, ["--version"], { cwd: "/" });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const unknown = run(link, ["rnu"], { cwd: "/" });
  await expect(unknown).rejects.toMatchObject({ code: 64, stderr: /unknown verb 'rnu'/ });
  const lacking = run(link, ["run", "--grant", "none", "--", "/usr/bin/true"], {
    cwd: "/",
    env: { PORTCULLIS_HOME: join(place, "nowhere") },
  });
  await expect(lacking).rejects.toMatchObject({ code: 64, stderr: /There is no home/ });
});
