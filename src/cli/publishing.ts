/** What the verbs that publish a snapshot share: whose keys sign it, and what is told of it. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { type Domain, loadDomain } from "../domain/domain.ts";
import type { KeysetName } from "../domain/layout.ts";
import type { Publication } from "../domain/publication.ts";
import { requireMembers, signersAtHand, signersFrom } from "../domain/signers.ts";
import type { Signer } from "../wire/keys.ts";
import type { CoseKey } from "../wire/objects.ts";
import { readUnder, writeSnapshotDraft } from "./draft-files.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";
import { hex, isoTime, type Json, pairs, span } from "./print.ts";
import type { Session } from "./session.ts";
import { collect } from "./values.ts";

export interface SignerOptions {
  /** Key files, where not those in keys/ sign. */
  readonly signer?: readonly string[];
}

export function addSignerOption(command: Command, set: KeysetName): Command {
  const what = `a ${set} key to sign with, instead of those in keys/; again for each further one`;
  return command.option("--signer <key file>", what, collect);
}

/**
 * The signers of a set: the files that were named, each of which must belong to it, or else those
 * at hand.
 */
export async function signersOf(
  domain: Domain,
  set: KeysetName,
  keys: readonly CoseKey[],
  { signer: files = [] }: SignerOptions,
): Promise<Signer[]> {
  if (files.length === 0) return signersAtHand(domain.layout, set);
  const signers = await signersFrom(files);
  requireMembers(signers, { name: set, threshold: 1, keys });
  return signers;
}

/** Options of the verbs that publish a snapshot, or only propose it. */
export interface PublishOptions extends SignerOptions {
  readonly lifetime?: number;
  /** Where the snapshot goes, unsigned, instead of being published. */
  readonly forSigning?: string;
  /** A proposed charter that it is to stand under. */
  readonly under?: string;
}

export const FOR_SIGNING =
  "write it there unsigned, for `governance sign`, where the keys lie elsewhere";

export function addPublishOptions(command: Command): Command {
  return addSignerOption(command, "governance").option("--for-signing <file>", FOR_SIGNING);
}

export async function publicationOf(home: Home, options: PublishOptions): Promise<Publication> {
  const domain = await loadDomain(home.path);
  const { lifetime, forSigning, signer } = options;
  const { keys } = domain.charter.object.claims.keysets.governance;
  const common = {
    nowSeconds: nowSeconds(),
    ...(lifetime !== undefined && { lifetimeSeconds: lifetime }),
  };
  if (forSigning === undefined) {
    if (options.under !== undefined) throw new UsageError("--under goes with --for-signing.");
    return { ...common, signers: await signersOf(domain, "governance", keys, options) };
  }
  if (signer !== undefined) throw new UsageError("--for-signing and --signer exclude each other.");
  const under = await readUnder(options.under);
  return {
    ...common,
    signers: [],
    ...(under && { under }),
    propose: async (draft) => void (await writeSnapshotDraft(forSigning, draft)),
  };
}

/**
 * Runs a step that publishes, and tells the snapshot that is in force after it, or the proposal
 * that was written instead. `around` puts the snapshot's shape into that of the verb.
 */
export async function publishAndTell(
  session: Session,
  options: PublishOptions,
  step: (path: string, publication: Publication) => Promise<Domain>,
  around: { readonly shape: (snapshot: Json) => Json; readonly lines: readonly string[] } = {
    shape: (snapshot) => snapshot,
    lines: [],
  },
): Promise<void> {
  const home = session.home();
  const domain = await step(home.path, await publicationOf(home, options));
  const { forSigning } = options;
  if (forSigning === undefined) {
    const lines = [...around.lines, ...publishedLines(domain)];
    session.tell(around.shape(publishedShape(domain)), lines);
    return;
  }
  const proposal = resolve(forSigning);
  session.tell({ proposal, status: `${proposal}.status` }, [
    ...pairs([
      ["proposal", proposal],
      ["its list", `${proposal}.status`],
    ]),
    `next: portcullis governance show ${proposal}`,
  ]);
}

export const PUBLISHED_NOTE =
  "JSON: {domain, version, digest, issued, expires, freeze, " +
  "policies: {name: [digest]}, file, status}; with --for-signing {proposal, status}";

/** The shape of PUBLISHED_NOTE. */
export function publishedShape({ name, snapshot, status }: Domain): Json {
  const { claims } = snapshot.object;
  const policies = [...claims.policies].map(([policy, digests]) => [policy, digests.map(hex)]);
  return {
    domain: name,
    version: claims.version,
    digest: hex(snapshot.digest),
    issued: isoTime(claims.iat),
    expires: isoTime(claims.exp),
    freeze: claims.freeze,
    policies: Object.fromEntries(policies) as Json,
    file: snapshot.file,
    status: status.file,
  };
}

export function publishedLines({ name, snapshot }: Domain): string[] {
  const { version, exp, iat, freeze, policies } = snapshot.object.claims;
  return pairs([
    ["domain", name],
    ["snapshot", `${version}, digest ${hex(snapshot.digest)}`],
    ["expires", `${isoTime(exp)} (in ${span(exp - iat)})`],
    ["freeze", freeze],
    ["policies", [...policies.keys()].join(", ") || "none active"],
  ]);
}
