/**
 * Words to a call to an exit code: finds the verb, loads its module and no other, and turns whatever
 * it throws into one line and a documented exit code (src/gate/exit-codes.ts).
 */
import { UsageError } from "./error.ts";
import { printError, printLines } from "./print.ts";
import type { Globals } from "./session.ts";
import { requireUtf8 } from "./utf8.ts";
import { VERBS, type Verb } from "./verbs.ts";
import { versionOf } from "./version.ts";

interface Words {
  readonly globals: Globals;
  readonly help: boolean;
  readonly version: boolean;
  /** The first word that is no option, and all that follows, untouched. */
  readonly rest: readonly string[];
}

/** Reads the options before the verb; those after it are the verb's. */
function parseWords(words: readonly string[]): Words {
  let home: string | undefined;
  const seen = { json: false, help: false, version: false };
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--json") seen.json = true;
    else if (word === "--help" || word === "-h") seen.help = true;
    else if (word === "--version" || word === "-V") seen.version = true;
    else if (word === "--home") home = requireValue(words[++at]);
    else if (word.startsWith("--home=")) home = requireValue(word.slice("--home=".length));
    else if (word.startsWith("-")) throw new UsageError(`unknown option '${word}'${SEE_HELP}`);
    else break;
  }
  const { json, help, version } = seen;
  return { globals: { home, json }, help, version, rest: words.slice(at) };
}

const SEE_HELP = "; `portcullis --help` lists what there is.";

function requireValue(value: string | undefined): string {
  if (value !== undefined && value !== "") return value;
  throw new UsageError("--home needs a folder.");
}

function overview(): string[] {
  const width = Math.max(...Object.keys(VERBS).map((name) => name.length));
  const verbs = Object.entries(VERBS).map(
    ([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`,
  );
  return [
    "Usage: portcullis [--home <folder>] [--json] <verb> ...",
    "",
    "A fail-closed execution gate: nothing runs until machine, job and governance are proven.",
    "",
    "Verbs (`portcullis <verb> --help` shows options and examples):",
    ...verbs,
    "",
    "Options:",
    "  --home <folder>  where the trust domain lies; else $PORTCULLIS_HOME, /var/lib/portcullis",
    "                   (root) or ~/.local/share/portcullis",
    "  --json           print the result as JSON",
    "  --version        print the version",
    "",
    "Exit codes: 0 done, 64 usage, 70 internal error, 75 denied (a retry may help), 77 denied.",
  ];
}

/** Performs one command line, and gives what the process exits with. Never throws. */
export async function perform(words: readonly string[]): Promise<number> {
  try {
    return await understand(words);
  } catch (error) {
    const end = words.indexOf("--");
    const own = words.slice(0, end < 0 ? undefined : end);
    return printError(error, own.includes("--json"));
  }
}

async function understand(words: readonly string[]): Promise<number> {
  requireUtf8(words, "cmdline");
  const { globals, help, version, rest } = parseWords(words);
  if (version) {
    const number = versionOf();
    printLines([globals.json ? JSON.stringify({ version: number }) : number]);
    return 0;
  }
  const [name, ...after] = rest;
  if (help || name === "help") {
    if (name === undefined || name === "help") {
      if (after[0] === undefined) {
        printLines(overview());
        return 0;
      }
      return dispatch(after[0], [...after.slice(1), "--help"], globals);
    }
    return dispatch(name, [...after, "--help"], globals);
  }
  if (name === undefined) throw new UsageError(`no verb${SEE_HELP}`);
  return dispatch(name, after, globals);
}

async function dispatch(name: string, after: string[], globals: Globals): Promise<number> {
  const verb: Verb | undefined = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (verb === undefined) throw new UsageError(`unknown verb '${name}'${SEE_HELP}`);
  if ("lean" in verb) return (await verb.lean()).main(after, globals);
  const [{ runProgram }, module] = await Promise.all([import("./program.ts"), verb.load()]);
  return runProgram(module, [name, ...after], globals);
}
