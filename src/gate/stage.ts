/**
 * Copies of what a job will execute or read, which the job cannot alter. Two places:
 *
 * - sealed memory (src/gate/sealer.ts), the default: unalterable for everyone;
 * - an unlinked file in a directory of the gate's: unalterable for jobs of another uid only. It is
 *   taken where memory cannot be had, or where the operator asks for it: IMA's stock policy does
 *   not measure executables in memory.
 *
 * Source paths may be symbolic links (/usr/bin/python3 is one): the digest of the copy is what is
 * judged, so the name by which the bytes were found decides nothing.
 */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  close,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  read,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { ExecError } from "./error.ts";
import { Lines } from "./lines.ts";
import { SEALER } from "./sealer.ts";
import { PROGRAMS, systemCalls } from "./system-calls.ts";

const readAsync = promisify(read);
export const closeAsync = promisify(close);

/** What is to be copied: an open descriptor, read from where it stands to its end. */
export interface Source {
  readonly fd: number;
  /** For messages. */
  readonly name: string;
  readonly bytesMax: number;
}

/**
 * A copy: `fd` is open for reading only, close-on-exec, at offset 0. Whoever holds it closes it.
 */
export interface Staged {
  readonly fd: number;
  readonly sizeBytes: number;
  readonly sealed: boolean;
}

/** `memory`: sealed memory, else a file in `directory` if there is one. `file`: always a file. */
export interface Place {
  readonly kind: "memory" | "file";
  /** Mode 0700 and of the gate's own uid. */
  readonly directory: string | null;
}

const why = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What a file must be. It is bounded again while it is read, for it may grow. */
export interface FileKind {
  readonly executable: boolean;
  readonly bytesMax: number;
}

/**
 * Opens a regular file for reading. The kind is checked on the open descriptor; O_NONBLOCK keeps a
 * FIFO put in its place from holding the gate up.
 *
 * @throws ExecError exec.file
 */
export function openRegular(path: Buffer, what: string, kind: FileKind): Source {
  const name = `${what} ${path.toString()}`;
  const { executable, bytesMax } = kind;
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (cause) {
    throw new ExecError("exec.file", `cannot open the ${name}: ${why(cause)}`, cause);
  }
  const stat = fstatSync(fd);
  const fault = !stat.isFile()
    ? "is not a regular file"
    : executable && (stat.mode & 0o111) === 0
      ? "is not executable: no execute permission is set"
      : stat.size > bytesMax
        ? `exceeds ${bytesMax} bytes`
        : null;
  if (fault === null) return { fd, name, bytesMax };
  closeSync(fd);
  throw new ExecError("exec.file", `the ${name} ${fault}`);
}

/**
 * Reads a descriptor to its end in pieces of at most 1 MiB, from `position`, or from where it
 * stands.
 */
async function* chunks(source: Source, position: number | null): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let total = 0; ; ) {
    const at = position === null ? null : position + total;
    const { bytesRead } = await readAsync(source.fd, buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    total += bytesRead;
    if (total > source.bytesMax) throw tooLarge(source);
    yield buffer.subarray(0, bytesRead);
  }
}

/** The first bytes of a file, fewer where it is shorter. */
export function headOf(fd: number, bytesMax: number): Buffer {
  const head = Buffer.alloc(bytesMax);
  return head.subarray(0, readSync(fd, head, 0, bytesMax, 0));
}

function tooLarge(source: Source): ExecError {
  return new ExecError("exec.file", `the ${source.name} exceeds ${source.bytesMax} bytes`);
}

/** The digest of all bytes of a file; the descriptor's own offset stays where it is. */
export async function digestOf(source: Source, algorithm: string): Promise<Buffer> {
  const hash = createHash(algorithm);
  for await (const chunk of chunks(source, 0)) hash.update(chunk);
  return hash.digest();
}

/**
 * Copies each source, in order, to where the job cannot alter it.
 *
 * @throws ExecError exec.file: a source cannot be read or is too large; exec.unsupported: no place
 * can be had.
 */
export async function stage(sources: readonly Source[], place: Place): Promise<Staged[]> {
  let reason = "";
  if (place.kind === "memory") {
    const sealed = await seal(sources);
    if (typeof sealed !== "string") return sealed;
    reason = `sealed memory cannot be had (${sealed}), and `;
  }
  if (place.directory === null) {
    throw new ExecError("exec.unsupported", `${reason}no staging directory is configured`);
  }
  checkDirectory(place.directory);
  const staged: Staged[] = [];
  try {
    for (const source of sources) staged.push(await copyToFile(source, place.directory));
    return staged;
  } catch (error) {
    await Promise.all(staged.map(({ fd }) => closeAsync(fd)));
    throw error;
  }
}

/** A directory that others may enter would let them put another file in the staged one's place. */
function checkDirectory(directory: string): void {
  const { uid, mode } = statSync(directory);
  if (uid !== process.getuid?.() || (mode & 0o077) !== 0) {
    const wanted = "must belong to the gate's user with mode 0700";
    throw new ExecError("exec.unsupported", `the staging directory ${directory} ${wanted}`);
  }
}

async function copyToFile(source: Source, directory: string): Promise<Staged> {
  const path = join(directory, `stage-${randomBytes(12).toString("hex")}`);
  const writer = openSync(path, "wx", 0o700);
  try {
    unlinkSync(path); // first, so that no crash leaves the copy behind
    let sizeBytes = 0;
    for await (const chunk of chunks(source, null)) {
      for (let at = 0; at < chunk.length; ) at += writeSync(writer, chunk, at);
      sizeBytes += chunk.length;
    }
    fchmodSync(writer, 0o555);
    fsyncSync(writer);
    return { fd: openSync(`/proc/self/fd/${writer}`, "r"), sizeBytes, sealed: false };
  } finally {
    closeSync(writer);
  }
}

/**
 * The sealed copies, or why none can be had. Nothing has been read from the sources in that case.
 */
async function seal(sources: readonly Source[]): Promise<Staged[] | string> {
  const bounds = sources.map(({ bytesMax }) => String(bytesMax));
  const args = ["-fe", SEALER, "--", ...systemCalls(["memfdCreate", "prctl"]), ...bounds];
  const child = spawn(PROGRAMS.perl, args, {
    cwd: "/",
    env: {},
    stdio: ["pipe", "pipe", "pipe", ...sources.map(({ fd }) => fd)],
  });
  const ended = once(child, "close").then(
    () => null,
    (error: unknown) => why(error),
  );
  const { stdin, stdout, stderr, pid } = child;
  if (pid === undefined || stdin === null || stdout === null || stderr === null) {
    return (await ended) ?? "perl did not start";
  }
  let complaint = "";
  stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(0, 1024);
  });
  stdin.on("error", (error) => {
    complaint ||= error.message;
  });
  const lines = new Lines();
  stdout.setEncoding("utf8").on("data", (text: string) => lines.push(text));
  stdout.on("end", () => lines.end());
  const staged: Staged[] = [];
  try {
    for (let line = await lines.next(); line !== null; line = await lines.next()) {
      const [answer = "", fd, size] = line.split(" ");
      const source = sources[staged.length];
      if (answer === "unsealable" && staged.length === 0) return line.slice(answer.length + 1);
      if (answer !== "sealed" || source === undefined) throw refusal(source, line);
      const sealed = openSync(`/proc/${pid}/fd/${fd}`, "r");
      staged.push({ fd: sealed, sizeBytes: Number(size), sealed: true });
      if (staged.length === sources.length) return staged.splice(0);
    }
    stdin.end();
    await ended;
    const said = complaint.trim() || `it ended by ${child.signalCode ?? "itself"}`;
    throw new ExecError("exec.unsupported", `the sealer failed: ${said}`);
  } finally {
    stdin.end();
    await ended;
    for (const { fd } of staged) closeSync(fd);
  }
}

function refusal(source: Source | undefined, line: string): ExecError {
  if (source === undefined) return new ExecError("exec.unsupported", "the sealer misbehaved");
  if (line === "large") return tooLarge(source);
  const code = line.startsWith("unreadable") ? "exec.file" : "exec.unsupported";
  return new ExecError(code, `cannot copy the ${source.name}: ${line}`);
}
