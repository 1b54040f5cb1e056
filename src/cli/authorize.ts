/** `portcullis authorize`: a document, or flags that make one; a grant comes out. */

import { resolve } from "node:path";
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { type Domain, loadDomain } from "../domain/domain.ts";
import { createFile } from "../domain/files.ts";
import { classQuorum, type IssuedGrant, issueGrant, proposeGrant } from "../domain/grants.ts";
import { signersAtHand } from "../domain/signers.ts";
import { sha256 } from "../wire/digests.ts";
import { draftObject } from "../wire/draft.ts";
import { Field, parseYaml } from "./document.ts";
import { writeDraft } from "./draft-files.ts";
import { UsageError } from "./error.ts";
import { readGrantDocument } from "./grant-document.ts";
import { readInput } from "./input-file.ts";
import { loadNode } from "./node-files.ts";
import { hex, isoTime, type Json, pairs } from "./print.ts";
import { addSignerOption, FOR_SIGNING, type SignerOptions, signersOf } from "./publishing.ts";
import type { Session } from "./session.ts";
import { collect } from "./values.ts";
import { defineVerb } from "./verb.ts";

/** Flags by the names that commander gives them; all text. */
interface Options extends SignerOptions {
  readonly exec?: string;
  readonly arg?: readonly string[];
  readonly argv0?: string;
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly stdin?: string;
  readonly uid?: string;
  readonly gid?: string;
  readonly caller?: readonly string[];
  readonly input?: readonly string[];
  readonly runtime?: string;
  readonly uses?: string;
  readonly policy?: readonly string[];
  readonly node?: readonly string[];
  readonly label?: string;
  readonly holder?: string;
  readonly class?: string;
  readonly notBefore?: string;
  readonly lifetime?: string;
  readonly depth?: string;
  readonly sub?: string;
  readonly issuer?: string;
  readonly ticket?: string;
  readonly attribution?: string;
  readonly decision?: string;
  readonly out?: string;
  readonly forSigning?: string;
}

const DOCUMENT_BYTES_MAX = 1_048_576;
const VALIDATOR = "portcullis-authorize";

/** Adds the flags, each named like the document's key that it stands for. */
function setup(command: Command): void {
  command
    .argument("[document]", "the request in YAML; or use flags")
    .option("--exec <path>", "the program, hashed now; a script's interpreter as well")
    .option("--arg <text>", "an argument; again for each further one (--arg=--flag)", collect)
    .option("--argv0 <text>", "argv[0] (default: the program's path)")
    .option("--env <name=value>", "a variable with this very value; again for others", collect)
    .option("--cwd <path>", "working directory (default: the current one)")
    .option("--stdin <how>", "none (default), inherit, or sha256:<hex>")
    .option("--uid <n>", "the job's user (default: you)")
    .option("--gid <n>", "the job's group (default: yours)")
    .option("--caller <uid>", "who may run it (default: you); again for others", collect)
    .option("--input <path>", "an input file, hashed now; again for others", collect)
    .option("--runtime <span>", "longest run (default: 60s)")
    .option("--uses <n>", "how often (default: 1)")
    .option("--policy <name>", "a policy that must hold (default: the only active one)", collect)
    .option("--node <ueid>", "a node that may run it (default: this one); again", collect)
    .option("--label <label>", "any node with this label, instead of --node")
    .option("--holder <who>", "node (default), or the key file of an agent or person")
    .option("--class <name>", "class of the charter (default: standard)")
    .option("--not-before <time>", "ISO 8601 (default: now)")
    .option("--lifetime <span>", "until it expires (default: 1h)")
    .option("--depth <n>", "how often it may be delegated (default: 0)")
    .option("--sub <name>", "the initiator (default: your user name)")
    .option("--issuer <name>", "the issuer (default: the domain)")
    .option("--ticket <name>", "recorded in the grant")
    .option("--attribution <name>", "recorded in the grant")
    .option("--decision <who>", "local or plane: who must decide")
    .option("--out <file>", "also write the grant there (mode 0600)")
    .option("--for-signing <file>", FOR_SIGNING);
  addSignerOption(command, "authority");
}

/** The same document that YAML would give. */
function documentOf(options: Options): Field {
  const entries: [string, unknown][] = [];
  const add = (name: string, value: unknown): void => {
    if (value !== undefined) entries.push([name, value]);
  };
  add("executable", options.exec);
  add("arguments", options.arg);
  add("argv0", options.argv0);
  add("environment", options.env && variablesOf(options.env));
  add("cwd", options.cwd && resolve(options.cwd));
  add("stdin", options.stdin && stdinOf(options.stdin));
  add("uid", options.uid);
  add("gid", options.gid);
  add("callers", options.caller);
  add(
    "inputs",
    options.input?.map((path) => resolve(path)),
  );
  add("runtime", options.runtime);
  add("uses", options.uses);
  add("policies", options.policy);
  add("audience", audienceOf(options));
  add("holder", holderOf(options.holder));
  add("class", options.class);
  add("not-before", options.notBefore);
  add("lifetime", options.lifetime);
  add("depth", options.depth);
  add("subject", options.sub);
  add("issuer", options.issuer);
  add("ticket", options.ticket);
  add("attribution", options.attribution);
  add("decision", options.decision);
  requireUtf8(entries);
  return new Field(new Map(entries), "flags");
}

/**
 * Node replaces bytes that are not UTF-8 in its arguments: the grant would then be for another job.
 */
function requireUtf8(entries: readonly (readonly [string, unknown])[]): void {
  const damaged = (value: unknown): boolean => {
    if (typeof value === "string") return value.includes("\ufffd");
    if (value instanceof Map) return [...value].flat().some(damaged);
    return Array.isArray(value) && value.some(damaged);
  };
  const found = entries.find(([, value]) => damaged(value));
  if (found === undefined) return;
  throw new UsageError(`${found[0]}: not UTF-8; write a document, with {hex: ...} for such bytes.`);
}

function variablesOf(texts: readonly string[]): Map<string, string> {
  const variables = new Map<string, string>();
  for (const text of texts) {
    const split = text.indexOf("=");
    const name = text.slice(0, split);
    if (split < 1) throw new UsageError(`--env: "${text}" is not name=value.`);
    if (variables.has(name)) throw new UsageError(`--env: ${name} is given twice.`);
    variables.set(name, text.slice(split + 1));
  }
  return variables;
}

function stdinOf(text: string): unknown {
  const digest = /^sha256:(.*)$/.exec(text)?.[1];
  return digest === undefined ? text : new Map([["sha256", digest]]);
}

function audienceOf({ node, label }: Options): unknown {
  if (node !== undefined && label !== undefined) {
    throw new UsageError("--node and --label exclude each other.");
  }
  if (label !== undefined) return new Map([["label", label]]);
  return node && new Map([["nodes", node]]);
}

function holderOf(text: string | undefined): unknown {
  return text === undefined || text === "node" ? text : new Map([["key", text]]);
}

interface Source {
  readonly document: Field;
  /** What was validated: the document's bytes, or the flags' as JSON. */
  readonly bytes: Uint8Array;
}

async function sourceOf(file: string | undefined, options: Options): Promise<Source> {
  const flags = documentOf(options);
  if (file === undefined) {
    if (options.exec === undefined) throw new UsageError("Name a document, or --exec.");
    const json = JSON.stringify(flags.value, (_, value: unknown) =>
      value instanceof Map ? [...value] : value,
    );
    return { document: flags, bytes: Buffer.from(json) };
  }
  if (flags.members().length > 0) {
    throw new UsageError("A document and flags exclude each other (but --out and --signer).");
  }
  const bytes = await readInput(file, DOCUMENT_BYTES_MAX);
  return { document: parseYaml(bytes, file), bytes };
}

function shapeOf({ claims, digest, statusIndex, file }: IssuedGrant, domain: Domain): Json {
  return {
    file,
    domain: domain.name,
    digest: hex(digest),
    statusIndex,
    class: claims.governance.class,
    subject: claims.sub,
    notBefore: isoTime(claims.nbf),
    expires: isoTime(claims.exp),
    uses: claims.scope.uses,
    policies: claims.policies,
  };
}

async function run(session: Session, options: Options, [file]: string[]): Promise<void> {
  const home = session.home();
  const domain = await loadDomain(home.path);
  const { document, bytes } = await sourceOf(file, options);
  const node = await loadNode(home);
  const request = await readGrantDocument(document, {
    issuer: domain.name,
    policies: [...domain.snapshot.object.claims.policies.keys()],
    ueid: node?.claims.ueid ?? null,
  });
  const { keys } = classQuorum(domain, request.class);
  const validation = { digest: sha256(bytes), validator: VALIDATOR };
  const governance = await signersAtHand(domain.layout, "governance");
  if (options.forSigning !== undefined) {
    const issuance = { governance, nowSeconds: nowSeconds() };
    const claims = await proposeGrant(domain, { ...request, validation }, issuance);
    const proposal = await writeDraft(options.forSigning, draftObject("grant", claims));
    session.tell({ proposal, statusIndex: claims.statusIndex }, [
      ...pairs([
        ["proposal", proposal],
        ["status index", String(claims.statusIndex)],
      ]),
      `next: portcullis governance show ${proposal}`,
    ]);
    return;
  }
  const issuance = {
    signers: await signersOf(domain, "authority", keys, options),
    governance,
    nowSeconds: nowSeconds(),
  };
  const issued = await issueGrant(domain, { ...request, validation }, issuance);
  const { out } = options;
  if (out !== undefined && !(await createFile(resolve(out), issued.bytes))) {
    throw new UsageError(`${out} exists already; the grant lies in ${issued.file}.`);
  }
  const written = out === undefined ? issued.file : resolve(out);
  session.tell(
    shapeOf({ ...issued, file: written }, domain),
    pairs([
      ["grant", written],
      ["digest", hex(issued.digest)],
      ["status index", String(issued.statusIndex)],
      ["valid", `${isoTime(issued.claims.nbf)} to ${isoTime(issued.claims.exp)}`],
      ["uses", String(issued.claims.scope.uses)],
    ]),
  );
}

export function register(program: Command): void {
  defineVerb<Options>(program, {
    name: "authorize",
    summary: "issue a grant, from a document or from flags",
    examples: [
      "portcullis authorize report.yaml --out report.grant",
      "portcullis authorize --exec /usr/bin/report --arg=--month --arg 2030-03 --lifetime 8h",
    ],
    notes: [
      "JSON: {file, domain, digest, statusIndex, class, subject, notBefore, expires, uses, " +
        "policies}; with --for-signing {proposal, statusIndex}",
    ],
    setup,
    run,
  });
}
