/** A build from clean sources gives the same bytes twice, and in every folder. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { distribution } from "../support/engine.ts";

const root = join(await distribution(), "..");
const SOURCES = ["assembly", "scripts", "src/core/codes.ts", "src/limits.ts", "asconfig.json"];
const BUILDS = ["simd", "scalar", "checked"];
const folders: string[] = [];

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function build(name: string): Promise<string[]> {
  const folder = join(await mkdtemp(join(tmpdir(), "portcullis-build-")), name);
  folders.push(dirname(folder));
  for (const source of [...SOURCES, "package.json"]) {
    await mkdir(dirname(join(folder, source)), { recursive: true });
    // What a build generates is not copied.
    const filter = (path: string): boolean => !/generated\.ts$/.test(path);
    await cp(join(root, source), join(folder, source), { recursive: true, filter });
  }
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await promisify(execFile)(process.execPath, ["scripts/build.ts", "--wasm"], { cwd: folder });
  return digests(folder);
}

const digests = (folder: string): Promise<string[]> =>
  Promise.all(
    BUILDS.map(async (name) => {
      const bytes = await readFile(join(folder, `src/core/wasm/core.${name}.wasm`));
      return createHash("sha256").update(bytes).digest("hex");
    }),
  );

test("two clean builds in folders of different names are bit for bit this checkout's", async () => {
  const first = await build("a");
  expect(await build("another-and-longer-name")).toEqual(first);
  expect(await digests(root)).toEqual(first);
});
