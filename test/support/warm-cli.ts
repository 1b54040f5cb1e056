/**
 * `portcullis` in a process that stays: performs one command after another, each as a process of its
 * own would, without loading it all again. A child of test/e2e/cli-support.ts.
 */
import { perform } from "../../src/cli/command.ts";

export interface Command {
  readonly words: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

export interface Performed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** What is written to the stream while the work goes on. */
function captured(stream: NodeJS.WriteStream): () => string {
  let text = "";
  stream.write = (chunk: string | Uint8Array): boolean => {
    text += Buffer.from(chunk as Uint8Array).toString();
    return true;
  };
  return () => text;
}

async function performAlone({ words, env, cwd }: Command): Promise<Performed> {
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined) process.env[name] = value;
  }
  process.chdir(cwd);
  process.umask(0o022);
  const [out, err] = [captured(process.stdout), captured(process.stderr)];
  const code = await perform(words);
  return { code, out: out(), err: err() };
}

let last: Promise<unknown> = Promise.resolve();
process.on("message", (command: Command) => {
  last = last.then(async () => process.send?.(await performAlone(command)));
});
process.on("disconnect", () => process.exit());
