/** `--plane`, `--plane-ca`: the plane that a node asks, and what it publishes, kept in the home. */

import { compareBytes } from "../bytes.ts";
import { PlaneClient } from "../client/index.ts";
import { createFile, createFolder, makeFolder, namesIn, numbersIn } from "../domain/files.ts";
import { Layout } from "../domain/layout.ts";
import { requireSigned } from "../domain/quorum.ts";
import type { Floors } from "../store/contract.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { statusDigest } from "../wire/digests.ts";
import { parseSigned, type UnverifiedCharter } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";
import { readInput } from "./input-file.ts";

export interface PlaneOptions {
  readonly plane?: string;
  readonly planeCa?: string;
}

/** Throws ClientError `client.address` or UsageError where the file is unfit. */
export async function openClient(url: string, caFile: string | undefined): Promise<PlaneClient> {
  if (caFile === undefined) return new PlaneClient({ url });
  const ca = Buffer.from(await readInput(caFile, 1_048_576)).toString("latin1");
  return new PlaneClient({ url, ca });
}

/**
 * Fetches what the plane publishes, and keeps what is newer than what lies here. The charter that
 * this home pins must be among the plane's, each must follow from the one before it, and the snapshot
 * must be signed, so that a lying plane cannot fill the home with what would deny everything for
 * good; the core judges all of it again.
 *
 * @throws ClientError, or UsageError where what came is not this domain's.
 */
export async function fetchGovernance(home: Home, client: PlaneClient): Promise<void> {
  const layout = new Layout(home.path);
  const pin = await pinOf(home);
  const { charters, snapshot, statusList } = await client.governance();
  const parsed = charters.map((bytes) => ({ bytes, object: read("charter", bytes) }));
  requireLineage(parsed, pin);
  const last = parsed.at(-1);
  if (last === undefined) throw new UsageError("The plane has no charter.");
  const { keysets, domain } = last.object.claims;
  const newest = read("snapshot", snapshot);
  if (newest.claims.domain !== domain) throw new UsageError("The plane's snapshot is another's.");
  requireSigned(newest.message, { name: "governance", ...keysets.governance });
  if (compareBytes(statusDigest(statusList), newest.claims.status) !== 0) {
    throw new UsageError("The plane's status list is not the one that its snapshot names.");
  }
  for (const { bytes, object } of parsed) {
    await createFile(layout.charterFile(object.claims.number), bytes);
  }
  await fetchPolicies(layout, client, newest.claims.policies);
  const versions = await numbersIn(layout.snapshots, "");
  const { version } = newest.claims;
  if (version <= (versions.at(-1) ?? 0)) return;
  await createFolder(layout.snapshotFolder(version), { snapshot, status: statusList });
}

async function pinOf(home: Home): Promise<Floors> {
  const store = openSqliteStore(home.state);
  const floors = await store.floors().finally(() => store.close());
  if (floors !== null) return floors;
  throw new UsageError(
    `${home.state} pins no charter: set up with \`portcullis init\` or \`enroll\`.`,
  );
}

/**
 * Charters as a lineage: one domain, numbers from 1 on, each naming the digest of the one before.
 * The pinned one must be among them.
 */
function requireLineage(
  parsed: readonly { readonly object: UnverifiedCharter }[],
  pin: Floors,
): void {
  let before: Uint8Array | null = null;
  for (const [i, { object }] of parsed.entries()) {
    const { number, predecessor } = object.claims;
    const follows =
      before === null ? predecessor === null : predecessor !== null && same(predecessor, before);
    if (number !== i + 1 || !follows || object.digest === null) {
      throw new UsageError("The plane's charters do not follow from each other.");
    }
    if (before !== null) requireSigned(object.message, rootsOf(parsed[i - 1]?.object ?? object));
    before = object.digest;
  }
  const found = parsed[pin.charterNumber - 1]?.object.digest;
  if (found && same(found, pin.charterDigest)) return;
  throw new UsageError(
    "The plane is another domain's: it does not have the charter that is pinned.",
  );
}

const rootsOf = ({ claims }: UnverifiedCharter) => ({ name: "root", ...claims.keysets.root });
const same = (a: Uint8Array, b: Uint8Array): boolean => compareBytes(a, b) === 0;

function read<K extends "charter" | "snapshot" | "policy">(kind: K, bytes: Uint8Array) {
  try {
    return parseSigned(kind, bytes);
  } catch (cause) {
    throw new UsageError(`The plane sent no ${kind}: ${String(cause)}`, { cause });
  }
}

async function fetchPolicies(
  layout: Layout,
  client: PlaneClient,
  active: ReadonlyMap<string, readonly Uint8Array[]>,
): Promise<void> {
  await makeFolder(layout.policies);
  const names = await namesIn(layout.policies);
  for (const [name, digests] of active) {
    for (const digest of digests) {
      const file = layout.policyFile(name, digest);
      if (names.some((known) => file.endsWith(`/${known}`))) continue;
      const bytes = await client.policy(digest);
      const policy = read("policy", bytes);
      if (policy.digest === null || !same(policy.digest, digest)) {
        throw new UsageError(`The plane's policy ${name} is not the one that the snapshot names.`);
      }
      await createFile(file, bytes);
    }
  }
}
