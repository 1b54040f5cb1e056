/**
 * Files that are there whole or not at all, also across a crash or loss of power: written beside
 * their place, synced, moved into it, and the folder synced. Folders have mode 0700 and files 0600,
 * whatever the umask.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { chmod, link, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { requirePrivate } from "../private.ts";
import { DomainError } from "./error.ts";

const DRAFT = /^\.[^/]+\.[0-9a-f]{16}\.draft$/;

/** Whether a name is that of a file which a crash left half written; nobody reads those. */
export const isDraft = (name: string): boolean => DRAFT.test(name);

/** Whether an error of node:fs says this (`ENOENT`, ...). */
export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function storage(what: string, cause: unknown): DomainError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DomainError("domain.storage", `Could not ${what}: ${why}.`, { cause });
}

async function onDisk<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (cause) {
    throw storage(what, cause);
  }
}

/**
 * Makes the folder where it is absent. Throws PrivateError where it, or what lies there, is open to
 * others.
 */
export async function makeFolder(path: string): Promise<void> {
  if (requirePrivate(path, "folder") !== null) return;
  await onDisk(`make ${path}`, async () => {
    const first = await mkdir(path, { recursive: true, mode: 0o700 });
    if (first === undefined) return;
    await chmod(path, 0o700); // a narrow umask may have taken more away
    await syncFolder(dirname(first));
  });
}

/** Replaces what lies at `path`. Durable when this returns. */
export async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  await placed(path, bytes, rename);
}

/** Like replaceFile, yet never replaces: false where something lies at `path` already. */
export async function createFile(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await placed(path, bytes, link);
    return true;
  } catch (error) {
    if (error instanceof DomainError && isErrno(error.cause, "EEXIST")) return false;
    throw error;
  }
}

/**
 * Makes a folder with these files, all of it at once: false where a folder with files lies at
 * `path` already, for a rename never replaces one. Durable when this returns.
 */
export async function createFolder(
  path: string,
  files: { readonly [name: string]: Uint8Array },
): Promise<boolean> {
  const draft = draftOf(path);
  try {
    await onDisk(`write ${path}`, async () => {
      await mkdir(draft, { mode: 0o700 });
      await chmod(draft, 0o700);
      for (const [name, bytes] of Object.entries(files)) await written(join(draft, name), bytes);
      await syncFolder(draft);
      await rename(draft, path);
      await syncFolder(dirname(path));
    });
    return true;
  } catch (error) {
    await removeTree(draft);
    const cause = error instanceof DomainError ? error.cause : null;
    // rename(2): either may be said of a folder that is not empty.
    if (isErrno(cause, "ENOTEMPTY") || isErrno(cause, "EEXIST")) return false;
    throw error;
  }
}

/** Removes a folder at once, for readers; then what was in it. One that is gone already is fine. */
export async function removeFolder(path: string): Promise<void> {
  const draft = draftOf(path);
  try {
    await rename(path, draft);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return;
    throw storage(`remove ${path}`, cause);
  }
  await removeTree(draft);
}

async function removeTree(path: string): Promise<void> {
  await onDisk(`remove ${path}`, () => rm(path, { recursive: true, force: true }));
}

/** A name beside `path` that nobody reads. */
function draftOf(path: string): string {
  const random = randomBytes(8).toString("hex");
  return join(dirname(path), `.${basename(path)}.${random}.draft`);
}

type Move = (from: string, to: string) => Promise<void>;

async function placed(path: string, bytes: Uint8Array, move: Move): Promise<void> {
  const folder = dirname(path);
  const draft = draftOf(path);
  await onDisk(`write ${path}`, async () => {
    try {
      await written(draft, bytes);
      await move(draft, path);
    } finally {
      await rm(draft, { force: true });
    }
    await syncFolder(folder);
  });
}

async function written(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.chmod(0o600);
  await file.writeFile(bytes);
  await file.sync();
}

/** A new name is durable only once its folder is. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  await folder.sync();
}

/**
 * Reads a file of at most `bytesMax` bytes; null where there is none. A pipe or device is refused,
 * so that nobody waits for it.
 */
export async function readBounded(path: string, bytesMax: number): Promise<Uint8Array | null> {
  return onDisk(`read ${path}`, async () => {
    const file = await opened(path);
    if (file === null) return null;
    await using handle = file;
    const stats = await handle.stat();
    if (!stats.isFile()) throw new Error("it is not a file");
    if (stats.size > bytesMax) throw new Error(`it has ${stats.size} bytes, more than ${bytesMax}`);
    return new Uint8Array(await handle.readFile());
  });
}

async function opened(path: string) {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return null;
    throw cause;
  }
}

/** Names in a folder without drafts, sorted; none where there is no folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !isDraft(name)).sort();
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return [];
    throw storage(`read ${folder}`, cause);
  }
}

/** Numbers n of what is named `<n><extension>` in a folder, ascending. */
export async function numbersIn(folder: string, extension: string): Promise<number[]> {
  const numbers: number[] = [];
  for (const name of await namesIn(folder)) {
    const stem = name.endsWith(extension) ? name.slice(0, name.length - extension.length) : "";
    if (/^(0|[1-9]\d{0,14})$/.test(stem)) numbers.push(Number(stem));
  }
  return numbers.sort((a, b) => a - b);
}
