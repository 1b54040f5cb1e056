/** Runs a JavaScript module elsewhere than in this process: in another Node, or in a browser. */
import { execFile } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

export interface Engine {
  /** Name and version. */
  readonly name: string;
  /**
   * Runs the source of an ES module that exports `(input, base) => output` by default, input and
   * output being JSON and base the URL of dist/ as the engine sees it. @throws what it throws.
   */
  run(source: string, input: unknown): Promise<unknown>;
  close(): Promise<void>;
}

/** The folder dist/, which must have been built. */
export async function distribution(): Promise<string> {
  const dist = join(root, "dist");
  await access(join(dist, "src/core/wasm/core.checked.wasm")).catch((cause: unknown) => {
    throw new Error("dist/ is not built: run `npm run build`.", { cause });
  });
  return dist;
}

const RUNNER = `
import { readFile, writeFile } from "node:fs/promises";
import job from "./job.mjs";
const { input, base } = JSON.parse(await readFile("input.json", "utf8"));
await writeFile("output.json", JSON.stringify(await job(input, base)));
`;

/** The engine of a Node binary. */
export async function nodeEngine(executable: string): Promise<Engine> {
  const base = pathToFileURL(`${await distribution()}/`).href;
  const { stdout } = await run(executable, ["--version"]);
  return {
    name: `Node ${stdout.trim()}`,
    async run(source, input) {
      const cwd = await mkdtemp(join(tmpdir(), "portcullis-engine-"));
      try {
        await writeFile(join(cwd, "job.mjs"), source);
        await writeFile(join(cwd, "runner.mjs"), RUNNER);
        await writeFile(join(cwd, "input.json"), JSON.stringify({ input, base }));
        await run(executable, ["runner.mjs"], { cwd });
        return JSON.parse(await readFile(join(cwd, "output.json"), "utf8"));
      } finally {
        await rm(cwd, { recursive: true, force: true });
      }
    },
    close: () => Promise.resolve(),
  };
}

/** A program of the PATH. @throws where it is not installed. */
export function programOf(name: string): string {
  const found = foldersOfPath()
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error(`${name} is not installed: \`sh scripts/setup --tests\` installs it.`);
  }
  return found;
}

/** The system's own Node, which may be older than ours; null where there is none. */
export function systemNode(): string | null {
  const paths = foldersOfPath().map((folder) => join(folder, "node"));
  const own = (path: string): boolean => /[/\\]node_modules[/\\]/.test(realpathSync(path));
  return paths.find((path) => existsSync(path) && !own(path)) ?? null;
}

const foldersOfPath = (): string[] =>
  (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
