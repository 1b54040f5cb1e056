/**
 * Files and folders that only their owner may touch. Whoever can write the ledger can use an
 * authorization again, and whoever can read a stored case sees arguments and environment values, so
 * anything wider is refused, never silently narrowed: it may have been read or changed already.
 */
import { lstatSync, type Stats } from "node:fs";
import { PortcullisError } from "./errors.ts";

const OTHERS = 0o077;

/** Something private is not; the message says what, where, and what to do. */
export class PrivateError extends PortcullisError {}

/**
 * Checks that `path` is a regular file or a folder (not a symbolic link), owned by this process's
 * user, closed to group and others. Returns its lstat, or null where nothing lies there.
 *
 * `remedy`: what to do about a mode that is too wide, where that is not chmod.
 *
 * @throws PrivateError `private.kind`, `private.owner`, `private.mode`, or `private.stat` where it
 * cannot be examined.
 */
export function requirePrivate(
  path: string,
  kind: "file" | "folder",
  remedy?: string,
): Stats | null {
  const stats = examine(path);
  if (stats === null) return null;
  if (kind === "file" ? !stats.isFile() : !stats.isDirectory()) {
    throw new PrivateError("private.kind", `${path} is not a ${kind}: move it away.`);
  }
  const self = process.geteuid?.();
  if (self !== undefined && stats.uid !== self) {
    throw new PrivateError(
      "private.owner",
      `${path} belongs to user ${stats.uid}, this process runs as ${self}: ` +
        `run as that user, or \`chown ${self} ${path}\` once you know who wrote it.`,
    );
  }
  if ((stats.mode & OTHERS) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, "0");
    const wanted = kind === "file" ? "600" : "700";
    throw new PrivateError(
      "private.mode",
      `${path} has mode ${mode}, open to others than its owner: ` +
        `${remedy ?? `\`chmod ${wanted} ${path}\` once you know that nobody used it`}.`,
    );
  }
  return stats;
}

function examine(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (cause) {
    throw new PrivateError("private.stat", `${path} cannot be examined: ${String(cause)}.`, {
      cause,
    });
  }
}
