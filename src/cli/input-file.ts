/**
 * Files that a user names on the command line: present, regular and of a size that can be what was
 * meant.
 */
import { readBounded } from "../domain/files.ts";
import { PortcullisError } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { UsageError } from "./error.ts";

/** Throws UsageError where the file is absent, unreadable, a folder or pipe, or too large. */
export async function readInput(
  path: string,
  bytesMax: number = LIMITS.caseBytes,
): Promise<Uint8Array> {
  let bytes: Uint8Array | null;
  try {
    bytes = await readBounded(path, bytesMax);
  } catch (cause) {
    if (!(cause instanceof PortcullisError)) throw cause;
    throw new UsageError(cause.message, { cause });
  }
  if (bytes === null) throw new UsageError(`${path === "" ? '""' : path} does not exist.`);
  return bytes;
}

/** Runs what reads the content of a named file: what is wrong with it is told with the name. */
export function aboutFile<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof PortcullisError) || cause instanceof UsageError) throw cause;
    throw new UsageError(`${path}: ${cause.message}`, { cause });
  }
}
