/**
 * From what a caller asks for to the job that is judged and, once admitted, executed: every byte
 * that the job starts from is read once, put where the job cannot alter it, and hashed there.
 */
import { isAbsolute } from "node:path";
import { LIMITS } from "../limits.ts";
import { EXEC_BOUNDS } from "./bounds.ts";
import { ExecError } from "./error.ts";
import { HEAD_BYTES, parseInterpreter, type UnverifiedInterpreter } from "./interpreter.ts";
import {
  closeAsync,
  digestOf,
  headOf,
  openRegular,
  type Place,
  type Source,
  type Staged,
  stage,
} from "./stage.ts";

export type HashName = "sha256" | "sha384" | "sha512";
/** Text is taken as UTF-8; bytes that are not UTF-8 pass as they are. */
export type Bytes = string | Uint8Array;

export interface JobRequest {
  readonly executable: Bytes;
  /** All arguments, argv[0] included. A script does not see argv[0]: the kernel replaces it. */
  readonly argv: readonly Bytes[];
  /** All of the environment, in any order. Nothing of the gate's own is added. */
  readonly environment: readonly { readonly name: Bytes; readonly value: Bytes }[];
  /** Absolute. */
  readonly cwd: Bytes;
  /**
   * `none`: /dev/null. `inherit`: as it is. `content`: read to its end, hashed, and handed over as
   * a file.
   */
  readonly stdin: "none" | "inherit" | "content";
  readonly uid: number;
  readonly gid: number;
  /** Who asks; the gate's real uid where absent. */
  readonly callerUid?: number;
  readonly inputs?: readonly Bytes[];
  readonly runtimeSeconds: number;
  /** SHA-256 where absent. */
  readonly hash?: HashName;
  readonly interpreterHash?: HashName;
  readonly place: Place;
  /** The gate's descriptors that become the job's 0, 1 and 2; those numbers where absent. */
  readonly streams?: readonly [number, number, number];
}

export interface Image {
  readonly kind: "file";
  readonly algorithm: HashName;
  readonly digest: Buffer;
}

/** The job of docs/wire-format.md, field by field; names as in src/wire. */
export interface Job {
  readonly executable: Image;
  readonly interpreter: Image | null;
  readonly argv: readonly Buffer[];
  readonly environment: readonly { readonly name: Buffer; readonly value: Buffer }[];
  readonly cwd: Buffer;
  readonly stdin: "none" | "inherit" | Buffer;
  readonly uid: number;
  readonly gid: number;
  readonly callerUid: number;
  readonly inputs: readonly { readonly path: Buffer; readonly digest: Buffer }[];
  readonly runtimeSeconds: number;
}

export interface PreparedJob {
  readonly job: Job;
  /** Identifiers for the receipt: `image-unsealed`. */
  readonly warnings: readonly string[];
  /**
   * What the launcher executes, and with which arguments. Reading it after `close` throws ExecError
   * exec.used.
   */
  readonly program: { readonly fd: number; readonly argv: readonly Buffer[] };
  /** The script's copy, where there is one. */
  readonly script: { readonly fd: number } | null;
  readonly streams: readonly [number | "ignore", number, number];
  /** Closes the copies. Once; whoever prepared calls it, when nothing will be launched any more. */
  close(): Promise<void>;
}

/**
 * Reads, copies and hashes everything that the job consists of.
 *
 * @throws ExecError exec.request, exec.file, exec.user, exec.unsupported. No descriptor stays open
 * then.
 */
export async function prepareJob(request: JobRequest): Promise<PreparedJob> {
  const fields = checkFields(request);
  const [stdinFd, ...outputs] = request.streams ?? [0, 1, 2];
  const open: number[] = [];
  try {
    const sources = openSources(bytesOf(request.executable, "executable"), open);
    const content = request.stdin === "content";
    if (content) {
      const { stdinBytes } = EXEC_BOUNDS;
      sources.push({ fd: stdinFd, name: "standard input", bytesMax: stdinBytes });
    }
    const staged = await stage(sources, request.place);
    open.push(...staged.map(({ fd }) => fd));
    const stdin = content ? staged.pop() : undefined;
    const [executable, interpreter = null] = staged;
    if (executable === undefined) throw new ExecError("exec.unsupported", "nothing was staged");
    const script = verifyImages(executable, interpreter);
    const program = interpreter ?? executable;
    const argv = script === null ? fields.argv : scriptArguments(script, fields.argv);
    const job: Job = {
      ...fields,
      executable: await image(executable, request.hash ?? "sha256"),
      interpreter: interpreter && (await image(interpreter, request.interpreterHash ?? "sha256")),
      stdin: stdin === undefined ? plainStdin(request) : await digestOf(whole(stdin), "sha256"),
      inputs: await hashInputs(request.inputs ?? []),
    };
    const kept = [executable, interpreter, stdin].filter((copy) => copy != null);
    const unneeded = open.splice(0).filter((fd) => !kept.some((copy) => copy.fd === fd));
    await closeAll(unneeded);
    const none = request.stdin === "none" ? "ignore" : stdinFd;
    let closed = false;
    const prepared: PreparedJob = {
      job: Object.freeze(job),
      warnings: unsealed(job, kept) ? ["image-unsealed"] : [],
      get program() {
        // The number of a closed descriptor may stand for another file by now.
        if (closed) throw new ExecError("exec.used", "the job's copies were closed before");
        return { fd: program.fd, argv };
      },
      script: interpreter && { fd: executable.fd },
      streams: [stdin?.fd ?? none, outputs[0] ?? 1, outputs[1] ?? 2],
      close: () => {
        closed = true;
        return closeAll(kept.splice(0).map(({ fd }) => fd));
      },
    };
    PREPARED.add(Object.freeze(prepared));
    return prepared;
  } finally {
    await closeAll(open);
  }
}

/**
 * Every PreparedJob there is: one put together elsewhere could name other bytes than its job was
 * judged by.
 */
const PREPARED = new WeakSet<PreparedJob>();

/** @throws TypeError for anything but what prepareJob returned. */
export function requirePrepared(prepared: PreparedJob): void {
  if (!PREPARED.has(prepared)) throw new TypeError("Only what prepareJob returned is launched.");
}

/**
 * A file of the job's own uid can be opened for writing through /proc, though it has no name any
 * more.
 */
function unsealed(job: Job, copies: readonly Staged[]): boolean {
  return copies.some(({ sealed }) => !sealed) && (job.uid === process.getuid?.() || job.uid === 0);
}

async function closeAll(fds: readonly number[]): Promise<void> {
  await Promise.all(fds.map((fd) => closeAsync(fd)));
}

function whole(copy: Staged): Source {
  return { fd: copy.fd, name: "copy", bytesMax: copy.sizeBytes };
}

async function image(copy: Staged, algorithm: HashName): Promise<Image> {
  return { kind: "file", algorithm, digest: await digestOf(whole(copy), algorithm) };
}

function plainStdin(request: JobRequest): "none" | "inherit" {
  return request.stdin === "inherit" ? "inherit" : "none";
}

/**
 * Opens the executable and, where it is a script, its interpreter. What is opened goes to `open`
 * for closing.
 */
function openSources(path: Buffer, open: number[]): Source[] {
  const add = (at: Buffer, what: string): Source => {
    const kind = { executable: true, bytesMax: EXEC_BOUNDS.imageBytes };
    const source = openRegular(at, what, kind);
    open.push(source.fd);
    return source;
  };
  const executable = add(path, "executable");
  const script = parseInterpreter(headOf(executable.fd, HEAD_BYTES));
  return script === null ? [executable] : [executable, add(script.path, "interpreter")];
}

/**
 * What stands in the copies decides, for the sources may have changed while they were copied:
 *
 * 1. a script's copy still names an interpreter exactly where one was copied; its path served to
 *   find bytes which are judged by their digest, and is passed on as the copy has it;
 * 2. the program to be executed is an ELF file: no interpreter of an interpreter, and nothing that
 *   the kernel would hand to a program which is not part of the job (binfmt_misc), or a library
 *   call to sh.
 */
function verifyImages(
  executable: Staged,
  interpreter: Staged | null,
): UnverifiedInterpreter | null {
  const script = parseInterpreter(headOf(executable.fd, HEAD_BYTES));
  if ((script === null) !== (interpreter === null)) {
    throw new ExecError("exec.file", "the executable changed while it was read");
  }
  const head = headOf((interpreter ?? executable).fd, 4);
  if (!head.equals(Buffer.from("\x7fELF", "latin1"))) {
    const what = interpreter === null ? "executable" : "script's interpreter";
    const wanted = interpreter === null ? "neither an ELF file nor a script" : "not an ELF file";
    throw new ExecError("exec.file", `the ${what} is ${wanted}`);
  }
  return script;
}

/**
 * fs/binfmt_script.c: the interpreter's path, its one argument, the script's path, the arguments
 * after argv[0].
 */
function scriptArguments(script: UnverifiedInterpreter, argv: readonly Buffer[]): Buffer[] {
  const argument = script.argument === null ? [] : [script.argument];
  return [script.path, ...argument, Buffer.from("/proc/self/fd/3"), ...argv.slice(1)];
}

async function hashInputs(paths: readonly Bytes[]): Promise<Job["inputs"]> {
  if (paths.length > LIMITS.inputs) refuse(`more than ${LIMITS.inputs} input files`);
  const inputs = [];
  for (const path of sorted(
    paths.map((path) => bytesOf(path, "input")),
    (name) => name,
  )) {
    const kind = { executable: false, bytesMax: EXEC_BOUNDS.inputBytes };
    const source = openRegular(path, "input file", kind);
    try {
      inputs.push({ path, digest: await digestOf(source, "sha256") });
    } finally {
      await closeAsync(source.fd);
    }
  }
  return inputs;
}

function refuse(why: string): never {
  throw new ExecError("exec.request", why);
}

/**
 * One byte string of the job: no NUL, which ends an argument, and within the bound of the wire
 * format.
 */
function bytesOf(value: Bytes, what: string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : Buffer.from(value);
  if (bytes.includes(0)) refuse(`the ${what} holds a NUL byte`);
  if (bytes.length > LIMITS.fieldBytes) refuse(`the ${what} exceeds ${LIMITS.fieldBytes} bytes`);
  return bytes;
}

/** Sorted bytewise by a key that no two share. */
function sorted<T>(items: readonly T[], key: (item: T) => Buffer): T[] {
  const list = [...items].sort((a, b) => Buffer.compare(key(a), key(b)));
  list.forEach((item, i) => {
    const before = list[i - 1];
    if (before !== undefined && key(before).equals(key(item))) {
      refuse(`${key(item).toString()} is given twice`);
    }
  });
  return list;
}

type Fields = Omit<Job, "executable" | "interpreter" | "stdin" | "inputs">;

/** The fields that need no file, checked. */
function checkFields(request: JobRequest): Fields {
  const { argv, environment, runtimeSeconds, uid, gid } = request;
  if (argv.length === 0 || argv.length > LIMITS.arguments) {
    refuse(`a job has 1 to ${LIMITS.arguments} arguments, argv[0] included`);
  }
  if (environment.length > LIMITS.variables) refuse(`more than ${LIMITS.variables} variables`);
  if (!Number.isSafeInteger(runtimeSeconds) || runtimeSeconds < 1) {
    refuse("the run time is a whole number of seconds, at least 1");
  }
  const cwd = bytesOf(request.cwd, "working directory");
  if (!isAbsolute(cwd.toString("latin1"))) refuse("the working directory is not absolute");
  const own = process.getuid?.();
  if (own !== 0 && (uid !== own || gid !== process.getgid?.())) {
    throw new ExecError("exec.user", `only root may run a job as user ${uid}, group ${gid}`);
  }
  for (const id of [uid, gid]) {
    // 2^32 - 1 means "unchanged" to setresuid(2) and setresgid(2).
    if (!Number.isInteger(id) || id < 0 || id >= 2 ** 32 - 1) refuse(`${id} is no user or group`);
  }
  const variables = environment.map(({ name, value }) => ({
    name: bytesOf(name, "name of a variable"),
    value: bytesOf(value, "value of a variable"),
  }));
  for (const { name } of variables) {
    if (name.length === 0 || name.includes("=")) refuse(`no variable can be named "${name}"`);
  }
  return {
    argv: argv.map((argument, i) => bytesOf(argument, `argument ${i}`)),
    environment: sorted(variables, ({ name }) => name),
    cwd,
    uid,
    gid,
    callerUid: request.callerUid ?? own ?? refuse("this system has no user ids"),
    runtimeSeconds,
  };
}
