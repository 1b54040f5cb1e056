/**
 * A home that is being made: it begins where nothing lies, and nothing stays of it when making it
 * fails.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isErrno } from "../domain/files.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";

async function namesIn(home: Home): Promise<string[]> {
  try {
    return await readdir(home.path);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return [];
    throw new UsageError(`${home.path} cannot be read: ${String(cause)}.`, { cause });
  }
}

/** Throws UsageError where the home's folder holds anything. */
export async function requireEmpty(home: Home): Promise<void> {
  const names = await namesIn(home);
  if (names.length === 0) return;
  const half = names.includes("keys") && !names.includes("charters");
  const what = half ? "the remains of an interrupted set-up" : "something already";
  throw new UsageError(
    `${home.path} holds ${what}, and nothing is ever overwritten: ` +
      "name another --home, or move it away.",
  );
}

/** Runs `work`, which fills the empty home; when it throws, what it wrote is removed. */
export async function clearing<T>(home: Home, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    for (const name of await namesIn(home)) {
      await rm(join(home.path, name), { recursive: true, force: true });
    }
    throw error;
  }
}
