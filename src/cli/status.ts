/** `portcullis status` */
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { type Domain, loadDomain } from "../domain/domain.ts";
import { type Leaf, parseLeaf } from "../log/leaf.ts";
import type { Anchor, Counters, Floors, OpenRun } from "../store/contract.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import type { UnverifiedNode } from "../wire/objects.ts";
import { type Home, readConfig } from "./home.ts";
import { loadNode } from "./node-files.ts";
import { hex, isoTime, type Json, pairs, span } from "./print.ts";
import { publishedShape } from "./publishing.ts";
import type { Session } from "./session.ts";
import { defineVerb } from "./verb.ts";

interface State {
  readonly floors: Floors | null;
  readonly counters: Counters | null;
  readonly anchor: Anchor | null;
  readonly openRuns: readonly OpenRun[];
  readonly size: number;
  readonly head: string | null;
  /** Marked leaves among the last RECENT, break-glass for one: when, and what came of it. */
  readonly marked: readonly Leaf[];
}

const RECENT = 1_000;

async function stateOf(home: Home, node: UnverifiedNode | null): Promise<State> {
  const store = openSqliteStore(home.state);
  try {
    const head = await store.lastHead();
    const { size } = await store.tree();
    const recent = await store.leaves(Math.max(0, size - RECENT), RECENT);
    const leaves = recent.map(({ bytes }) => parseLeaf(bytes));
    return {
      floors: await store.floors(),
      counters: node && (await store.counters(node.claims.name)),
      anchor: await store.anchor(),
      openRuns: await store.openRuns(),
      size,
      head: head && Buffer.from(head.note).toString(),
      marked: leaves.filter(({ mark, event }) => mark !== null && event !== "outcome"),
    };
  } finally {
    await store.close();
  }
}

function floorsShape(floors: Floors): Json {
  return {
    charterNumber: floors.charterNumber,
    charterDigest: hex(floors.charterDigest),
    snapshotVersion: floors.snapshotVersion,
    snapshotDigest: floors.snapshotDigest && hex(floors.snapshotDigest),
    time: isoTime(floors.timeSeconds),
  };
}

function nodeShape(node: UnverifiedNode): Json {
  const { ueid, name, labels, statusIndex, exp } = node.claims;
  return { ueid: hex(ueid), akName: hex(name), labels, statusIndex, expires: isoTime(exp) };
}

function countersShape({ resetCount, restartCount, clock, firmwareVersion }: Counters): Json {
  return {
    resetCount,
    restartCount,
    clock: clock.toString(),
    firmwareVersion: `0x${firmwareVersion.toString(16)}`,
  };
}

function snapshotAge(domain: Domain, now: number): string {
  const { version, iat, exp } = domain.snapshot.object.claims;
  const end = exp > now ? `expires in ${span(exp - now)}` : `EXPIRED ${span(now - exp)} ago`;
  return `${version}, ${span(now - iat)} old, ${end}`;
}

function floorsText(floors: Floors | null): string {
  if (floors === null) return "no charter pinned";
  const { charterNumber, snapshotVersion, timeSeconds } = floors;
  if (snapshotVersion === 0) return `charter ${charterNumber}, no snapshot proven yet`;
  return `charter ${charterNumber}, snapshot ${snapshotVersion}, time ${isoTime(timeSeconds)}`;
}

function markedText(marked: readonly Leaf[]): string {
  const last = marked.at(-1);
  if (last === undefined) return "none of late";
  const { mark, event, time, code } = last;
  return `${marked.length}, last ${mark ?? ""} ${code ?? event} at ${isoTime(time)}`;
}

function linesOf(
  home: Home,
  origin: string,
  domain: Domain,
  node: UnverifiedNode | null,
  state: State,
  now: number,
): string[] {
  const { charter, snapshot } = domain;
  const { claims } = snapshot.object;
  const { floors, counters } = state;
  return pairs([
    ["home", home.path],
    ["domain", domain.name],
    ["charter", `${charter.object.claims.number}, until ${isoTime(charter.object.claims.exp)}`],
    ["snapshot", snapshotAge(domain, now)],
    ["freeze", claims.freeze],
    ["decision", claims.decision],
    ["policies", [...claims.policies.keys()].join(", ") || "none active"],
    [
      "node",
      node === null
        ? "not enrolled"
        : `${hex(node.claims.ueid)}, until ${isoTime(node.claims.exp)}`,
    ],
    ["floors", floorsText(floors)],
    [
      "counters",
      counters === null
        ? "none proven yet"
        : `reset ${counters.resetCount}, restart ${counters.restartCount}, ` +
          `clock ${counters.clock} ms`,
    ],
    ["counter", anchorText(state.anchor)],
    ["log", `${origin}, ${state.size} leaves`],
    ["open runs", String(state.openRuns.length)],
    ["marked", markedText(state.marked)],
  ]);
}

const indexText = (index: number): string => `0x${index.toString(16).padStart(8, "0")}`;

function anchorText(anchor: Anchor | null): string {
  if (anchor === null) return "none: an older copy of this home would go unnoticed";
  const { index, value, announced, size } = anchor;
  const next = announced ? ", an increment is announced" : "";
  return `${indexText(index)} at ${value}, covers ${size} leaves${next}`;
}

async function run(session: Session): Promise<void> {
  const home = session.home();
  const { origin, tpm } = readConfig(home);
  const domain = await loadDomain(home.path);
  const node = await loadNode(home);
  const state = await stateOf(home, node);
  const now = nowSeconds();
  const { number, exp } = domain.charter.object.claims;
  const { iat, exp: snapshotExp } = domain.snapshot.object.claims;
  const shape: Json = {
    home: home.path,
    domain: domain.name,
    tpm,
    charter: { number, digest: hex(domain.charter.digest), expires: isoTime(exp) },
    snapshot: publishedShape(domain),
    snapshotAgeSeconds: now - iat,
    snapshotLeftSeconds: snapshotExp - now,
    node: node && nodeShape(node),
    floors: state.floors && floorsShape(state.floors),
    counters: state.counters && countersShape(state.counters),
    counter: state.anchor && {
      index: indexText(state.anchor.index),
      name: hex(state.anchor.name),
      value: state.anchor.value.toString(),
      announced: state.anchor.announced,
      size: state.anchor.size,
    },
    log: { origin, size: state.size, head: state.head },
    marked: state.marked.map(({ mark, event, code, time }) => ({
      mark,
      event,
      code,
      time: isoTime(time),
    })),
    openRuns: state.openRuns.map(({ runId, leafIndex }) => ({ run: hex(runId), leafIndex })),
  };
  session.tell(shape, linesOf(home, origin, domain, node, state, now));
}

export function register(program: Command): void {
  defineVerb<object>(program, {
    name: "status",
    summary: "snapshot age, floors, counters, log head",
    examples: ["portcullis status", "portcullis status --json"],
    notes: [
      "JSON: {home, domain, tpm, charter, snapshot, snapshotAgeSeconds, snapshotLeftSeconds, " +
        "node, floors, counters, counter: {index, name, value, announced, size}, log: {origin, size, " +
        "head}, openRuns, marked: [{mark, event, code, time}] (of the last 1000 leaves)}; tpm, " +
        "node, floors, counters and counter may be null",
    ],
    run,
  });
}
