/**
 * Where everything of one trust domain lies on this machine. `--home`, else $PORTCULLIS_HOME, else
 * /var/lib/portcullis for root and ~/.local/share/portcullis for others. The folder is private
 * (0700), and refused if wider.
 *
 *     config.yaml   what never changes: `origin` of the audit log, `tpm` address, `ima` list
 *     keys/ charters/ snapshots/ policies/ grants/ nodes/    see src/domain/layout.ts
 *     node/         this machine as a node, by `portcullis enroll`; see node-files.ts
 *     state.db      ledger, floors and audit log (src/store)
 *     cases/        recorded cases; they hold arguments and environment values
 */
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { requirePrivate } from "../private.ts";
import { UsageError } from "./error.ts";

export interface Home {
  readonly path: string;
  readonly config: string;
  readonly node: string;
  readonly state: string;
  readonly cases: string;
}

/** What never changes about this home. */
export interface Config {
  /** Names this machine's audit log in its signed heads: one line, no spaces. */
  readonly origin: string;
  /** The TPM's address as src/tpm/uri.ts reads it; null leaves the choice to the TPM layer. */
  readonly tpm: string | null;
  /** The IMA list in its binary form; null: where the kernel has it. */
  readonly ima: string | null;
  /** File that holds the boot event log; null where the kernel shows it. */
  readonly eventLog: string | null;
}

/**
 * The absolute path of the home; nothing is looked at. Throws UsageError where a variable holds no
 * absolute path.
 */
export function resolveHome(
  option: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  if (option !== undefined) {
    if (option === "") throw new UsageError("--home is empty: name a folder.");
    return resolve(option);
  }
  const variable = environment.PORTCULLIS_HOME;
  if (variable !== undefined && variable !== "") {
    if (isAbsolute(variable)) return resolve(variable);
    throw new UsageError(`PORTCULLIS_HOME=${variable} is not absolute: name the whole path.`);
  }
  if (process.geteuid?.() === 0) return "/var/lib/portcullis";
  return join(homedir(), ".local/share/portcullis");
}

export function homeAt(path: string): Home {
  return {
    path,
    config: join(path, "config.yaml"),
    node: join(path, "node"),
    state: join(path, "state.db"),
    cases: join(path, "cases"),
  };
}

/**
 * Checks that the home exists and is private.
 *
 * @throws UsageError where it is absent; PrivateError where it is open to others, or another
 * user's.
 */
export function requireHome(home: Home): Home {
  // A folder that is none, /etc say, is told apart before anyone is told to close it to others.
  if (existsSync(home.config) && requirePrivate(home.path, "folder") !== null) return home;
  throw new UsageError(
    `There is no home at ${home.path}: name one with --home, or set up with \`portcullis init\`.`,
  );
}

const NAMES = ["origin", "tpm", "event-log", "ima"] as const;
const LINE = /^([a-z][a-z-]*):[ \t]+(\S.*?)[ \t]*$/;
const CONFIG_BYTES_MAX = 65_536;

/**
 * Reads config.yaml: one `name: value` a line, comments from `#` at the start of a line, values
 * plain or as a JSON string. It is the part of YAML that needs no library, whose loading would cost
 * more than a whole run.
 *
 * @throws UsageError with the line, for anything else.
 */
export function readConfig(home: Home): Config {
  requireHome(home);
  const found = new Map<string, string>();
  const lines = textOf(home.config).split("\n");
  for (const [i, line] of lines.entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const at = `${home.config}, line ${i + 1}`;
    const [, name = "", value = ""] = LINE.exec(line) ?? [];
    if (name === "") throw new UsageError(`${at}: expected \`name: value\`.`);
    if (!NAMES.some((known) => known === name)) {
      throw new UsageError(`${at}: unknown setting "${name}"; known are ${NAMES.join(", ")}.`);
    }
    if (found.has(name)) throw new UsageError(`${at}: "${name}" is set twice.`);
    found.set(name, plain(value, at));
  }
  const origin = found.get("origin");
  if (origin === undefined) throw new UsageError(`${home.config} lacks \`origin\`.`);
  const [tpm = null, ima = null] = [found.get("tpm"), found.get("ima")];
  return { origin, tpm, eventLog: found.get("event-log") ?? null, ima };
}

function textOf(path: string): string {
  if (requirePrivate(path, "file") === null) {
    throw new UsageError(`${path} is absent: check --home, or set up with \`portcullis init\`.`);
  }
  const { size } = lstatSync(path);
  if (size > CONFIG_BYTES_MAX) throw new UsageError(`${path} has ${size} bytes: no configuration.`);
  return readFileSync(path, "utf8");
}

function plain(value: string, at: string): string {
  if (!value.startsWith('"')) return value;
  try {
    const text: unknown = JSON.parse(value);
    if (typeof text === "string" && text !== "") return text;
  } catch (cause) {
    throw new UsageError(`${at}: the quoted value does not end, or escapes wrongly.`, { cause });
  }
  throw new UsageError(`${at}: the value is empty.`);
}

/** The text of config.yaml. */
export function formatConfig({ origin, tpm, eventLog, ima }: Config): string {
  const lines = ["# Portcullis: what never changes about this home.", `origin: ${quoted(origin)}`];
  if (tpm !== null) lines.push(`tpm: ${quoted(tpm)}`);
  if (eventLog !== null) lines.push(`event-log: ${quoted(eventLog)}`);
  if (ima !== null) lines.push(`ima: ${quoted(ima)}`);
  return `${lines.join("\n")}\n`;
}

const quoted = (value: string): string => JSON.stringify(value);
