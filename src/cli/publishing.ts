/** What the verbs that publish a snapshot share: whose keys sign it, and what is told of it. */
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { type Domain, loadDomain } from "../domain/domain.ts";
import type { KeysetName } from "../domain/layout.ts";
import type { Publication } from "../domain/publication.ts";
import { requireMembers, signersAtHand, signersFrom } from "../domain/signers.ts";
import type { Signer } from "../wire/keys.ts";
import type { CoseKey } from "../wire/objects.ts";
import type { Home } from "./home.ts";
import { hex, isoTime, type Json, pairs, span } from "./print.ts";
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

export async function publicationOf(
  home: Home,
  options: SignerOptions & { readonly lifetime?: number },
): Promise<Publication> {
  const domain = await loadDomain(home.path);
  const { keys } = domain.charter.object.claims.keysets.governance;
  const signers = await signersOf(domain, "governance", keys, options);
  const { lifetime } = options;
  const now = nowSeconds();
  return { signers, nowSeconds: now, ...(lifetime !== undefined && { lifetimeSeconds: lifetime }) };
}

export const PUBLISHED_NOTE =
  "JSON: {domain, version, digest, issued, expires, freeze, " +
  "policies: {name: [digest]}, file, status}";

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
