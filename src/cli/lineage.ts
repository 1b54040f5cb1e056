/**
 * `portcullis lineage show | verify | runs`: who handed what to whom, whether the core accepts it,
 * what came of it.
 */
import type { Command } from "commander";
import {
  type Code,
  FAMILIES,
  type Family,
  familyOf as familyOfCode,
  loadCore,
} from "../core/index.ts";
import { policiesOf, type UnverifiedChain } from "../domain/chains.ts";
import { readBounded } from "../domain/files.ts";
import { Layout } from "../domain/layout.ts";
import { gatherGovernance } from "../domain/materials.ts";
import { LIMITS } from "../limits.ts";
import { familyOf, loggedRuns, type PlacedRun, runTree } from "../log/runs.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { thumbprint } from "../wire/keys.ts";
import { type Grant, type Link, showClaims } from "../wire/objects.ts";
import { caseAround } from "./case-around.ts";
import { readChain } from "./delegate.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";
import { nodeFiles } from "./node-files.ts";
import { denialExit, denialLines, denialShape, hex, isoTime, type Json, oneLine } from "./print.ts";
import type { Session } from "./session.ts";
import { countOption, parseHex } from "./values.ts";
import { defineFamily, defineVerb } from "./verb.ts";

/** The families that a chain can be judged by without a job, a quote or a request. */
const JUDGED = [
  "governance",
  "artifact",
  "signature",
  "window",
  "lineage",
  "revocation",
] as const satisfies readonly Family[];
const isJudged = (family: Family): boolean => JUDGED.some((one) => one === family);
/** Of the family `policy`, what concerns the chain alone. */
const CHAIN_CODES: readonly Code[] = ["policy.domain", "policy.validation"];

function holderText({ cnf }: Grant | Link): string {
  return "key" in cnf ? `key ${hex(thumbprint(cnf.key)).slice(0, 16)}` : "the executing node";
}

/** What an element states about a job: every field of a grant, and those of a link that narrow. */
function statedLines(claims: Grant | Link, kind: "grant" | "link"): string[] {
  const shown = showClaims(kind, claims as Grant & Link) as { readonly [name: string]: Json };
  const { scope, policies, audience, decision } = shown;
  const fields = { ...(scope as object), policies, audience, decision };
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${oneLine(JSON.stringify(value))}`);
}

function elementLines(chain: UnverifiedChain, place: number): string[] {
  const element = place === 0 ? chain.grant : chain.links[place - 1];
  if (element === undefined) throw new UsageError("The chain has no such element.");
  const { claims, digest, kind } = element;
  const indent = "   ".repeat(place);
  const body = `${indent}${place < chain.links.length ? "│ " : "  "} `;
  const branch = place === 0 ? "" : `${"   ".repeat(place - 1)}└─ `;
  const { class: name } = claims.governance;
  const most = claims.maxDepth ?? 0;
  const depth = most > place ? `depth ${place} of ${most}` : "not to be delegated";
  return [
    `${branch}${kind} ${digest === null ? "" : hex(digest)}`,
    `${body}by ${claims.iss} for ${claims.sub}, class ${name}, held by ${holderText(claims)}`,
    `${body}${isoTime(claims.nbf)} to ${isoTime(claims.exp)}, ${depth}`,
    ...statedLines(claims, kind).map((line) => `${body}${line}`),
  ];
}

function elementShape({
  claims,
  digest,
  kind,
}: UnverifiedChain["grant"] | UnverifiedChain["links"][number]): Json {
  const content = showClaims(kind, claims as Grant & Link);
  return { kind, digest: digest === null ? null : hex(digest), content };
}

async function show(session: Session, _options: object, [file = ""]: string[]): Promise<void> {
  const chain = await readChain(file);
  const elements = [chain.grant, ...chain.links];
  session.tell({ elements: elements.map(elementShape) }, [
    ...elements.flatMap((_, place) => elementLines(chain, place)),
    "NOT verified: `portcullis lineage verify` asks the core.",
  ]);
}

/** The case around the chain as this machine would be asked now. */
async function caseHere(home: Home, chain: UnverifiedChain): Promise<Uint8Array> {
  const store = openSqliteStore(home.state);
  try {
    const floors = await store.floors();
    if (floors === null) throw new UsageError("No charter is pinned: `portcullis init` sets it.");
    const names = policiesOf(chain);
    const { charterNumber } = floors;
    const { unverifiedPolicies: _, ...files } = await gatherGovernance(
      new Layout(home.path),
      charterNumber,
      names,
    );
    const credential = await readBounded(nodeFiles(home).credential, LIMITS.policyBytes);
    const node = credential ?? new Uint8Array(0);
    const materials = { ...files, elements: chain.elements, node };
    return await caseAround(materials, floors, (elements) => store.uses(elements));
  } finally {
    await store.close();
  }
}

async function verify(session: Session, _options: object, [file = ""]: string[]): Promise<number> {
  const chain = await readChain(file);
  const bytes = await caseHere(session.home(), chain);
  const verdict = (await loadCore()).decide(bytes, { explain: true });
  const codes = verdict.codes.filter(
    (code) => isJudged(familyOfCode(code)) || CHAIN_CODES.includes(code),
  );
  const judged = FAMILIES.filter(isJudged);
  const states = Object.fromEntries(judged.map((family) => [family, verdict.families[family]]));
  const holds = codes.length === 0 && judged.every((family) => states[family] === "proven");
  const unseen = states.revocation === "not evaluated" && codes.length === 0;
  session.tell(
    { holds, codes: codes.map((code) => ({ ...denialShape(code) })), families: states },
    [
      holds ? "The chain holds." : unseen ? "Not judged in full." : "The chain does not hold.",
      ...judged.map((family) => `  ${family.padEnd(11)}  ${states[family]}`),
      ...codes.flatMap((code) => denialLines(code)),
      ...(unseen ? ["Revocation is judged on a node: enroll this machine, or verify there."] : []),
    ],
  );
  const [first] = codes;
  return holds ? 0 : denialExit(first ?? "identity.missing");
}

interface RunsOptions {
  readonly count: number;
}

function runLine({ depth, run }: PlacedRun): string {
  const { runId, time, end, chain } = run;
  const ended = end === null ? "under way, or its gate died" : `${end.kind} ${end.number}`;
  const branch = depth === 0 ? "" : `${"   ".repeat(depth - 1)}└─ `;
  const under = chain === null ? "" : `  chain ${hex(chain).slice(0, 16)}`;
  return `${branch}${hex(runId)}  ${isoTime(time)}${under}  ${ended}`;
}

function runShape({ depth, run }: PlacedRun): Json {
  const { runId, parentRun, time, end, chain } = run;
  return {
    depth,
    run: hex(runId),
    parent: parentRun && hex(parentRun),
    chain: chain && hex(chain),
    time: isoTime(time),
    end: end && { kind: end.kind, number: end.number },
  };
}

/** The runs of the log, each below the one that started it. */
async function runs(session: Session, { count }: RunsOptions, [id]: string[]): Promise<void> {
  const store = openSqliteStore(session.home().state);
  try {
    const all = await loggedRuns(store);
    const wanted = id === undefined ? null : parseHex(id, 32, "the run");
    const placed = wanted === null ? runTree(all.slice(-count)) : runTree(familyOf(all, wanted));
    if (wanted !== null && placed.length === 0) {
      throw new UsageError("The log knows no run of this id.");
    }
    session.tell({ runs: placed.map(runShape) }, [
      ...placed.map(runLine),
      "NOT verified: `portcullis audit verify` checks the log.",
    ]);
  } finally {
    await store.close();
  }
}

export function register(program: Command): void {
  const family = defineFamily(program, "lineage", "show a chain as a tree, or verify it");
  const setup = (command: Command) => command.argument("<chain>", "a grant, or a chain's file");
  defineVerb<object>(family, {
    name: "show",
    summary: "who handed what to whom, as a tree",
    examples: ["portcullis lineage show sub.grant"],
    notes: [
      "Nothing is verified: this shows what the bytes claim.",
      "JSON: {elements: [{kind, digest, content}]}, root first",
    ],
    setup,
    run: show,
  });
  defineVerb<RunsOptions>(family, {
    name: "runs",
    summary: "which run started which, from the origin on",
    examples: ["portcullis lineage runs", "portcullis lineage runs 3b1f8a...c2"],
    notes: ["JSON: {runs: [{depth, run, parent, chain, time, end: {kind, number} or null}]}"],
    setup: (command) =>
      command
        .argument("[run id]", "any run of the tree; without one, the latest runs")
        .option("--count <n>", "how many runs (default: 20)", countOption("--count", 1, 1e6), 20),
    run: runs,
  });
  defineVerb<object>(family, {
    name: "verify",
    summary: "whether signatures, windows, narrowing and revocation hold now",
    examples: ["portcullis lineage verify sub.grant"],
    notes: [
      "The core judges the chain under this home's governance; whether a job, a node and a use are",
      "left to it, `portcullis check` tells. Exit 0 if it holds, 77 or 75 if not.",
      "JSON: {holds, codes: [{code, why, next, retry}], families: {family: state}}",
    ],
    setup,
    run: verify,
  });
}
