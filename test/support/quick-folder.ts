/**
 * Folders for stores whose durability is not the question: in memory, where there is such a file
 * system, for on a disk each of their thousands of syncs takes milliseconds.
 */
import { accessSync, constants, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MEMORY = "/dev/shm";

function parent(): string {
  try {
    accessSync(MEMORY, constants.W_OK);
    return MEMORY;
  } catch {
    return tmpdir();
  }
}

/** A new folder of mode 0700. */
export function quickFolder(prefix: string): string {
  return mkdtempSync(join(parent(), prefix));
}
