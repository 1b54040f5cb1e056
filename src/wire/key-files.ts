/**
 * Private keys at rest: PKCS#8 PEM, mode 0600, in a directory of mode 0700. A file or directory
 * that anyone else could read or replace is refused, with what to do about it.
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { requirePrivate } from "../private.ts";
import { WireError } from "./error.ts";
import { coseKeyOf } from "./keys.ts";

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const PEM_BYTES_MAX = 16_384;
/** Whoever named /etc by mistake must not be told to close it. */
const OF_ITS_OWN = "keep keys in a folder of their own, of mode 0700";

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

async function opened(path: string, flags: number): Promise<FileHandle> {
  try {
    return await open(path, flags | constants.O_NOFOLLOW, FILE_MODE);
  } catch (cause) {
    return refuse(`${path} ${reasonOf(cause)}`, cause);
  }
}

/**
 * Writes a new key file, durable when this returns. The directory is made where it does not exist.
 * Throws WireError `wire.key-file` where the file exists, PrivateError where the directory is open
 * to others.
 */
export async function writeKeyFile(file: string, privateKey: KeyObject): Promise<void> {
  const path = resolve(file);
  const directory = dirname(path);
  const pem = privateKey.export({ type: "pkcs8", format: "pem" });
  try {
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  } catch (cause) {
    refuse(`the directory ${directory} cannot be made: it ${reasonOf(cause)}`, cause);
  }
  requirePrivate(directory, "folder", OF_ITS_OWN);
  await using handle = await opened(
    path,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
  );
  await handle.chmod(FILE_MODE); // a narrow umask may have taken more away
  await handle.writeFile(pem);
  await handle.sync();
  await using parent = await opened(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  await parent.sync();
}

/**
 * Loads a private key of a kind that we sign with. Throws WireError `wire.key-file`, or
 * PrivateError where file or directory are open to others; no message holds key material.
 */
export async function readKeyFile(file: string): Promise<KeyObject> {
  const path = resolve(file);
  const pem = await readPrivate(path);
  if (!pem.startsWith("-----BEGIN PRIVATE KEY-----")) {
    refuse(`${path} is not a PKCS#8 PEM private key ("-----BEGIN PRIVATE KEY-----")`);
  }
  try {
    const key = createPrivateKey(pem);
    coseKeyOf(key);
    return key;
  } catch (cause) {
    const why = cause instanceof WireError ? cause.message : "no private key that can be read";
    return refuse(`${path} holds ${why}`, cause);
  }
}

async function readPrivate(path: string): Promise<string> {
  requirePrivate(dirname(path), "folder", OF_ITS_OWN);
  requirePrivate(path, "file");
  await using handle = await opened(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const stats = await handle.stat();
  if (stats.size > PEM_BYTES_MAX) refuse(`${path} is too large for a key (${stats.size} bytes)`);
  return await handle.readFile("utf8");
}
