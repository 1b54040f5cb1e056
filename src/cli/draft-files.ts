/** Proposals as files: the object itself, and beside a snapshot the status list that it names. */
import { resolve } from "node:path";
import type { PartialFile } from "../domain/collection.ts";
import { createFile, readBounded } from "../domain/files.ts";
import type { SnapshotDraft, Under } from "../domain/publication.ts";
import { LIMITS } from "../limits.ts";
import { draftObject, parseDraft } from "../wire/draft.ts";
import { WireError } from "../wire/error.ts";
import { UsageError } from "./error.ts";
import { readInput } from "./input-file.ts";

/** Writes a file that is not there yet; gives its path. Throws UsageError where it is. */
export async function writeDraft(out: string, bytes: Uint8Array): Promise<string> {
  const path = resolve(out);
  if (await createFile(path, bytes)) return path;
  throw new UsageError(`${out} exists already: name another file.`);
}

/** A snapshot to be signed, and its list beside it. */
export async function writeSnapshotDraft(out: string, draft: SnapshotDraft): Promise<string> {
  await writeDraft(`${out}.status`, draft.status);
  return writeDraft(out, draftObject("snapshot", draft.claims));
}

/** Throws UsageError for a file that holds nothing which k of n keys sign. */
export async function readDrafts(names: readonly string[]): Promise<PartialFile[]> {
  return Promise.all(
    names.map(async (file) => {
      const bytes = await readInput(file, LIMITS.policyBytes + LIMITS.charterBytes);
      try {
        return { file, draft: parseDraft(bytes) };
      } catch (cause) {
        if (!(cause instanceof WireError)) throw cause;
        throw new UsageError(`${file} holds nothing to be signed: ${cause.message}.`, { cause });
      }
    }),
  );
}

/** Status lists that were named, or else those that lie beside the files. */
export async function readLists(
  names: readonly string[],
  status: readonly string[] | undefined,
): Promise<Uint8Array[]> {
  if (status !== undefined) {
    return Promise.all(status.map((file) => readInput(file, LIMITS.statusBytes)));
  }
  const beside = await Promise.all(
    names.map((file) => readBounded(`${resolve(file)}.status`, LIMITS.statusBytes)),
  );
  return beside.filter((bytes) => bytes !== null);
}

/** The proposed charter that a snapshot is to stand under. */
export async function readUnder(file: string | undefined): Promise<Under | undefined> {
  if (file === undefined) return undefined;
  const [one] = await readDrafts([file]);
  if (one?.draft.kind !== "charter") throw new UsageError(`${file} is no charter.`);
  return one.draft;
}
