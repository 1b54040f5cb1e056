/** `portcullis policy show | sign | activate | deactivate` */
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { type Domain, type HeldPolicy, loadDomain, loadPolicies } from "../domain/domain.ts";
import { draftPolicy, policyQuorum, signPolicy } from "../domain/policies.ts";
import { activatePolicy, deactivatePolicy } from "../domain/publication.ts";
import { LIMITS } from "../limits.ts";
import { draftObject } from "../wire/draft.ts";
import { showClaims } from "../wire/objects.ts";
import { registerCapture } from "./capture.ts";
import { parseYaml } from "./document.ts";
import { writeDraft } from "./draft-files.ts";
import { UsageError } from "./error.ts";
import { readInput } from "./input-file.ts";
import { policyOf } from "./policy-document.ts";
import { registerReview } from "./policy-review.ts";
import { policyRows, rowText } from "./policy-text.ts";
import { hex, isoTime, type Json, pairs } from "./print.ts";
import {
  addPublishOptions,
  addSignerOption,
  FOR_SIGNING,
  PUBLISHED_NOTE,
  type PublishOptions,
  publishAndTell,
  type SignerOptions,
  signersOf,
} from "./publishing.ts";
import type { Session } from "./session.ts";
import { defineFamily, defineVerb } from "./verb.ts";

interface ChoiceOptions extends PublishOptions {
  readonly digest?: string;
  readonly replace?: true;
}

interface SignOptions extends SignerOptions {
  readonly forSigning?: string;
}

/** Digests take twice as many bytes in YAML as in what is signed. */
const DOCUMENT_BYTES_MAX = 2 * LIMITS.policyBytes;

/** {name, version, digest, active, issued, file, content} */
export function policyShape(policy: HeldPolicy): Json {
  const { claims } = policy.object;
  return {
    name: policy.name,
    version: claims.version,
    digest: hex(policy.digest),
    active: policy.active,
    issued: isoTime(claims.iat),
    file: policy.file,
    content: showClaims("policy", claims),
  };
}

function policyLines(policy: HeldPolicy, full: boolean): string[] {
  const { claims } = policy.object;
  const state = policy.active ? "active" : "inactive";
  const head = `${policy.name}  version ${claims.version}  ${state}  ${hex(policy.digest)}`;
  return full ? [head, ...policyRows(claims).map((row) => `  ${rowText(row)}`)] : [head];
}

async function show(session: Session, _options: object, [name]: string[]): Promise<void> {
  const domain = await loadDomain(session.home().path);
  const all = await loadPolicies(domain);
  const chosen = name === undefined ? all : all.filter((policy) => policy.name === name);
  if (name !== undefined && chosen.length === 0) throw new UsageError(`No policy named ${name}.`);
  const lines = chosen.flatMap((policy) => policyLines(policy, name !== undefined));
  const shape = { policies: chosen.map(policyShape) };
  session.tell(shape, lines.length > 0 ? lines : ["no policies"]);
}

/** The policy of that name: by the start of its digest, or else its highest version. */
async function chosen(domain: Domain, name: string, prefix: string | undefined) {
  const named = (await loadPolicies(domain)).filter((policy) => policy.name === name);
  if (named.length === 0) throw new UsageError(`No policy named ${name}.`);
  if (prefix !== undefined) {
    const found = named.filter(({ digest }) => hex(digest).startsWith(prefix.toLowerCase()));
    if (found.length === 1 && found[0] !== undefined) return found[0];
    throw new UsageError(`--digest: ${found.length} versions of ${name} begin with "${prefix}".`);
  }
  const version = (policy: HeldPolicy): number => policy.object.claims.version;
  const highest = Math.max(...named.map(version));
  const [newest, other] = named.filter((policy) => version(policy) === highest);
  if (newest !== undefined && other === undefined) return newest;
  throw new UsageError(`${name} has several policies of version ${highest}: choose by --digest.`);
}

async function activate(session: Session, options: ChoiceOptions, [name = ""]: string[]) {
  const home = session.home();
  const { digest } = await chosen(await loadDomain(home.path), name, options.digest);
  const replace = { replace: options.replace === true };
  await publishAndTell(session, options, (path, publication) =>
    activatePolicy(path, publication, { name, digest }, replace),
  );
}

async function deactivate(session: Session, options: ChoiceOptions, [name = ""]: string[]) {
  const home = session.home();
  const digest =
    options.digest === undefined
      ? null
      : (await chosen(await loadDomain(home.path), name, options.digest)).digest;
  await publishAndTell(session, options, (path, publication) =>
    deactivatePolicy(path, publication, { name, digest }),
  );
}

async function sign(session: Session, options: SignOptions, [file = ""]: string[]) {
  const domain = await loadDomain(session.home().path);
  const request = policyOf(parseYaml(await readInput(file, DOCUMENT_BYTES_MAX), file));
  if (options.forSigning !== undefined) {
    const claims = await draftPolicy(domain, request, nowSeconds());
    const proposal = await writeDraft(options.forSigning, draftObject("policy", claims));
    session.tell({ proposal }, [`next: portcullis governance show ${proposal}`]);
    return;
  }
  const signers = await signersOf(domain, "policy", policyQuorum(domain).keys, options);
  const signed = await signPolicy(domain, request, signers, nowSeconds());
  const digest = hex(signed.digest);
  session.tell({ name: signed.name, version: signed.version, digest, file: signed.file }, [
    ...pairs([
      ["policy", `${signed.name}, version ${signed.version}`],
      ["digest", digest],
      ["file", signed.file],
    ]),
    `next: portcullis policy activate ${signed.name}`,
  ]);
}

export function register(program: Command): void {
  const family = defineFamily(
    program,
    "policy",
    "reference policies: which machine states are good",
  );
  const name = "the policy's name";
  const prefix = ["--digest <hex>", "which one, by the start of its digest"] as const;
  registerCapture(family);
  registerReview(family);
  defineVerb<object>(family, {
    name: "show",
    summary: "list policies, or show one with what it compares",
    examples: ["portcullis policy show", "portcullis policy show base"],
    notes: ["JSON: {policies: [{name, version, digest, active, issued, file, content}]}"],
    setup: (command) => command.argument("[name]", name),
    run: show,
  });
  defineVerb<SignOptions>(family, {
    name: "sign",
    summary: "sign a policy that is written in YAML",
    examples: ["portcullis policy sign base.yaml"],
    notes: [
      "The document: {name, version, pcrs: {sha256: {0: <hex>, 7: [<hex>, <hex>]}}, event-log, ima, " +
        "firmware-version-min}; at least one of pcrs, event-log and ima; docs/policies.md has examples.",
      "event-log: {sha256: {7: {separator: one | none, events: [...], types: [EV_POST_CODE]}}}; each event " +
        "{secure-boot: on | off}, {text: <text or list>}, {digest: <hex or list>, label} or " +
        "{variable: <name>, guid}, required unless it has `optional: true`; no other is allowed.",
      "ima: {aggregate, files: {<path>: <hex or list>}, digests: [<hex>], keys: [<PEM>], excluded: " +
        "[/a/folder/], buffers: {<name>: <hex>}}, or `stages`, a list of {from, to, files, ...}.",
      "JSON: {name, version, digest, file}; with --for-signing {proposal}",
    ],
    setup: (command) =>
      addSignerOption(command, "policy")
        .argument("<document>", "the policy in YAML")
        .option("--for-signing <file>", FOR_SIGNING),
    run: sign,
  });
  defineVerb<ChoiceOptions>(family, {
    name: "activate",
    summary: "publish a snapshot under which a policy is active (default: its highest version)",
    examples: ["portcullis policy activate base", "portcullis policy activate base --replace"],
    notes: [PUBLISHED_NOTE],
    setup: (command) =>
      addPublishOptions(command)
        .argument("<name>", name)
        .option(...prefix)
        .option("--replace", "instead of the alternatives that are active now"),
    run: activate,
  });
  defineVerb<ChoiceOptions>(family, {
    name: "deactivate",
    summary: "publish a snapshot under which a policy is not active",
    examples: ["portcullis policy deactivate base"],
    notes: [PUBLISHED_NOTE],
    setup: (command) =>
      addPublishOptions(command)
        .argument("<name>", name)
        .option(...prefix),
    run: deactivate,
  });
}
