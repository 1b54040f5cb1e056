/** `--plane`, `--plane-ca`: the plane that a node asks, and what it publishes, kept in the home. */
import { PlaneClient } from "../client/index.ts";
import { loadDomain } from "../domain/domain.ts";
import { createFile, createFolder, makeFolder, namesIn, numbersIn } from "../domain/files.ts";
import { Layout } from "../domain/layout.ts";
import { requireSigned } from "../domain/quorum.ts";
import { compareBytes } from "../wire/cbor.ts";
import { statusDigest } from "../wire/digests.ts";
import { parseSigned, type UnverifiedCharter } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
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
 * Fetches what the plane publishes, and keeps what is newer than what lies here. Each charter must
 * follow from the one before it and the snapshot must be signed, so that a lying plane cannot fill
 * the home with what would deny everything for good; the core judges all of it again.
 *
 * @throws ClientError, or UsageError where what came is not this domain's.
 */
export async function fetchGovernance(path: string, client: PlaneClient): Promise<void> {
  const layout = new Layout(path);
  const { charters, snapshot, statusList } = await client.governance();
  const parsed = charters.map((bytes) => ({ bytes, object: read("charter", bytes) }));
  const known = await numbersIn(layout.charters, ".charter");
  const held = known.length === 0 ? null : (await loadDomain(path).catch(() => null))?.charter;
  await requireLineage(parsed, held?.object ?? null);
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

/**
 * Charters as a lineage: one domain, numbers from 1 on, each naming the digest of the one before.
 * Where this home holds one already, it must be among them.
 */
async function requireLineage(
  parsed: readonly { readonly object: UnverifiedCharter }[],
  held: UnverifiedCharter | null,
): Promise<void> {
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
  if (held?.digest == null) return;
  const found = parsed[held.claims.number - 1]?.object.digest;
  if (!found || !same(found, held.digest)) throw new UsageError("The plane is another domain's.");
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
