/**
 * Private keys at rest: PKCS#8 PEM, mode 0600, in a directory of mode 0700. A file or directory that anyone else could
 * read or replace is refused, with what to do about it.
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { type FileHandle, mkdir, open, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { WireError } from "./error.ts";
import { coseKeyOf } from "./keys.ts";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const OTHERS = 0o077;
const PEM_BYTES_MAX = 16_384;

function refuse(message: string, cause?: unknown): never {
  throw new WireError("wire.key-file", message, cause === undefined ? {} : { cause });
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "ENOENT") return "does not exist";
  if (code === "EEXIST") return "exists already, and a key is never overwritten";
  if (code === "EACCES" || code === "EPERM") return "may not be opened by this user";
  if (code === "ELOOP") return "is a symbolic link; name the file itself";
  return `cannot be opened (${String(code ?? error)})`;
}

/** Whoever else may write here, or owns it, can put in a key of their own. */
function guard(path: string, stats: Stats, mode: number): void {
  const actual = stats.mode & 0o7777;
  if ((actual & OTHERS) !== 0) {
    const [has, wanted] = [actual, mode].map((value) => value.toString(8).padStart(4, "0"));
    refuse(`${path} is open to other users (mode ${has}): run "chmod ${wanted} ${path}"`);
  }
  const user = process.geteuid?.() ?? 0;
  if (user !== 0 && stats.uid !== user && stats.uid !== 0) {
    refuse(`${path} belongs to uid ${stats.uid}: run "chown ${user} ${path}" if the key is yours`);
  }
}

async function guardDirectory(path: string): Promise<void> {
  try {
    guard(path, await stat(path), DIRECTORY_MODE);
  } catch (cause) {
    if (cause instanceof WireError) throw cause;
    refuse(`${path} ${reasonOf(cause)}`, cause);
  }
}

async function opened(path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, flags | constants.O_NOFOLLOW, FILE_MODE);
  } catch (cause) {
    return refuse(`${path} ${reasonOf(cause)}`, cause);
  }
}

/**
 * Writes a new key file, durable when this returns. The directory is made where it does not exist. Throws WireError
 * `wire.key-file` where the file exists, or the directory is open to others.
 */
export async function writeKeyFile(file: string, privateKey: KeyObject): Promise<void> {
  const path = resolve(file);
  const directory = dirname(path);
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  await guardDirectory(directory);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  const handle = await opened(path, flags);
  try {
    await handle.chmod(FILE_MODE); // the umask may have taken more away
    await handle.writeFile(pem);
    await handle.sync();
  } finally {
    await handle.close();
  }
  const parent = await opened(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

/**
 * Loads a private key of a kind that we sign with. Throws WireError `wire.key-file` or `wire.key`; no message holds key
 * material.
 */
export async function readKeyFile(file: string): Promise<KeyObject> {
  const path = resolve(file);
  const pem = await readGuarded(path);
  const key = privateKeyFrom(pem, path);
  try {
    coseKeyOf(key);
  } catch (cause) {
    refuse(`${path} holds ${cause instanceof Error ? cause.message : "no usable key"}`, cause);
  }
  return key;
}

/** What is checked is what is read: mode and owner are those of the open descriptor. */
async function readGuarded(path: string): Promise<string> {
  const handle = await opened(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) refuse(`${path} is not a regular file`);
    guard(path, stats, FILE_MODE);
    await guardDirectory(dirname(path));
    if (stats.size > PEM_BYTES_MAX) refuse(`${path} is too large for a key (${stats.size} bytes)`);
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

function privateKeyFrom(pem: string, path: string): KeyObject {
  if (!pem.startsWith("-----BEGIN PRIVATE KEY-----")) {
    return refuse(`${path} is not a PKCS#8 PEM private key ("-----BEGIN PRIVATE KEY-----")`);
  }
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    return refuse(`${path} holds no private key that can be read`, cause);
  }
}
