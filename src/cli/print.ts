/**
 * What people and scripts read: results on standard output, errors and denials on standard error, a
 * line each.
 */
import { CODES, type Code } from "../core/codes.ts";
import { PortcullisError } from "../errors.ts";
import { EXIT } from "../gate/exit-codes.ts";
import { exitCodeOf } from "./error.ts";

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** A denial as programs read it. `retry`: asking again may help (exit 75). */
export interface DenialShape {
  readonly code: Code;
  readonly why: string;
  readonly next: string;
  readonly retry: boolean;
}

export function denialShape(code: Code): DenialShape {
  const row: { readonly why: string; readonly next: string; readonly retry?: true } = CODES[code];
  return { code, why: row.why, next: row.next, retry: row.retry === true };
}

/** 75 where a retry may help, 70 where something of our own failed, else 77. */
export function denialExit(code: Code): number {
  if (denialShape(code).retry) return EXIT.retry;
  return code.startsWith("internal.") ? EXIT.internal : EXIT.denied;
}

/** A denial may have a reason for each of thousands of files: these are shown. */
const REASONS_SHOWN = 8;

/** What exactly was denied, a line each, indented. */
export function reasonLines(reasons: readonly string[]): string[] {
  const more = reasons.length - REASONS_SHOWN;
  const shown = reasons.slice(0, REASONS_SHOWN).map((reason) => `  ${oneLine(reason)}`);
  return more > 0 ? [...shown, `  and ${more} more: see \`portcullis policy test\``] : shown;
}

/**
 * `family.reason: sentence` and `next: what to do`; `detail` says which file or step, where the
 * host knows.
 */
export function denialLines(code: Code, detail?: string): string[] {
  const { why, next } = denialShape(code);
  const told = detail === undefined ? why : `${why} (${oneLine(detail)})`;
  return [`${code}: ${told}`, `next: ${next}`];
}

/** Text from elsewhere cannot forge a second line, nor move the cursor. */
export function oneLine(text: string): string {
  return text
    .replaceAll(/\s+/gu, " ")
    .replaceAll(/[\p{Cc}\p{Cf}]/gu, "?")
    .trim();
}

let isHeard = false;
let isHeardToComplain = false;

/**
 * Writes to standard output. A reader that went away (`| head`) is no error of ours, and never
 * makes a denial's exit code another; where there is no room (/dev/full) the code cannot be 0.
 * Setting a stream up costs milliseconds, so a verb that prints nothing does not.
 */
export function print(text: string): void {
  if (!isHeard) {
    isHeard = true;
    process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => {
      if (code === "EPIPE") return;
      process.once("exit", (exit) => {
        if (exit === 0) process.exitCode = EXIT.internal;
      });
    });
  }
  process.stdout.write(text);
}

/** Writes a line to standard error. Where nobody reads it, the exit code is what is told. */
export function complain(line: string): void {
  if (!isHeardToComplain) {
    isHeardToComplain = true;
    process.stderr.on("error", () => undefined);
  }
  process.stderr.write(`${line}\n`);
}

export function printJson(value: Json): void {
  print(`${JSON.stringify(value, null, 2)}\n`);
}

export function printLines(lines: readonly string[]): void {
  if (lines.length > 0) print(`${lines.join("\n")}\n`);
}

/** Prints a denial on standard error and gives the exit code. */
export function printDenial(code: Code, detail?: string): number {
  complain(denialLines(code, detail).join("\n"));
  return denialExit(code);
}

/**
 * Prints an error in one line on standard error (with `json` as `{"error": {code, message}}`) and
 * gives the exit code. What is not ours is a bug: 70, with its stack only where PORTCULLIS_DEBUG is
 * set.
 */
export function printError(error: unknown, json: boolean): number {
  const ours = error instanceof PortcullisError;
  const code = ours ? error.code : "internal";
  const said = error instanceof Error ? error.message : String(error);
  // The system's own refusals (a full disk, say) are told as they are.
  const known = ours || (error instanceof Error && "syscall" in error);
  const message = known ? oneLine(said) : `internal error: ${oneLine(said)}`;
  const line = json ? JSON.stringify({ error: { code, message } }) : `portcullis: ${message}`;
  complain(line);
  if ((process.env.PORTCULLIS_DEBUG ?? "") !== "" && error instanceof Error) {
    complain(error.stack ?? "");
    if (error.cause !== undefined) complain(`caused by ${String(error.cause)}`);
  }
  return ours ? exitCodeOf(error) : EXIT.internal;
}

/** A table of two columns. */
export function pairs(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Seconds since 1970 as ISO 8601 in UTC. */
export function isoTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString().replace(".000Z", "Z");
}

/** A span in the largest two units that matter: 3d 4h, 12m 5s. */
export function span(seconds: number): string {
  const units = [
    ["d", 86_400],
    ["h", 3_600],
    ["m", 60],
    ["s", 1],
  ] as const;
  const parts: string[] = [];
  let rest = Math.abs(Math.trunc(seconds));
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 && parts.length < 2) parts.push(`${count}${unit}`);
  }
  return parts.length === 0 ? "0s" : parts.join(" ");
}
