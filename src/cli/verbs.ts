/**
 * The verbs in the order of the help. A verb's module is loaded when the verb is used, and no
 * other. Loading commander costs two thirds of what Node itself needs to start (measured), so `run`
 * and its like do without: a `lean` verb gets the words after its name as they are.
 */
import type { Command } from "commander";
import type { Globals } from "./session.ts";

/**
 * `register` adds the verb to the program with `defineVerb` (verb.ts), under the name in this
 * table.
 */
export interface CommandModule {
  register(program: Command): void;
}

/**
 * `main` gives the exit code; it prints its own help for --help, and takes --home and --json
 * itself.
 */
export interface LeanModule {
  main(words: readonly string[], globals: Globals): Promise<number>;
}

export type Verb = { readonly summary: string } & (
  | { readonly load: () => Promise<CommandModule> }
  | { readonly lean: () => Promise<LeanModule> }
);

export const VERBS: { readonly [name: string]: Verb } = {
  init: {
    summary: "set up a trust domain: keys, first charter, first snapshot",
    load: () => import("./init.ts"),
  },
  snapshot: {
    summary: "renew the governance snapshot",
    load: () => import("./snapshot.ts"),
  },
  policy: {
    summary: "capture, compile, compare, try, sign and activate reference policies",
    load: () => import("./policy.ts"),
  },
  governance: {
    summary: "rotate the charter, and sign where k of n keys lie apart",
    load: () => import("./governance.ts"),
  },
  authorize: {
    summary: "issue a grant, from a document or from flags",
    load: () => import("./authorize.ts"),
  },
  delegate: {
    summary: "hand on less than a grant allows, under the holder's key",
    load: () => import("./delegate.ts"),
  },
  lineage: {
    summary: "show a chain as a tree, or verify it",
    load: () => import("./lineage.ts"),
  },
  enroll: {
    summary: "make this machine's TPM a node of the domain",
    load: () => import("./enroll.ts"),
  },
  run: {
    summary: "decide, and run the command if everything is proven",
    lean: () => import("./run.ts"),
  },
  check: {
    summary: "decide without executing",
    lean: () => import("./check.ts"),
  },
  agent: {
    summary: "own the TPM, and let runs share its quotes",
    load: () => import("./agent.ts"),
  },
  serve: {
    summary: "be the control plane of this home's domain",
    load: () => import("./serve.ts"),
  },
  token: {
    summary: "create, list and revoke tokens of a plane",
    load: () => import("./token.ts"),
  },
  inspect: {
    summary: "show any object, and what is not verified about it",
    load: () => import("./inspect.ts"),
  },
  eventlog: {
    summary: "show a boot event log and the PCRs that it replays to",
    load: () => import("./eventlog.ts"),
  },
  ima: {
    summary: "show an IMA list and the PCRs that it replays to",
    load: () => import("./ima.ts"),
  },
  checkquote: {
    summary: "check a TPM quote from files, as tpm2_checkquote does",
    load: () => import("./checkquote.ts"),
  },
  replay: {
    summary: "decide a recorded case again",
    load: () => import("./replay.ts"),
  },
  revoke: {
    summary: "revoke grants, nodes, or any element",
    load: () => import("./revoke.ts"),
  },
  freeze: {
    summary: "stop new jobs, or all of them",
    load: () => import("./freeze.ts"),
  },
  unfreeze: {
    summary: "lift a freeze",
    load: () => import("./freeze.ts"),
  },
  audit: {
    summary: "verify and show the audit log",
    load: () => import("./audit.ts"),
  },
  status: {
    summary: "snapshot age, floors, counters, log head",
    load: () => import("./status.ts"),
  },
  doctor: {
    summary: "check what a run needs, and say what to do",
    load: () => import("./doctor.ts"),
  },
  backup: {
    summary: "copy keys and state to a folder",
    load: () => import("./backup.ts"),
  },
  restore: {
    summary: "set up a home from a backup",
    load: () => import("./restore.ts"),
  },
  demo: {
    summary: "watch a job admitted and others denied, on a software TPM",
    load: () => import("./demo.ts"),
  },
};
