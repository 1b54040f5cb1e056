/** `portcullis` as a process, in a home of its own. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { performWarm } from "../support/warm-process.ts";

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

  /**
   * Runs one command; $PORTCULLIS_HOME names the home. What starts jobs, stays, or is told more of
   * its environment has a process of its own; the others share one, which is quicker.
   */
  run(words: readonly string[], more?: NodeJS.ProcessEnv): Promise<Ran> {
    const env = environmentOf(this.path, { PORTCULLIS_HOME: this.home, ...more });
    const [verb = "-"] = words;
    if (more !== undefined || verb.startsWith("-") || APART.includes(verb)) {
      return runNode([main, ...words], env, this.path);
    }
    return performWarm({ words, env, cwd: this.path });
  }

  /** The result of a command that must succeed, with --json. */
  async json<T>(words: readonly string[]): Promise<T> {
    const { code, out, err } = await this.run([...words, "--json"]);
    if (code !== 0) throw new Error(`${words.join(" ")}: exit ${code}: ${err}`);
    return JSON.parse(out) as T;
  }
}

const APART = ["run", "check", "agent", "serve", "demo", "doctor"];

function environmentOf(cwd: string, more: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  return { PATH, HOME: cwd, NODE_COMPILE_CACHE, ...more };
}

export function runNode(
  words: readonly string[],
  more: NodeJS.ProcessEnv,
  cwd: string,
): Promise<Ran> {
  return new Promise((done) => {
    const env = environmentOf(cwd, more);
    execFile(process.execPath, words, { env, cwd }, (error, out, err) => {
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
