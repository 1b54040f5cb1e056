/** `portcullis` as a process of its own, in a home of its own. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const main = join(root, "src/cli/main.ts");

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A folder for one test, with a space in its name, and a home that is not made yet. */
export class Place {
  readonly path: string;
  readonly home: string;

  constructor(path: string) {
    this.path = path;
    this.home = join(path, "the home");
  }

  static async make(): Promise<Place> {
    return new Place(await mkdtemp(join(tmpdir(), "portcullis cli ")));
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }

  file(name: string): string {
    return join(this.path, name);
  }

  async write(name: string, content: string | Uint8Array): Promise<string> {
    await writeFile(this.file(name), content, { mode: 0o600 });
    return this.file(name);
  }

  /** Runs one command; $PORTCULLIS_HOME names the home. */
  run(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    return runNode([main, ...words], { PORTCULLIS_HOME: this.home, ...env }, this.path);
  }

  /** The result of a command that must succeed, with --json. */
  async json<T>(words: readonly string[]): Promise<T> {
    const { code, out, err } = await this.run([...words, "--json"]);
    if (code !== 0) throw new Error(`${words.join(" ")}: exit ${code}: ${err}`);
    return JSON.parse(out) as T;
  }
}

export function runNode(
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
): Promise<Ran> {
  return new Promise((done) => {
    const { PATH, NODE_COMPILE_CACHE } = process.env;
    const all = { PATH, HOME: cwd, NODE_COMPILE_CACHE, ...env };
    execFile(process.execPath, words, { env: all, cwd }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
      done({ code, out, err });
    });
  });
}

const PCR = (byte: string): string => byte.repeat(32);

/** A policy over two PCRs. */
export const POLICY = `name: base
pcrs:
  sha256:
    0: ${PCR("aa")}
    7: [${PCR("bb")}, ${PCR("11")}]
`;
export const UEID = "01aabbccddeeff0011";
