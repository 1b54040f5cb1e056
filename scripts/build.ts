/**
 * Builds everything that is not committed: `assembly/generated.ts` (code numbers and bounds, from
 * the tables in src/), the three WebAssembly builds, and dist/. `--wasm` leaves dist/ out. Prints
 * each module's size and SHA-256.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CODE_LIST, FAMILIES, familyOf } from "../src/core/codes.ts";
import { LIMITS } from "../src/limits.ts";
import { bundle } from "./bundle.ts";
import { writeKernels } from "./kernels.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const upper = (name: string): string =>
  name
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .replace(/[.-]/g, "_")
    .toUpperCase();

/** The constants that core and host share, as AssemblyScript. */
export function generated(): string {
  const lines = ["// Made by scripts/build.ts from src/core/codes.ts and src/limits.ts."];
  lines.push("export const enum Code {", "  NONE = 0,");
  CODE_LIST.forEach((code, i) => {
    lines.push(`  ${upper(code)} = ${i + 1},`);
  });
  lines.push("}", "export const enum Family {");
  FAMILIES.forEach((family, i) => {
    lines.push(`  ${upper(family)} = ${i},`);
  });
  lines.push("}", `export const CODES: u32 = ${CODE_LIST.length};`);
  lines.push(
    `export const FAMILIES: u32 = ${FAMILIES.length};`,
    "/** The family of each code, by number. */",
  );
  const families = [0, ...CODE_LIST.map((code) => FAMILIES.indexOf(familyOf(code)))];
  lines.push(`export const FAMILY_OF: usize = memory.data<u8>([${families.join(", ")}]);`);
  lines.push("export namespace limits {");
  for (const [name, value] of Object.entries(LIMITS)) {
    lines.push(`  export const ${name}: u32 = ${value};`);
  }
  lines.push("}", "");
  return lines.join("\n");
}

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [join(root, command), ...args], {
      cwd: root,
      stdio: "inherit",
    });
    child.on("error", fail);
    child.on("exit", (code) =>
      code === 0 ? done() : fail(new Error(`${command} ${args.join(" ")} failed`)),
    );
  });
}

async function buildWasm(target: string): Promise<void> {
  await run("node_modules/assemblyscript/bin/asc.js", ["--target", target]);
  const path = join(root, "src/core/wasm", `core.${target}.wasm`);
  const bytes = await readFile(path);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  console.log(`core.${target}.wasm  ${bytes.length} bytes  sha256 ${sha256}`);
}

async function buildDist(): Promise<void> {
  await rm(join(root, "dist"), { recursive: true, force: true });
  await run("node_modules/typescript/bin/tsc", ["-p", "tsconfig.build.json"]);
  await mkdir(join(root, "dist/src/core/wasm"), { recursive: true });
  for (const target of ["simd", "scalar", "checked"]) {
    const name = `src/core/wasm/core.${target}.wasm`;
    await writeFile(join(root, "dist", name), await readFile(join(root, name)));
  }
  await cp(join(root, "src/server/page"), join(root, "dist/src/server/page"), { recursive: true });
  await bundle(join(root, "dist"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await mkdir(join(root, "src/core/wasm"), { recursive: true });
  await writeFile(join(root, "assembly/generated.ts.new"), generated());
  await rename(join(root, "assembly/generated.ts.new"), join(root, "assembly/generated.ts"));
  await writeKernels(root);
  await Promise.all([buildWasm("simd"), buildWasm("scalar")]);
  await buildWasm("checked");
  if (!process.argv.includes("--wasm")) await buildDist();
}
