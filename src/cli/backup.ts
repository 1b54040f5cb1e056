/**
 * `portcullis backup`: a folder that holds a copy of the home: keys, signed files, cases, and the
 * store as it was at one moment. It appears whole or not at all, and a manifest states the digest
 * of each file.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { loadDomain } from "../domain/domain.ts";
import { replaceFile, syncFolder } from "../domain/files.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";
import { copyInto, filesBelow, MANIFEST, manifestOf, syncBelow } from "./home-files.ts";
import { pairs } from "./print.ts";
import type { Session } from "./session.ts";
import { defineVerb } from "./verb.ts";

const STATE = "state.db";
const isState = (path: string): boolean => path === STATE || path.startsWith(`${STATE}-`);

/** The store first: floors in it are then never above the snapshot that is copied after it. */
async function copyHome(home: Home, to: string): Promise<string[]> {
  const store = openSqliteStore(home.state);
  try {
    await store.backup(join(to, STATE));
  } finally {
    await store.close();
  }
  const copied = [STATE];
  for (const path of await filesBelow(home.path)) {
    if (isState(path)) continue;
    if (await copyInto(join(home.path, path), join(to, path))) copied.push(path);
  }
  return copied.sort();
}

/** Publications go on while we copy: what was copied must load as a domain. */
async function writeBackup(home: Home, draft: string): Promise<string[]> {
  await mkdir(draft, { mode: 0o700 });
  const paths = await copyHome(home, draft);
  await loadDomain(draft);
  await replaceFile(join(draft, MANIFEST), Buffer.from(await manifestOf(draft, paths)));
  await syncBelow(draft, paths);
  return paths;
}

async function run(session: Session, _options: object, [target = ""]: string[]): Promise<void> {
  const home = session.home();
  const path = resolve(target);
  const inside = relative(home.path, path);
  if (!inside.startsWith("..")) throw new UsageError(`${path} lies in the home itself.`);
  if (existsSync(path)) throw new UsageError(`${path} exists already: name another folder.`);
  const draft = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString("hex")}.draft`);
  try {
    const paths = await writeBackup(home, draft);
    await place(draft, path);
    session.tell(
      { backup: path, files: paths.length },
      pairs([
        ["backup", path],
        ["files", String(paths.length)],
        ["keep it", "as secret as the keys and as safe as the ledger that it holds"],
      ]),
    );
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** A rename replaces an empty folder at most. */
async function place(draft: string, path: string): Promise<void> {
  try {
    await rename(draft, path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`${path} cannot be made: ${why}`, { cause });
  }
  await syncFolder(dirname(path));
}

export function register(program: Command): void {
  defineVerb<object>(program, {
    name: "backup",
    summary: "copy keys and state to a new folder",
    examples: ["portcullis backup /mnt/safe/portcullis-2030-01-31"],
    notes: ["JSON: {backup, files}"],
    setup: (command) => command.argument("<folder>", "where nothing lies yet"),
    run,
  });
}
