/** What npm publishes: all that is needed and nothing else, and a core that every Node can load. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { distribution, systemNode } from "../support/engine.ts";
import { node26 } from "../support/node26.ts";
import { ROOT, read } from "./source.ts";

const run = promisify(execFile);
const manifest = JSON.parse(read("package.json"));

let place: string;
let files: string[];
const unpacked = (): string => join(place, "node_modules/portcullis");

beforeAll(async () => {
  await distribution();
  place = await mkdtemp(join(tmpdir(), "portcullis-package-"));
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", place];
  const { stdout } = await run("npm", pack, { cwd: ROOT });
  const printed = JSON.parse(stdout);
  const [packed] = Array.isArray(printed) ? printed : Object.values(printed);
  files = packed.files.map((file: { path: string }) => file.path);
  await mkdir(unpacked(), { recursive: true });
  const extract = ["-xzf", join(place, packed.filename), "--strip-components=1", "-C", unpacked()];
  await run("tar", extract);
});
afterAll(() => rm(place, { recursive: true, force: true }));

describe("the packed tarball", () => {
  test("holds every file that package.json points to", () => {
    const targets = Object.values<string | Record<string, string>>(manifest.exports).flatMap(
      (target) => (typeof target === "string" ? [target] : Object.values(target)),
    );
    for (const target of [...targets, manifest.bin.portcullis]) {
      expect(files).toContain(String(target).replace("./", ""));
    }
  });

  test("holds all three builds of the core", () => {
    for (const build of ["simd", "scalar", "checked"]) {
      expect(files).toContain(`dist/src/core/wasm/core.${build}.wasm`);
    }
  });

  test("holds no sources, tests or tools", () => {
    const other = files.filter(
      (path) => !/^(?:bin|dist|docs)\/|^[A-Z]+\.md$|^(?:LICENSE|package\.json)$/.test(path),
    );
    expect(other).toEqual([]);
  });

  test("keeps the launcher executable", async () => {
    expect((await stat(join(unpacked(), "bin/portcullis"))).mode & 0o111).toBe(0o111);
  });
});

/** Needs the package alone: none of its dependencies is installed beside it. */
const USE = `
import { loadCore } from "portcullis/core";
const core = await loadCore();
const { allow, code } = core.decide(new Uint8Array([0xf6]));
const digest = core.hash("sha256", new TextEncoder().encode("abc"));
const major = Number(process.versions.node.split(".")[0]);
console.log(JSON.stringify({ major, allow, code, digest: Buffer.from(digest).toString("hex") }));
`;
/** FIPS 180-4's example "abc". */
const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

describe('import "portcullis/core" from the tarball', () => {
  async function use(executable: string) {
    await writeFile(join(place, "use.mjs"), USE);
    const { stdout, stderr } = await run(executable, ["use.mjs"], { cwd: place });
    expect(stderr).toBe("");
    const { major, ...rest } = JSON.parse(stdout);
    expect(rest).toEqual({ allow: false, code: expect.any(String), digest: ABC });
    return major;
  }

  test("works in this Node", async () => {
    expect(await use(process.execPath)).toBeGreaterThanOrEqual(24);
  });

  test("works in Node 26", async () => {
    expect(await use(node26())).toBe(26);
  });

  const system = systemNode();
  test.skipIf(system === null)(`works in the system's Node (${system ?? "none"})`, async () => {
    expect(await use(system ?? "")).toBeGreaterThanOrEqual(20);
  });

  test("has types that a strict project accepts", async () => {
    const source = [
      'import { type Code, type Core, loadCore, type Verdict } from "portcullis/core";',
      "const core: Core = await loadCore({ build: 'scalar' });",
      "const verdict: Verdict = core.decide(new Uint8Array(0), { explain: true });",
      "export const code: Code | null = verdict.code;",
      "// @ts-expect-error A verdict is no place for anything else, so its types were found.",
      "export const other: number = verdict;",
    ];
    await writeFile(join(place, "use.mts"), source.join("\n"));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2023"];
    const lib = ["--lib", "es2023,dom"];
    const checked = run(process.execPath, [tsc, ...options, ...lib, "use.mts"], { cwd: place });
    await expect(checked).resolves.toMatchObject({ stdout: "" });
  });
});
