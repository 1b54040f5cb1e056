/**
 * `portcullis delegate`: the holder of a grant, or of a chain's end, hands on less than it was
 * given.
 */
import { userInfo } from "node:os";
import { resolve } from "node:path";
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { heldBy, parseChain, type UnverifiedChain } from "../domain/chains.ts";
import { type Delegated, type DelegationRequest, delegate } from "../domain/delegation.ts";
import { createFile } from "../domain/files.ts";
import { LIMITS } from "../limits.ts";
import { WireError } from "../wire/error.ts";
import { readKeyFile } from "../wire/key-files.ts";
import { signerOf } from "../wire/keys.ts";
import { UsageError } from "./error.ts";
import { readHolderKey } from "./holder.ts";
import { readInput } from "./input-file.ts";
import { hex, isoTime, type Json, pairs } from "./print.ts";
import type { Session } from "./session.ts";
import { collect, countOption, parseCount, parseTime, parseUeid, spanOption } from "./values.ts";
import { defineVerb } from "./verb.ts";

interface Options {
  readonly key: string;
  readonly holder: string;
  readonly out: string;
  readonly arg?: readonly string[];
  readonly argv0?: string;
  readonly keepEnv?: readonly string[];
  readonly dropEnv?: true;
  readonly caller?: readonly string[];
  readonly runtime?: number;
  readonly uses?: number;
  readonly policy?: readonly string[];
  readonly node?: readonly string[];
  readonly plane?: true;
  readonly notBefore?: string;
  readonly lifetime?: number;
  readonly depth?: number;
  readonly issuer?: string;
  readonly ticket?: string;
  readonly attribution?: string;
}

const ID_MAX = 2 ** 32 - 2;

function setup(command: Command): void {
  command
    .argument("<grant>", "the grant, or the chain, to delegate from")
    .requiredOption("--key <file>", "your private key: the one that holds it")
    .requiredOption("--holder <who>", "node, or the key file of the agent or person to receive it")
    .requiredOption("--out <file>", "the chain with the new link at its end (mode 0600)")
    .option("--arg <text>", "exactly these arguments; again for each further one", collect)
    .option("--argv0 <text>", "argv[0], with --arg (default: the authorized one)")
    .option("--keep-env <name>", "only this variable; again for others", collect)
    .option("--drop-env", "no variable at all")
    .option("--caller <uid>", "only this caller; again for others", collect)
    .option("--runtime <span>", "a shorter longest run", spanOption("--runtime"))
    .option("--uses <n>", "fewer uses", countOption("--uses", 1, Number.MAX_SAFE_INTEGER))
    .option("--policy <name>", "a policy that must hold besides; again for others", collect)
    .option("--node <ueid>", "only this node; again for others", collect)
    .option("--plane", "the plane must decide")
    .option("--not-before <time>", "ISO 8601 (default: now)")
    .option("--lifetime <span>", "(default: until the parent ends)", spanOption("--lifetime"))
    .option(
      "--depth <n>",
      "how often it may be delegated in turn (default: 0)",
      countOption("--depth", 0, LIMITS.elements - 1),
    )
    .option("--issuer <name>", "you (default: your user name)")
    .option("--ticket <name>", "recorded in the link")
    .option("--attribution <name>", "recorded in the link");
}

/** Throws UsageError where the file is no chain of ours. */
export async function readChain(path: string): Promise<UnverifiedChain> {
  const file = await readInput(path, LIMITS.chainBytes);
  try {
    return parseChain(file);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    throw new UsageError(`${path} is no grant or chain: ${cause.message}.`, { cause });
  }
}

/**
 * Node replaces bytes that are not UTF-8 in its arguments: the link would then be for another job.
 */
function bytesOf(text: string): Uint8Array {
  if (text.includes("\ufffd")) throw new UsageError("--arg, --argv0, --keep-env: not UTF-8.");
  return new Uint8Array(Buffer.from(text, "utf8"));
}

function argvOf(options: Options, chain: UnverifiedChain): Pick<DelegationRequest, "argv"> {
  const { arg, argv0 } = options;
  if (arg === undefined && argv0 === undefined) return {};
  const { values } = heldBy(chain).scope.argv;
  const [first] = values;
  const [usual] = first instanceof Uint8Array ? [first] : (first ?? []);
  const name = argv0 === undefined ? usual : bytesOf(argv0);
  if (name === undefined) throw new UsageError("The authorization names no argv[0].");
  return { argv: [name, ...(arg ?? []).map(bytesOf)] };
}

function variablesOf({ keepEnv, dropEnv }: Options): Pick<DelegationRequest, "variables"> {
  if (keepEnv !== undefined && dropEnv) {
    throw new UsageError("--keep-env and --drop-env exclude each other.");
  }
  if (dropEnv) return { variables: [] };
  return keepEnv === undefined ? {} : { variables: keepEnv.map(bytesOf) };
}

async function requestOf(options: Options, chain: UnverifiedChain): Promise<DelegationRequest> {
  const { holder, caller, node, policy, runtime, uses, lifetime, depth, notBefore } = options;
  const { ticket, attribution } = options;
  return {
    issuer: options.issuer ?? userInfo().username,
    holder: holder === "node" ? { node: "executing" } : { key: await readHolderKey(holder) },
    ...argvOf(options, chain),
    ...variablesOf(options),
    ...(caller && { callers: caller.map((uid) => parseCount(uid, 0, ID_MAX, "--caller")) }),
    ...(runtime !== undefined && { runtimeSeconds: runtime }),
    ...(uses !== undefined && { uses }),
    ...(policy && { furtherPolicies: policy }),
    ...(node && { nodes: node.map((ueid) => parseUeid(ueid, "--node")) }),
    ...(options.plane && { decision: "plane" }),
    ...(notBefore !== undefined && { notBefore: parseTime(notBefore, "--not-before") }),
    ...(lifetime !== undefined && { lifetimeSeconds: lifetime }),
    ...(depth !== undefined && { furtherDepth: depth }),
    ...(ticket !== undefined && { ticket }),
    ...(attribution !== undefined && { attribution }),
  };
}

function shapeOf({ claims, digest }: Delegated, file: string): Json {
  return {
    file,
    digest: hex(digest),
    parent: hex(claims.parent),
    depth: claims.depth,
    subject: claims.sub,
    notBefore: isoTime(claims.nbf),
    expires: isoTime(claims.exp),
  };
}

async function run(session: Session, options: Options, [file = ""]: string[]): Promise<void> {
  const chain = await readChain(file);
  const request = await requestOf(options, chain);
  const signer = signerOf(await readKeyFile(options.key));
  const delegated = await delegate(chain, request, signer, nowSeconds());
  const out = resolve(options.out);
  if (!(await createFile(out, delegated.file))) throw new UsageError(`${out} exists already.`);
  const { claims, digest } = delegated;
  session.tell(
    shapeOf(delegated, out),
    pairs([
      ["chain", out],
      ["link", `${hex(digest)} (depth ${claims.depth})`],
      ["valid", `${isoTime(claims.nbf)} to ${isoTime(claims.exp)}`],
    ]),
  );
}

export function register(program: Command): void {
  defineVerb<Options>(program, {
    name: "delegate",
    summary: "hand on less than a grant allows, under the holder's key",
    examples: [
      "portcullis delegate report.grant --key agent.pem --holder sub-agent.pub --uses 1 --out sub.grant",
      "portcullis delegate report.grant --key agent.pem --holder node --lifetime 5m --out once.grant",
    ],
    notes: [
      "What is not narrowed stays as it was. `run --grant` takes the file as it takes a grant.",
      "JSON: {file, digest, parent, depth, subject, notBefore, expires}",
    ],
    setup,
    run,
  });
}
