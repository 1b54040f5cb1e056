/**
 * Loss of power, simulated: a program runs under strace, and its writes to the files of one folder
 * are replayed up to any moment. What was synced by then is on the disk; of what was written since,
 * the disk kept what it liked: nothing, all, or any of the sectors in any order.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

export const hasStrace = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;

/** What a disk writes whole or not at all. */
const SECTOR = 512;

type Change =
  | { readonly kind: "write"; readonly file: string; readonly at: number; readonly bytes: Buffer }
  | { readonly kind: "truncate"; readonly file: string; readonly size: number }
  | { readonly kind: "create"; readonly file: string }
  | { readonly kind: "remove"; readonly file: string };

type Event =
  | Change
  /** Of a file's contents, or with no file of the folder's entries. */
  | { readonly kind: "sync"; readonly file: string | null }
  | { readonly kind: "say"; readonly text: string };

/** A moment: what had been printed by then, and a copy of the files for each way it could end. */
export interface Moment {
  readonly said: string;
  /** `keep` says of each sector that was not synced whether the disk has it. */
  image(folder: string, keep: () => boolean): void;
}

const CALLS = "openat,pwrite64,write,ftruncate,fsync,fdatasync,unlink";

/** Runs the program to its end, and gives the moments behind each of its calls. */
export function momentsOf(database: string, program: readonly string[]): Moment[] {
  const folder = dirname(database);
  const scratch = mkdtempSync(join(tmpdir(), "portcullis-power-"));
  try {
    const trace = join(scratch, "trace");
    const initial = join(scratch, "initial");
    copyFileSync(database, initial);
    const before = readFileSync(initial);
    execFileSync("strace", [
      ...["-f", "-y", "-xx", "-s", "1000000", "-o", trace, "-e", `trace=${CALLS}`],
      ...program,
    ]);
    const events = eventsOf(readFileSync(trace, "latin1"), folder);
    return events.map((_, i) => {
      const past = events.slice(0, i + 1);
      const said = past.map((event) => (event.kind === "say" ? event.text : "")).join("");
      const files = new Map([[basename(database), before]]);
      return { said, image: (to, keep) => writeImage(to, files, past, keep) };
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const textOf = (hex = ""): string => bytesOf(hex).toString("latin1");
const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll("\\x", ""), "hex");

/** `31117 pwrite64(21<path>, "bytes", 4096, 56) = 4096`, all strings in hex. */
const CALL = /^\d+ +(\w+)\((?:\d+<([^>]*)>|AT_FDCWD<[^>]*>, "([^"]*)"|"([^"]*)")(.*)\) += (\d+)/;

function eventsOf(trace: string, folder: string): Event[] {
  const events: Event[] = [];
  for (const line of trace.split("\n")) {
    const [, call, open, created, removed, rest = ""] = CALL.exec(line) ?? [];
    const path = textOf(open ?? created ?? removed);
    const file = basename(path);
    const [, hex = "", number = ""] = /^, (?:"([^"]*)", \d+(?:, (\d+))?|(?:\d+))/.exec(rest) ?? [];
    if (call === "write" && open !== undefined && line.includes("(1<")) {
      events.push({ kind: "say", text: textOf(hex) });
    }
    // The index of the log lies in shared memory, and is made anew after a crash.
    if (path === folder && /^f(data)?sync$/.test(call ?? ""))
      events.push({ kind: "sync", file: null });
    if (dirname(path) !== folder || file.endsWith("-shm")) continue;
    if (call === "pwrite64") {
      events.push({ kind: "write", file, at: Number(number), bytes: bytesOf(hex) });
    } else if (call === "ftruncate") {
      events.push({ kind: "truncate", file, size: Number(rest.slice(2)) });
    } else if (call === "fsync" || call === "fdatasync") {
      events.push({ kind: "sync", file });
    } else if (call === "openat" && rest.includes("O_CREAT")) {
      events.push({ kind: "create", file });
    } else if (call === "unlink") {
      events.push({ kind: "remove", file });
    }
  }
  return events;
}

function writeImage(
  folder: string,
  initial: ReadonlyMap<string, Buffer>,
  past: readonly Event[],
  keep: () => boolean,
): void {
  const files = new Map(initial);
  for (const [i, event] of past.entries()) {
    if (event.kind === "say" || event.kind === "sync") continue;
    // A file's entry is the folder's, and what it holds its own.
    const entry = event.kind === "create" || event.kind === "remove" ? null : event.file;
    const synced = past.findLastIndex((one) => one.kind === "sync" && one.file === entry);
    change(files, event, () => i < synced || keep());
  }
  for (const [file, bytes] of files) writeFileSync(join(folder, file), bytes, { mode: 0o600 });
}

function change(files: Map<string, Buffer>, event: Change, isOnDisk: () => boolean): void {
  const held = files.get(event.file);
  if (event.kind === "create") {
    if (held === undefined && isOnDisk()) files.set(event.file, Buffer.alloc(0));
  } else if (held === undefined) {
    // The file was lost, and what was written to it with it.
    return;
  } else if (event.kind === "remove") {
    if (isOnDisk()) files.delete(event.file);
  } else if (event.kind === "truncate") {
    if (isOnDisk()) files.set(event.file, resized(held, event.size));
  } else {
    files.set(event.file, written(held, event.at, event.bytes, isOnDisk));
  }
}

const resized = (bytes: Buffer, size: number): Buffer =>
  Buffer.concat([bytes.subarray(0, size), Buffer.alloc(Math.max(0, size - bytes.length))]);

/** Sector by sector; a file grows by what it keeps, and what it lost in between reads as zeros. */
function written(held: Buffer, at: number, bytes: Buffer, keep: () => boolean): Buffer {
  let file = held;
  for (let start = 0; start < bytes.length; ) {
    const end = Math.min(bytes.length, start + SECTOR - ((at + start) % SECTOR));
    if (keep()) {
      file = Buffer.from(resized(file, Math.max(file.length, at + end)));
      bytes.copy(file, at + start, start, end);
    }
    start = end;
  }
  return file;
}
