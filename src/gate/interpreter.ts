/**
 * The first line of a script, read as Linux does. Not supported: interpreters named by a relative
 * path, interpreters that are scripts themselves, and what binfmt_misc would add.
 *
 * A script such as `#!/usr/bin/env python3` has `env` as its interpreter: env is what gets pinned,
 * and what env then looks up in PATH is not. Write the interpreter's own path where that matters.
 */
import { ExecError } from "./error.ts";

/** How much of a file Linux looks at (BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h). */
export const HEAD_BYTES = 256;

export interface UnverifiedInterpreter {
  /** Absolute, as it stands in the script. */
  readonly path: Buffer;
  /** All that follows the path, as one argument; null where nothing does. */
  readonly argument: Buffer | null;
}

const NUL = 0x00;
const blank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09;

/** The first index in [from, last] whose byte is wanted, else -1. */
function find(head: Buffer, from: number, last: number, wanted: (byte: number) => boolean): number {
  for (let i = from; i <= last; i++) if (wanted(head[i] ?? NUL)) return i;
  return -1;
}
const nonBlank = (byte: number): boolean => !blank(byte);
const blankOrNul = (byte: number): boolean => blank(byte) || byte === NUL;

/** The bytes from `from` up to the first NUL, or to `end`: what C takes for the string there. */
function text(head: Buffer, from: number, end: number): Buffer {
  const nul = head.indexOf(NUL, from);
  return Buffer.from(head.subarray(from, nul === -1 ? end : Math.min(nul, end)));
}

/**
 * Whether these bytes start a script, and which program must interpret it: load_script of
 * fs/binfmt_script.c, step by step. `head` is the file's first 256 bytes, or all of a shorter file.
 * Null where it does not start with `#!`.
 *
 * @throws ExecError exec.file where Linux would refuse the line, or the path in it is not absolute.
 */
export function parseInterpreter(head: Buffer): UnverifiedInterpreter | null {
  if (head[0] !== 0x23 || head[1] !== 0x21) return null;
  const line = Buffer.alloc(HEAD_BYTES);
  head.copy(line, 0, 0, HEAD_BYTES);
  const last = HEAD_BYTES - 1;
  // strnchr: a newline counts only before the first NUL.
  const nul = line.indexOf(NUL);
  const newline = line.subarray(0, nul === -1 ? HEAD_BYTES : nul).indexOf(0x0a);
  let end = newline;
  if (newline === -1) {
    const start = find(line, 2, last, nonBlank);
    if (start === -1) throw new ExecError("exec.file", "the script's first line is blank");
    if (find(line, start, last, blankOrNul) === -1) {
      throw new ExecError("exec.file", "the script's interpreter does not fit in 256 bytes");
    }
    end = last;
  }
  while (blank(line[end - 1])) end--;
  const name = find(line, 2, end, nonBlank);
  if (name === -1 || name === end) {
    throw new ExecError("exec.file", "the script's first line names no interpreter");
  }
  const separator = find(line, name, end, blankOrNul);
  const split = separator !== -1 && line[separator] !== NUL;
  const argument = split ? find(line, separator, end, nonBlank) : -1;
  const path = text(line, name, split ? separator : end);
  if (path[0] !== 0x2f) {
    throw new ExecError("exec.file", "the script's interpreter is not an absolute path");
  }
  return { path, argument: argument === -1 ? null : text(line, argument, end) };
}
