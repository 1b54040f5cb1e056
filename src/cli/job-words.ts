/**
 * The words of `run` and `check`: what to run, under which grant, and the job's fields that differ
 * from the grant's.
 */
import { parseArgs } from "node:util";
import { UsageError } from "./error.ts";
import type { Globals } from "./session.ts";
import { parseCount, parseSpan } from "./values.ts";

export interface JobWords {
  readonly globals: Globals;
  readonly help: boolean;
  /** Absent: nothing authorizes the job, and it will be denied for that. */
  readonly grant: string | undefined;
  /** The holder's private key, where a key holds the grant. */
  readonly key: string | undefined;
  readonly tpm: string | undefined;
  /** The plane that decides first; absent: none is asked. */
  readonly plane: string | undefined;
  readonly planeCa: string | undefined;
  readonly cwd: string | undefined;
  /** NAME=VALUE, or NAME for the caller's own value; absent: the values that the grant names. */
  readonly env: readonly string[] | undefined;
  readonly stdin: "none" | "inherit" | "content" | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly inputs: readonly string[] | undefined;
  readonly runtimeSeconds: number | undefined;
  readonly parentRun: string | undefined;
  readonly statusFd: number | undefined;
  /** The executable's path and its arguments. */
  readonly command: readonly string[];
}

const OPTIONS = {
  home: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  grant: { type: "string" },
  key: { type: "string" },
  tpm: { type: "string" },
  plane: { type: "string" },
  "plane-ca": { type: "string" },
  cwd: { type: "string" },
  env: { type: "string", multiple: true },
  stdin: { type: "string" },
  uid: { type: "string" },
  gid: { type: "string" },
  input: { type: "string", multiple: true },
  runtime: { type: "string" },
  parent: { type: "string" },
  "status-fd": { type: "string" },
} as const;

/** Throws UsageError for an unknown flag or a value that is none. */
export function parseJobWords(words: readonly string[], globals: Globals): JobWords {
  const { values, positionals } = parse(words);
  const number = (name: "uid" | "gid" | "status-fd", most: number): number | undefined => {
    const text = values[name];
    return text === undefined ? undefined : parseCount(text, 0, most, `--${name}`);
  };
  return {
    globals: { home: values.home ?? globals.home, json: values.json === true || globals.json },
    help: values.help === true,
    grant: values.grant,
    key: values.key,
    tpm: values.tpm,
    plane: values.plane,
    planeCa: values["plane-ca"],
    cwd: values.cwd,
    env: values.env,
    stdin: stdinOf(values.stdin),
    uid: number("uid", 2 ** 32 - 2),
    gid: number("gid", 2 ** 32 - 2),
    inputs: values.input,
    runtimeSeconds:
      values.runtime === undefined ? undefined : parseSpan(values.runtime, "--runtime"),
    parentRun: values.parent,
    statusFd: number("status-fd", 1_048_576),
    command: positionals,
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (cause) {
    const said = cause instanceof Error ? cause.message.split(". ")[0] : String(cause);
    const hint = "options stand before `--`, the command after it; --help shows them";
    throw new UsageError(`${said}; ${hint}.`, { cause });
  }
}

function stdinOf(text: string | undefined): JobWords["stdin"] {
  if (text === undefined || text === "none" || text === "inherit" || text === "content")
    return text;
  throw new UsageError(`--stdin: "${text}" is none of none, inherit, content.`);
}

export function helpOf(verb: "run" | "check"): string {
  const what =
    verb === "run"
      ? "Decide, and run the command if everything is proven."
      : "Decide as `run` would, claim no use and run nothing.";
  return [
    `Usage: portcullis ${verb} [options] -- <executable> [argument ...]`,
    "",
    what,
    "What is not given here is taken from the grant; the core judges all of it.",
    "",
    "  --grant <file>        the authorization, a grant or a chain (without one the job is denied)",
    "  --key <file>          the holder's private key, where a key holds the grant or the chain's end",
    "  --cwd <folder>        working directory",
    "  --env <NAME[=VALUE]>  a variable, or the caller's own; again for each further one",
    "  --stdin <how>         none, inherit, or content (hashed first)",
    "  --uid, --gid <n>      who the job runs as",
    "  --input <file>        an input file to be hashed; again for each further one",
    "  --runtime <span>      kill the job after this long: 90s, 15m, 8h",
    "  --parent <run id>     the run under way that starts this one, in hex",
    "  --status-fd <n>       write signed receipts, one JSON line each, to this descriptor",
    "  --tpm <address>       device:/dev/tpmrm0, swtpm:path=..., tabrmd, tcti:...",
    "  --plane <url>         the plane that decides first, and whose governance counts",
    "  --plane-ca <file>     authorities of its certificate (PEM); else the system's",
    "  --home <folder>, --json",
    "",
    "Exit codes: the job's own; 64 wrong usage, 70 internal, 75 denied but a retry may help, 77 denied,",
    "126/127 admitted but not executable, 128+n ended by a signal.",
    "",
    "Example:",
    `  portcullis ${verb} --grant report.grant -- /usr/bin/env true`,
    "",
  ].join("\n");
}
