/** `portcullis restore`: a home from a backup, into a place where there is none. */
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { loadDomain } from "../domain/domain.ts";
import { makeFolder } from "../domain/files.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { UsageError } from "./error.ts";
import { type Home, readConfig } from "./home.ts";
import {
  copyInto,
  filesBelow,
  MANIFEST,
  parseManifest,
  sha256Of,
  syncBelow,
} from "./home-files.ts";
import { readInput } from "./input-file.ts";
import { clearing, requireEmpty } from "./new-home.ts";
import { complain, isoTime, pairs } from "./print.ts";
import type { Session } from "./session.ts";
import { defineVerb } from "./verb.ts";

const MANIFEST_BYTES_MAX = 268_435_456;
const WARNING =
  "This ledger is as old as the backup: uses claimed since can be claimed again, and what was " +
  "revoked since is not. Revoke what was issued before it, or freeze until that has expired.";

/** Checks every file against the manifest before anything is written. Throws UsageError. */
async function verifiedPaths(backup: string): Promise<Map<string, string>> {
  const manifest = join(backup, MANIFEST);
  const text = Buffer.from(await readInput(manifest, MANIFEST_BYTES_MAX)).toString("utf8");
  const entries = parseManifest(text, manifest);
  const present = (await filesBelow(backup)).filter((path) => path !== MANIFEST);
  const stranger = present.find((path) => !entries.has(path));
  if (stranger !== undefined)
    throw new UsageError(`${join(backup, stranger)} is not in the manifest.`);
  for (const [path, digest] of entries) {
    if (!present.includes(path)) throw new UsageError(`${join(backup, path)} is absent.`);
    if ((await sha256Of(join(backup, path))) !== digest) {
      throw new UsageError(
        `${join(backup, path)} is not what the manifest states: it was altered.`,
      );
    }
  }
  return entries;
}

/** Charters last: without one, a home that a crash left half restored is none. */
const chartersLast = (path: string): number => (path.startsWith("charters/") ? 1 : 0);

async function copyBack(backup: string, home: Home, entries: Map<string, string>): Promise<void> {
  await makeFolder(home.path);
  const paths = [...entries.keys()].sort((a, b) => chartersLast(a) - chartersLast(b));
  for (const path of paths) {
    const to = join(home.path, path);
    const copied = await copyInto(join(backup, path), to);
    // Once more, for the backup may have changed since it was checked.
    if (!copied || (await sha256Of(to)) !== entries.get(path))
      throw new UsageError(`${path} changed meanwhile.`);
  }
  await syncBelow(home.path, paths);
  readConfig(home);
}

async function run(session: Session, _options: object, [source = ""]: string[]): Promise<void> {
  const home = session.place;
  const backup = resolve(source);
  await requireEmpty(home);
  const entries = await verifiedPaths(backup);
  const { domain, floors } = await clearing(home, async () => {
    await copyBack(backup, home, entries);
    const store = openSqliteStore(home.state);
    try {
      return { domain: await loadDomain(home.path), floors: await store.floors() };
    } finally {
      await store.close();
    }
  });
  const { iat } = domain.snapshot.object.claims;
  const time = isoTime(Math.max(floors?.timeSeconds ?? 0, iat));
  session.tell(
    { home: home.path, domain: domain.name, files: entries.size, time, warnings: [WARNING] },
    pairs([
      ["home", home.path],
      ["domain", domain.name],
      ["files", String(entries.size)],
      ["ledger of", time],
    ]),
  );
  complain(`warning: ${WARNING}`);
}

export function register(program: Command): void {
  defineVerb<object>(program, {
    name: "restore",
    summary: "set up a home from a backup; an older ledger is a rollback",
    examples: ["portcullis restore /mnt/safe/portcullis-2030-01-31 --home /var/lib/portcullis"],
    notes: ["JSON: {home, domain, files, time, warnings: [text]}"],
    setup: (command) => command.argument("<folder>", "what `portcullis backup` wrote"),
    run,
  });
}
