/** `portcullis audit verify | show` */
import type { Command } from "commander";
import { EXIT } from "../gate/exit-codes.ts";
import { verifyCheckpoint } from "../log/checkpoint.ts";
import { LogTampered } from "../log/error.ts";
import { parseLeaf, showLeaf } from "../log/leaf.ts";
import { formatNoteVerifier, type NoteVerifier, parseNoteVerifier } from "../log/note.ts";
import { verifyLog } from "../log/verification.ts";
import type { StoredLeaf } from "../store/contract.ts";
import { openSqliteStore, type SqliteStore } from "../store/sqlite.ts";
import { UsageError } from "./error.ts";
import { type Home, readConfig } from "./home.ts";
import { aboutFile, readInput } from "./input-file.ts";
import { logVerifier } from "./node-files.ts";
import { hex, isoTime, type Json, pairs } from "./print.ts";
import type { Session } from "./session.ts";
import { countOption } from "./values.ts";
import { defineFamily, defineVerb } from "./verb.ts";

interface VerifyOptions {
  readonly key?: string;
  readonly earlier?: string;
}
interface ShowOptions {
  readonly from?: number;
  readonly count: number;
}

const NOTE_BYTES_MAX = 1_000_000;
const COUNT_MAX = 1_000_000;

async function withStore<T>(home: Home, work: (store: SqliteStore) => Promise<T>): Promise<T> {
  const store = openSqliteStore(home.state);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

async function verifierOf(home: Home, origin: string, key?: string): Promise<NoteVerifier> {
  const verifier = key === undefined ? await logVerifier(home, origin) : parseNoteVerifier(key);
  if (verifier !== null) return verifier;
  throw new UsageError("This machine has no log key yet: name the log's with --key.");
}

/** The head that the auditor kept. One that is none of this log's is told as the file that it is. */
async function earlierHead(
  file: string | undefined,
  origin: string,
  verifier: NoteVerifier,
): Promise<Uint8Array | undefined> {
  if (file === undefined) return undefined;
  const note = await readInput(file, NOTE_BYTES_MAX);
  aboutFile(file, () => verifyCheckpoint(note, origin, [verifier]));
  return note;
}

async function verify(session: Session, options: VerifyOptions): Promise<number> {
  const home = session.home();
  const { origin } = readConfig(home);
  const verifier = await verifierOf(home, origin, options.key);
  const earlier = await earlierHead(options.earlier, origin, verifier);
  try {
    const log = await withStore(home, (store) =>
      verifyLog(store, { origin, verifier, ...(earlier && { earlier }) }),
    );
    const events = Object.entries(log.events).map(([event, n]) => `${n} ${event}`);
    session.tell(
      {
        verified: true,
        origin,
        key: formatNoteVerifier(verifier),
        size: log.size,
        root: hex(log.root),
        events: { ...log.events },
        open: log.open,
        marks: Object.fromEntries(log.marks),
      },
      pairs([
        ["verified", `${log.size} leaves of ${origin}`],
        ["root", hex(log.root)],
        ["events", events.join(", ")],
        ["marked", [...log.marks].map(([mark, n]) => `${n} ${mark}`).join(", ") || "none"],
        ["open runs", log.open.length === 0 ? "none" : `intents at ${log.open.join(", ")}`],
        ["key", formatNoteVerifier(verifier)],
      ]),
    );
    return 0;
  } catch (error) {
    if (!(error instanceof LogTampered)) throw error;
    const { code, index, message } = error;
    session.tell({ verified: false, origin, code, index, message }, [
      `NOT VERIFIED  ${code}: ${message}`,
      "next: keep a copy of the home as it is, then find out who could write to it.",
    ]);
    return EXIT.denied;
  }
}

function shapeOf({ index, hash, bytes }: StoredLeaf): Json {
  return { index, hash: hex(hash), leaf: showLeaf(parseLeaf(bytes)) as Json };
}

function lineOf({ index, bytes }: StoredLeaf): string {
  const { event, time, code, run, exit, mark } = parseLeaf(bytes);
  const ended = exit === null ? "" : ` ${exit.kind} ${exit.number}`;
  const parts = [String(index).padStart(6), isoTime(time), event.padEnd(8)];
  parts.push(run === null ? "-".padEnd(16) : hex(run).slice(0, 16));
  return `${parts.join("  ")}  ${code ?? ""}${ended}${mark === null ? "" : ` [${mark}]`}`.trimEnd();
}

async function show(session: Session, options: ShowOptions): Promise<void> {
  const home = session.home();
  await withStore(home, async (store) => {
    const { size } = await store.tree();
    const from = options.from ?? Math.max(0, size - options.count);
    const leaves = await store.leaves(from, options.count);
    const head = (await store.lastHead())?.note;
    const shape = { size, head: head ? Buffer.from(head).toString() : null, from };
    session.tell({ ...shape, leaves: leaves.map(shapeOf) }, [
      ...leaves.map(lineOf),
      `${size} leaves in all; nothing of this is verified: \`portcullis audit verify\``,
    ]);
  });
}

export function register(program: Command): void {
  const family = defineFamily(program, "audit", "verify and show the audit log");
  defineVerb<VerifyOptions>(family, {
    name: "verify",
    summary: "check the audit log from its first leaf: exit 0 if it holds, 77 if not",
    examples: [
      "portcullis audit verify",
      "portcullis audit verify --earlier checkpoint-of-last-week.txt",
    ],
    notes: [
      "Only an earlier checkpoint, kept elsewhere, shows that the log's end was cut off.",
      "JSON: {verified: true, origin, key, size, root, events: {event: count}, open: [index], marks: {mark: runs}}, " +
        "or {verified: false, origin, code, index, message}",
    ],
    setup: (command) =>
      command
        .option("--key <note key>", "the log's public key (default: the node credential's)")
        .option("--earlier <file>", "a checkpoint that was copied from this log earlier"),
    run: verify,
  });
  defineVerb<ShowOptions>(family, {
    name: "show",
    summary: "list leaves; nothing of what it shows is verified",
    examples: ["portcullis audit show", "portcullis audit show --from 0 --count 100 --json"],
    notes: ["JSON: {size, head, from, leaves: [{index, hash, leaf}]}"],
    setup: (command) =>
      command
        .option(
          "--from <index>",
          "the first leaf",
          countOption("--from", 0, Number.MAX_SAFE_INTEGER),
        )
        .option("--count <n>", "how many (default: 20)", countOption("--count", 1, COUNT_MAX), 20),
    run: show,
  });
}
