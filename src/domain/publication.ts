/**
 * New snapshots. Each has the version after the one in force, and the file of that version is
 * created, never replaced: of two processes that publish at once one succeeds, and the other starts
 * again from what it finds, so that no revocation is lost between them.
 */

import { compareBytes } from "../bytes.ts";
import { LIMITS } from "../limits.ts";
import { statusDigest } from "../wire/digests.ts";
import type { Signer } from "../wire/keys.ts";
import { type Charter, type Snapshot, type StatusList, signObject } from "../wire/objects.ts";
import {
  encodeStatusList,
  grown,
  type StatusBits,
  withElementRevoked,
  withStatus,
} from "../wire/status.ts";
import { type Domain, loadDomain, loadPolicies } from "./domain.ts";
import { DomainError } from "./error.ts";
import { createFolder, numbersIn, removeFolder } from "./files.ts";
import { enough } from "./signers.ts";

/** What the next snapshot says anew; the rest stays. */
export type Change = Partial<Pick<Snapshot, "epoch" | "freeze" | "decision" | "policies">> & {
  readonly list?: StatusList;
};

/** A snapshot before anyone signs it, and the list that it names. */
export interface SnapshotDraft {
  readonly claims: Snapshot;
  readonly status: Uint8Array;
}

export interface Publication {
  /** Governance keys at hand. */
  readonly signers: readonly Signer[];
  readonly nowSeconds: number;
  /** The charter's bound where absent. */
  readonly lifetimeSeconds?: number;
  /** Takes the draft instead: nothing is signed here, and nothing published. */
  readonly propose?: (draft: SnapshotDraft) => Promise<void>;
  /** The charter that the snapshot will stand under, where that is not published yet. */
  readonly under?: Under;
}

/** A charter as a snapshot depends on it. */
export interface Under {
  readonly claims: Charter;
  readonly digest: Uint8Array;
}

const underOf = ({ charter }: Domain): Under => ({
  claims: charter.object.claims,
  digest: charter.digest,
});

const ATTEMPTS = 32;
/** Snapshots kept: a gate that has just read one still finds its status list. */
const KEPT = 16;
const CONTENTION_SECONDS = 60;

/**
 * Publishes a snapshot with a change, computed from the domain as it then is. Durable when this
 * returns; gives the domain as it is now.
 *
 * @throws DomainError `domain.input`, `domain.signers`, `domain.conflict`, `domain.storage`, or
 * what `change` throws.
 */
export async function publish(
  path: string,
  publication: Publication,
  change: (domain: Domain) => Change | Promise<Change>,
): Promise<Domain> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const domain = await loadDomain(path);
    const draft = draftSnapshot(domain, publication, await change(domain));
    if (publication.propose !== undefined) {
      await publication.propose(draft);
      return domain;
    }
    const { governance } = domain.charter.object.claims.keysets;
    const quorum = enough(publication.signers, { name: "governance", ...governance });
    const bytes = await signObject("snapshot", draft.claims, quorum);
    if (!(await keepSnapshot(domain, draft.claims.version, bytes, draft.status))) continue;
    return loadDomain(path);
  }
  throw new DomainError(
    "domain.conflict",
    `Other processes published all the while (${ATTEMPTS} attempts): try again.`,
  );
}

/** The claims of the next snapshot. Throws DomainError `domain.input` for a window out of bounds. */
export function draftSnapshot(
  domain: Domain,
  publication: Publication,
  { list = domain.status.list, ...changed }: Change,
): SnapshotDraft {
  const under = publication.under ?? underOf(domain);
  const status = encodeStatusList(list);
  const { claims: before } = domain.snapshot.object;
  const claims = {
    ...before,
    ...changed,
    ...windowOf(domain, publication, under.claims),
    charter: under.digest,
    version: before.version + 1,
    status: statusDigest(status),
  };
  return { claims, status };
}

/**
 * Publishes a signed snapshot of this version, durably, and removes those that are too old: false
 * where another of that version was first.
 */
export async function keepSnapshot(
  { layout }: Domain,
  version: number,
  snapshot: Uint8Array,
  status: Uint8Array,
): Promise<boolean> {
  if (!(await createFolder(layout.snapshotFolder(version), { snapshot, status }))) return false;
  const versions = await numbersIn(layout.snapshots, "");
  // Others went on meanwhile, perhaps without this one: an earlier one of this version may have
  // been removed.
  if (versions.at(-1) !== version) return false;
  for (const old of versions.slice(0, -KEPT)) await removeFolder(layout.snapshotFolder(old));
  return true;
}

function windowOf(
  domain: Domain,
  { nowSeconds, lifetimeSeconds }: Publication,
  { bounds, exp }: Charter,
): Pick<Snapshot, "iat" | "exp"> {
  const lifetime = lifetimeSeconds ?? bounds.snapshotSeconds;
  if (!Number.isSafeInteger(lifetime) || lifetime < 1 || lifetime > bounds.snapshotSeconds) {
    throw new DomainError(
      "domain.input",
      `A snapshot of ${lifetime} s: the charter allows 1 to ${bounds.snapshotSeconds} s.`,
    );
  }
  // Another process may have published since `nowSeconds` was read; more than that is a wrong
  // clock.
  const before = domain.snapshot.object.claims.iat;
  if (nowSeconds < before - CONTENTION_SECONDS) {
    throw new DomainError(
      "domain.input",
      `The last snapshot was made ${before - nowSeconds} s in the future: set the clock.`,
    );
  }
  if (nowSeconds >= exp) {
    throw new DomainError("domain.input", "The charter has expired: nothing can be published.");
  }
  const iat = Math.max(nowSeconds, before);
  return { iat, exp: iat + lifetime };
}

export function renewSnapshot(path: string, publication: Publication): Promise<Domain> {
  return publish(path, publication, () => ({}));
}

/** `new`: no job starts any more. `all`: leases end too. `none` lifts it. */
export function setFreeze(
  path: string,
  publication: Publication,
  freeze: Snapshot["freeze"],
): Promise<Domain> {
  return publish(path, publication, () => ({ freeze }));
}

/** What is to be revoked: a grant or a node by its status index, or any element by its digest. */
export type Revocation =
  | { readonly kind: "grants" | "nodes"; readonly index: number }
  | { readonly kind: "element"; readonly digest: Uint8Array };

/**
 * Revokes all of these, or none. Throws DomainError `domain.input` for an index that was never
 * issued.
 */
export function revoke(
  path: string,
  publication: Publication,
  revocations: readonly Revocation[],
): Promise<Domain> {
  return publish(path, publication, (domain) => ({
    list: revocations.reduce(revoked, domain.status.list),
  }));
}

function revoked(list: StatusList, revocation: Revocation): StatusList {
  if (revocation.kind === "element") return withElementRevoked(list, revocation.digest);
  const { kind, index } = revocation;
  const room = list[kind].length * 8;
  if (Number.isSafeInteger(index) && index >= 0 && index < room) {
    return withStatus(list, kind, index, true);
  }
  throw new DomainError(
    "domain.input",
    `Status index ${index} is beyond the list (${room} ${kind}): what bears it is denied already.`,
  );
}

/** Makes the list cover an index; publishes only where it does not yet. */
export async function coverIndex(
  path: string,
  publication: Publication,
  bits: StatusBits,
  index: number,
): Promise<Domain> {
  const domain = await loadDomain(path);
  if (index < domain.status.list[bits].length * 8) return domain;
  const room = Math.min(2 * (index + 1), LIMITS.statusBytes * 4);
  return publish(path, publication, (now) => ({
    list: grown(now.status.list, bits, Math.max(index + 1, room)),
  }));
}

/** A policy by name, and which of its versions. */
export interface PolicyChoice {
  readonly name: string;
  readonly digest: Uint8Array;
}

/**
 * Lists a policy as active; `replace` drops the other alternatives of its name. Throws DomainError
 * `domain.missing` where no file in policies/ has that name and digest.
 */
export function activatePolicy(
  path: string,
  publication: Publication,
  { name, digest }: PolicyChoice,
  { replace }: { readonly replace: boolean },
): Promise<Domain> {
  return publish(path, publication, async (domain) => {
    const known = await loadPolicies(domain);
    if (!known.some((one) => one.name === name && compareBytes(one.digest, digest) === 0)) {
      throw new DomainError("domain.missing", `There is no policy ${name} with that digest.`);
    }
    const policies = new Map(domain.snapshot.object.claims.policies);
    const others = replace ? [] : (policies.get(name) ?? []).filter((one) => !same(one, digest));
    const alternatives = [...others, digest];
    if (alternatives.length > LIMITS.alternatives) {
      throw new DomainError(
        "domain.input",
        `${name} has ${LIMITS.alternatives} active alternatives already: deactivate one.`,
      );
    }
    return { policies: policies.set(name, alternatives) };
  });
}

/** Takes one alternative of a policy off the list, or with a null digest all of them. */
export function deactivatePolicy(
  path: string,
  publication: Publication,
  { name, digest }: { readonly name: string; readonly digest: Uint8Array | null },
): Promise<Domain> {
  let found = false; // by an attempt before, which others may have followed at once
  return publish(path, publication, (domain) => {
    const policies = new Map(domain.snapshot.object.claims.policies);
    const active = policies.get(name) ?? [];
    const left = digest === null ? [] : active.filter((one) => !same(one, digest));
    found ||= left.length < active.length;
    if (!found) {
      throw new DomainError("domain.input", `The policy ${name} is not active.`);
    }
    policies.delete(name);
    if (left.length > 0) policies.set(name, left);
    return { policies };
  });
}

const same = (a: Uint8Array, b: Uint8Array): boolean => compareBytes(a, b) === 0;
