/**
 * Parts of assembly/ on their own, for unit tests: any files as entries, in each of the three
 * builds of asconfig.json. A module is compiled once for each state of the sources and kept in the
 * system's folder for temporary files.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { glob, mkdir, readFile, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { writeKernels } from "../../scripts/kernels.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

export const BUILDS = ["simd", "scalar", "checked"] as const;
export type Build = (typeof BUILDS)[number];

/**
 * Files that make one module where any of them is asked for: asc takes seconds for each. No two of
 * a row may export the same name.
 */
const TOGETHER: readonly (readonly string[])[] = [
  ["crypto", "sig/ecdsa", "sig/ed25519", "sig/rsa", "policy/pcr-rules"].concat(
    ["public", "attest", "signature", "pcr", "clock"].map((name) => `tpm/${name}`),
  ),
  ["field/safegcd", "field/montgomery", "field/limbs", "hash/hash"],
  ["field/p256-lanes", "field/long-lanes", "hash/sha256-lanes"],
  ["sig/p384-lanes", "sig/p256-batch", "sig/prepared-keys", "sig/ecdsa"],
].map((row) => row.map((name) => `assembly/${name}.ts`));

interface Config {
  targets: Record<Build, { use: string[]; enable?: string[] }>;
  options: { runtime: string; optimizeLevel: number; shrinkLevel: number };
}

async function sourceDigest(config: string): Promise<string> {
  const sources = createHash("sha256").update(config);
  const names: string[] = [];
  for await (const name of glob("assembly/**/*.ts", { cwd: root })) names.push(name);
  for (const name of names.sort()) sources.update(name).update(await readFile(join(root, name)));
  return sources.digest("hex").slice(0, 24);
}

/**
 * Compiles the entries (paths below the project's root), perhaps with others, and gives the module.
 */
export async function compile(
  build: Build,
  wanted: readonly string[],
): Promise<WebAssembly.Module> {
  const entries = TOGETHER.find((row) => wanted.every((name) => row.includes(name))) ?? wanted;
  const text = await readFile(join(root, "asconfig.json"), "utf8");
  const { targets, options }: Config = JSON.parse(text);
  await writeKernels(root);
  const folder = join(tmpdir(), `portcullis-assembly-${await sourceDigest(text)}`);
  const name = createHash("sha256").update(entries.join()).digest("hex").slice(0, 12);
  const path = join(folder, `${name}.${build}.wasm`);
  if (!existsSync(path)) {
    await mkdir(folder, { recursive: true });
    const made = `${path}.${process.pid}`;
    const args = ["--config", "none", "--outFile", made, "--runtime", options.runtime];
    args.push("--optimizeLevel", `${options.optimizeLevel}`);
    args.push("--shrinkLevel", `${options.shrinkLevel}`);
    for (const use of targets[build].use) args.push("--use", use);
    for (const feature of targets[build].enable ?? []) args.push("--enable", feature);
    const asc = join(root, "node_modules/assemblyscript/bin/asc.js");
    await promisify(execFile)(process.execPath, [asc, "assembly/abi.ts", ...entries, ...args], {
      cwd: root,
    });
    await rename(made, path);
  }
  return WebAssembly.compile(await readFile(path));
}

type Call = (...args: (number | bigint)[]) => number;

/** An instance whose memory has room for a test's own bytes behind everything static. */
export class Instance {
  readonly #exports: WebAssembly.Exports;
  readonly #memory: WebAssembly.Memory;
  readonly #start: number;
  #next: number;

  constructor(module: WebAssembly.Module) {
    this.#exports = new WebAssembly.Instance(module, {}).exports;
    const memory = this.#exports.memory;
    if (!(memory instanceof WebAssembly.Memory)) throw new Error("the module has no memory");
    this.#memory = memory;
    this.#start = memory.grow(4) * 65_536;
    this.#next = this.#start;
  }

  /** Calls an exported function; numbers come back signed, as WebAssembly gives them. */
  call(name: string, ...args: (number | bigint)[]): number {
    const found = this.#exports[name];
    if (typeof found !== "function") throw new Error(`no export ${name}`);
    return (found as Call)(...args);
  }

  /** Frees all that `put` and `room` gave out. */
  reset(): void {
    this.#next = this.#start;
  }

  /** Room for `length` bytes, at a multiple of 16. */
  room(length: number): number {
    const at = this.#next;
    this.#next = (at + length + 15) & ~15;
    if (this.#next > this.#memory.buffer.byteLength) {
      this.#memory.grow(Math.ceil((this.#next - this.#memory.buffer.byteLength) / 65_536));
    }
    return at;
  }

  put(bytes: Uint8Array): number {
    const at = this.room(bytes.length);
    new Uint8Array(this.#memory.buffer).set(bytes, at);
    return at;
  }

  /** Writes bytes where the core itself keeps something. */
  write(at: number, bytes: Uint8Array): void {
    new Uint8Array(this.#memory.buffer).set(bytes, at);
  }

  get(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer).slice(at, at + length);
  }
}
