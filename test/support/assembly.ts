/**
 * Parts of assembly/ on their own, for unit tests: any files as entries, in each of the three
 * builds of asconfig.json. A module is compiled once for each state of the sources and kept in the
 * system's folder for temporary files.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { glob, mkdir, readFile, rmdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { writeKernels } from "../../scripts/kernels.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

export const BUILDS = ["simd", "scalar", "checked"] as const;
export type Build = (typeof BUILDS)[number];

interface Part {
  readonly files: readonly string[];
  /** The builds that tests ask for: made in one go, for asc is quicker once it is warm. */
  readonly builds: readonly Build[];
}

const part = (builds: readonly Build[], ...names: readonly string[]): Part => ({
  files: names.map((name) => `assembly/${name}.ts`),
  builds,
});

/** Files that make one module where any of them is asked for. No two may export the same name. */
const TOGETHER: readonly Part[] = [
  part(
    BUILDS,
    ...["crypto", "sig/ecdsa", "sig/ed25519", "sig/rsa", "policy/pcr-rules"],
    ...["public", "attest", "signature", "pcr", "clock"].map((name) => `tpm/${name}`),
  ),
  part(BUILDS, "field/lehmer", "field/montgomery", "field/limbs", "hash/hash"),
  part(["simd"], "field/p256-lanes", "field/long-lanes", "hash/sha256-lanes"),
  part(
    ["simd"],
    ...["ecdsa-items", "p384-batch", "p256-batch", "prepared-keys", "ecdsa"].map(
      (name) => `sig/${name}`,
    ),
  ),
];

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
  entries: readonly string[],
): Promise<WebAssembly.Module> {
  const text = await readFile(join(root, "asconfig.json"), "utf8");
  await writeKernels(root);
  const folder = join(tmpdir(), `portcullis-assembly-${await sourceDigest(text)}`);
  await mkdir(folder, { recursive: true });
  const { files, builds } = TOGETHER.find(
    (part) => part.builds.includes(build) && entries.every((name) => part.files.includes(name)),
  ) ?? { files: entries, builds: [build] };
  const name = createHash("sha256").update(files.join()).digest("hex").slice(0, 12);
  const pathOf = (one: Build): string => join(folder, `${name}.${one}.wasm`);
  await alone(join(folder, `${name}.lock`), pathOf(build), async () => {
    const jobs = builds.map((one) => ({ path: pathOf(one), args: argumentsOf(text, one, files) }));
    await promisify(execFile)(process.execPath, [COMPILER, JSON.stringify(jobs)], { cwd: root });
  });
  return WebAssembly.compile(await readFile(pathOf(build)));
}

const COMPILER = fileURLToPath(new URL("compiler.ts", import.meta.url));

function argumentsOf(config: string, build: Build, files: readonly string[]): string[] {
  const { targets, options }: Config = JSON.parse(config);
  const args = ["assembly/abi.ts", ...files, "--config", "none", "--runtime", options.runtime];
  args.push("--optimizeLevel", `${options.optimizeLevel}`);
  args.push("--shrinkLevel", `${options.shrinkLevel}`);
  for (const use of targets[build].use) args.push("--use", use);
  for (const feature of targets[build].enable ?? []) args.push("--enable", feature);
  return args;
}

const STALE_MS = 300_000;

/** Makes the file unless it is there; of several processes, one does, and the others wait. */
async function alone(lock: string, path: string, make: () => Promise<void>): Promise<void> {
  while (!existsSync(path)) {
    try {
      await mkdir(lock);
    } catch {
      const held = await stat(lock).catch(() => null);
      if (held !== null && Date.now() - held.mtimeMs > STALE_MS) await rmdir(lock);
      await sleep(100);
      continue;
    }
    try {
      if (!existsSync(path)) await make();
    } finally {
      await rmdir(lock);
    }
  }
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
