/**
 * A trust domain as it lies on disk. Loading reads form and bounds and whether the parts name each
 * other; it verifies no signature: these are the operator's own files, and every gate judges them
 * again in the core.
 */

import { join } from "node:path";
import { compareBytes } from "../bytes.ts";
import { LIMITS } from "../limits.ts";
import { statusDigest } from "../wire/digests.ts";
import {
  parseSigned,
  type StatusList,
  type UnverifiedCharter,
  type UnverifiedPolicy,
  type UnverifiedSnapshot,
} from "../wire/objects.ts";
import { parseStatusList } from "../wire/status.ts";
import { requireDigest } from "./creation.ts";
import { DomainError } from "./error.ts";
import { namesIn, numbersIn, readBounded } from "./files.ts";
import { CHARTER_EXTENSION, Layout } from "./layout.ts";

/** A signed object of the domain: its bytes, what they say, and its digest. */
export interface Held<T> {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly object: T;
  readonly digest: Uint8Array;
}

export interface HeldPolicy extends Held<UnverifiedPolicy> {
  readonly name: string;
  /** Whether the snapshot lists this very digest under its name. */
  readonly active: boolean;
}

export interface Domain {
  readonly layout: Layout;
  readonly name: string;
  /** From the first on, ascending; the last is in force. */
  readonly charters: readonly Held<UnverifiedCharter>[];
  readonly charter: Held<UnverifiedCharter>;
  readonly snapshot: Held<UnverifiedSnapshot>;
  readonly status: { readonly file: string; readonly bytes: Uint8Array; readonly list: StatusList };
}

const SIGNED_BYTES = LIMITS.charterSigners * (LIMITS.signatureBytes + 256);

function missing(what: string, path: string): DomainError {
  return new DomainError(
    "domain.missing",
    `${what} is absent from ${path}: check --home, restore a backup, ` +
      "or set up with `portcullis init`.",
  );
}

function malformed(path: string, cause: unknown): DomainError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DomainError("domain.malformed", `${path} is damaged: ${why}`, { cause });
}

async function held<K extends "charter" | "snapshot" | "policy">(
  kind: K,
  file: string,
  payloadBytes: number,
): Promise<Held<ReturnType<typeof parseSigned<K>>> | null> {
  const bytes = await readBounded(file, payloadBytes + SIGNED_BYTES);
  if (bytes === null) return null;
  try {
    const object = parseSigned(kind, bytes);
    return { file, bytes, object, digest: requireDigest(object.digest) };
  } catch (cause) {
    throw malformed(file, cause);
  }
}

/**
 * Loads the domain in this folder.
 *
 * @throws DomainError `domain.missing` where there is none, `domain.malformed`, `domain.storage`.
 */
export async function loadDomain(path: string): Promise<Domain> {
  const layout = new Layout(path);
  const charters = await loadCharters(layout);
  const charter = charters.at(-1);
  if (charter === undefined) throw missing("A trust domain", path);
  // Taken once more where a concurrent publication removed what was just listed.
  const current = (await loadCurrent(layout)) ?? (await loadCurrent(layout));
  if (current === null) throw missing("The snapshot, or the status list that it names,", path);
  const name = charter.object.claims.domain;
  if (current.snapshot.object.claims.domain !== name) {
    throw malformed(current.snapshot.file, new Error("it belongs to another domain"));
  }
  return { layout, name, charters, charter, ...current };
}

async function loadCharters(layout: Layout): Promise<Held<UnverifiedCharter>[]> {
  const charters: Held<UnverifiedCharter>[] = [];
  for (const number of await numbersIn(layout.charters, CHARTER_EXTENSION)) {
    const file = layout.charterFile(number);
    const charter = await held("charter", file, LIMITS.charterBytes);
    if (charter === null) throw missing(`Charter ${number}`, layout.path);
    const { number: stated, predecessor } = charter.object.claims;
    const before = charters.at(-1)?.digest ?? null;
    const follows =
      predecessor === null ? before === null : before !== null && equal(predecessor, before);
    if (stated !== number || !follows) {
      throw malformed(file, new Error("it does not follow from the charter before it"));
    }
    charters.push(charter);
  }
  return charters;
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => compareBytes(a, b) === 0;

/** The snapshot of the highest version, and the status list beside it. */
async function loadCurrent(layout: Layout): Promise<Pick<Domain, "snapshot" | "status"> | null> {
  const version = (await numbersIn(layout.snapshots, "")).at(-1);
  if (version === undefined) return null;
  const path = layout.publishedFile(version, "snapshot");
  const snapshot = await held("snapshot", path, LIMITS.payloadBytes);
  const file = layout.publishedFile(version, "status");
  const bytes = await readBounded(file, LIMITS.statusBytes);
  if (snapshot === null || bytes === null) return null;
  const { claims } = snapshot.object;
  if (claims.version !== version) {
    throw malformed(path, new Error(`it states version ${claims.version}`));
  }
  if (!equal(statusDigest(bytes), claims.status)) {
    throw malformed(file, new Error("its digest is not the one that the snapshot names"));
  }
  try {
    return { snapshot, status: { file, bytes, list: parseStatusList(bytes) } };
  } catch (cause) {
    throw malformed(file, cause);
  }
}

/** Every policy file of the domain, by name, then as the files are named. */
export async function loadPolicies(domain: Domain): Promise<HeldPolicy[]> {
  const policies: HeldPolicy[] = [];
  for (const entry of await namesIn(domain.layout.policies)) {
    if (!entry.endsWith(".policy")) continue;
    const file = join(domain.layout.policies, entry);
    const policy = await held("policy", file, LIMITS.policyBytes);
    if (policy === null) continue;
    const { name } = policy.object.claims;
    const listed = domain.snapshot.object.claims.policies.get(name) ?? [];
    policies.push({ ...policy, name, active: listed.some((one) => equal(one, policy.digest)) });
  }
  return policies.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
