/**
 * All files of a home, for backup and restore: what must be copied, and how it is known to be
 * whole.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, copyFile, mkdir, open, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isDraft, isErrno, syncFolder } from "../domain/files.ts";
import { requirePrivate } from "../private.ts";
import { UsageError } from "./error.ts";

/** In the form of sha256sum, so that `sha256sum -c` checks a backup as well. */
export const MANIFEST = "MANIFEST.sha256";

const LINE = /^([0-9a-f]{64}) {2}(.+)$/;

/**
 * Paths of all files below a folder, relative, sorted. Sockets (an agent's) and drafts are left
 * out, and what else is no file is refused. Throws PrivateError for a file or folder that is open
 * to others.
 */
export async function filesBelow(root: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (below: string): Promise<void> => {
    requirePrivate(join(root, below), "folder");
    for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
      const path = join(below, entry.name);
      if (entry.isSocket() || isDraft(entry.name)) continue;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile()) found.push(path);
      else throw new UsageError(`${join(root, path)} is neither a file nor a folder.`);
    }
  };
  await walk("");
  return found.sort();
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

/**
 * Copies one file to a place where nothing lies yet; mode 0600, folders 0700. Durable with
 * `syncBelow`. False where the file is gone, as an old snapshot may be.
 */
export async function copyInto(from: string, to: string): Promise<boolean> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 });
  await chmod(dirname(to), 0o700);
  try {
    await copyFile(from, to);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return false;
    throw cause;
  }
  await chmod(to, 0o600);
  await using file = await open(to, "r");
  await file.sync();
  return true;
}

/** Makes the names of these files durable, and those of their folders. */
export async function syncBelow(root: string, paths: readonly string[]): Promise<void> {
  const folders = new Set<string>([root]);
  for (const path of paths) {
    for (let at = dirname(path); at !== "."; at = dirname(at)) folders.add(join(root, at));
  }
  for (const folder of folders) await syncFolder(folder);
}

export async function manifestOf(root: string, paths: readonly string[]): Promise<string> {
  const lines: string[] = [];
  for (const path of paths) {
    if (/[\n\\]/.test(path))
      throw new UsageError(`${join(root, path)} cannot stand in a manifest.`);
    lines.push(`${await sha256Of(join(root, path))}  ${path}\n`);
  }
  return lines.join("");
}

/**
 * Paths and digests. Throws UsageError for a line of another form, or a path that leads out of the
 * folder.
 */
export function parseManifest(text: string, name: string): Map<string, string> {
  const entries = new Map<string, string>();
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new UsageError(`${name} is cut off: its last line does not end.`);
  for (const [i, line] of lines.entries()) {
    const [, digest = "", path = ""] = LINE.exec(line) ?? [];
    const parts = path.split("/");
    const inside = parts.every((part) => part !== "" && part !== "." && part !== "..");
    if (digest === "" || !inside || entries.has(path)) {
      throw new UsageError(`${name}, line ${i + 1}: no digest and path, or a path twice.`);
    }
    entries.set(path, digest);
  }
  return entries;
}
