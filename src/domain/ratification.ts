/**
 * Publishing what k of n keys signed apart. Everything is judged before anything is written; a
 * charter takes effect in one step, with the snapshot that names it.
 */
import { compareBytes } from "../bytes.ts";
import { statusDigest } from "../wire/digests.ts";
import type { UnverifiedDraft } from "../wire/draft.ts";
import type { Signer } from "../wire/keys.ts";
import { parseSigned, type Snapshot, signObject } from "../wire/objects.ts";
import { combine, type PartialFile, quorumsOf, type SignatureCheck } from "./collection.ts";
import { type Domain, loadDomain } from "./domain.ts";
import { DomainError } from "./error.ts";
import { createFile } from "./files.ts";
import { keepPolicy } from "./policies.ts";
import { draftSnapshot, keepSnapshot, type Under } from "./publication.ts";
import { keepReserved } from "./register.ts";
import { enough } from "./signers.ts";

/** What is about to be published, with what it will stand beside. */
export interface Candidate {
  readonly domain: Domain;
  readonly charters: readonly Uint8Array[];
  readonly snapshot: Uint8Array;
  readonly status: Uint8Array;
  /** The grant, where one is published. */
  readonly elements: readonly Uint8Array[];
}

export interface Ratification {
  readonly check: SignatureCheck;
  /** Asks the core; throws where it denies the candidate. */
  readonly judge: (candidate: Candidate) => Promise<void>;
  /** Governance keys at hand, for the snapshot that a charter needs where none was signed. */
  readonly governance: readonly Signer[];
  /** Status lists that were handed over: a snapshot names its own by digest. */
  readonly lists: readonly Uint8Array[];
  readonly nowSeconds: number;
}

export interface Ratified {
  readonly kind: UnverifiedDraft["kind"];
  readonly digest: Uint8Array;
  readonly file: string;
}

/**
 * Publishes the object that these files hold the signatures of; or a charter together with its
 * snapshot. Durable when this returns; gives what was published, in order.
 *
 * @throws DomainError `domain.input`, `domain.signers`, `domain.conflict`, `domain.exists`, or what
 * `judge` throws: then nothing was published.
 */
export async function ratify(
  path: string,
  files: readonly PartialFile[],
  ratification: Ratification,
): Promise<Ratified[]> {
  const domain = await loadDomain(path);
  const of = (kind: UnverifiedDraft["kind"]) => files.filter(({ draft }) => draft.kind === kind);
  const [charters, snapshots, policies, grants] = [
    of("charter"),
    of("snapshot"),
    of("policy"),
    of("grant"),
  ];
  const governed = charters.length + snapshots.length;
  const kinds = [governed, policies.length, grants.length].filter((count) => count > 0);
  if (kinds.length !== 1) {
    const message = "Publish one object at a time, or a charter together with its snapshot.";
    throw new DomainError("domain.input", message);
  }
  if (governed > 0) return governance(domain, charters, snapshots, ratification);
  return [
    await (policies.length > 0
      ? policy(domain, policies, ratification)
      : grant(domain, grants, ratification)),
  ];
}

function combined(
  domain: Domain,
  files: readonly PartialFile[],
  check: SignatureCheck,
  under?: Under,
) {
  const [first] = files;
  if (first === undefined) throw new DomainError("domain.input", "There is nothing to publish.");
  return combine(files, quorumsOf(domain, first.draft, under), check);
}

async function policy(
  domain: Domain,
  files: readonly PartialFile[],
  { check }: Ratification,
): Promise<Ratified> {
  const { digest, file } = await keepPolicy(domain, combined(domain, files, check));
  return { kind: "policy", digest, file };
}

async function grant(
  domain: Domain,
  files: readonly PartialFile[],
  { check, judge }: Ratification,
): Promise<Ratified> {
  const bytes = combined(domain, files, check);
  const { claims, digest } = parseSigned("grant", bytes);
  await judge({
    domain,
    charters: [domain.charter.bytes],
    snapshot: domain.snapshot.bytes,
    status: domain.status.bytes,
    elements: [bytes],
  });
  const file = await keepReserved(domain.layout, "grants", claims.statusIndex, bytes);
  return { kind: "grant", digest: digest ?? new Uint8Array(0), file };
}

interface NextCharter extends Under {
  readonly bytes: Uint8Array;
}

interface NextSnapshot {
  readonly bytes: Uint8Array;
  readonly status: Uint8Array;
  readonly version: number;
  readonly digest: Uint8Array;
}

async function governance(
  domain: Domain,
  charters: readonly PartialFile[],
  snapshots: readonly PartialFile[],
  ratification: Ratification,
): Promise<Ratified[]> {
  const charter = charters.length === 0 ? null : nextCharter(domain, charters, ratification);
  const snapshot =
    snapshots.length === 0
      ? await madeSnapshot(domain, charter, ratification)
      : givenSnapshot(domain, snapshots, charter, ratification);
  await ratification.judge({
    domain,
    charters: [domain.charter.bytes, ...(charter === null ? [] : [charter.bytes])],
    snapshot: snapshot.bytes,
    status: snapshot.status,
    elements: [],
  });
  const { layout } = domain;
  const published: Ratified[] = [];
  if (charter !== null) {
    const file = layout.charterFile(charter.claims.number);
    if (!(await createFile(file, charter.bytes))) {
      const message = `Another charter ${charter.claims.number} was published meanwhile: ${file}.`;
      throw new DomainError("domain.conflict", message);
    }
    published.push({ kind: "charter", digest: charter.digest, file });
  }
  const { version, bytes, status, digest } = snapshot;
  if (!(await keepSnapshot(domain, version, bytes, status))) {
    const after =
      charter === null ? "Propose it anew." : "The charter is published, without effect yet.";
    throw new DomainError(
      "domain.conflict",
      `Another snapshot ${version} was published meanwhile. ${after} Then renew the snapshot.`,
    );
  }
  const file = layout.publishedFile(version, "snapshot");
  return [...published, { kind: "snapshot", digest, file }];
}

function nextCharter(
  domain: Domain,
  files: readonly PartialFile[],
  { check }: Ratification,
): NextCharter {
  const bytes = combined(domain, files, check);
  const { claims, digest } = parseSigned("charter", bytes);
  return { bytes, claims, digest: digest ?? new Uint8Array(0) };
}

function snapshotOf(bytes: Uint8Array, status: Uint8Array): NextSnapshot {
  const { claims, digest } = parseSigned("snapshot", bytes);
  return { bytes, status, version: claims.version, digest: digest ?? new Uint8Array(0) };
}

/** The snapshot that names the new charter, signed with the keys at hand. */
async function madeSnapshot(
  domain: Domain,
  charter: NextCharter | null,
  { governance, nowSeconds }: Ratification,
): Promise<NextSnapshot> {
  const under = charter ?? undefined;
  const { claims, status } = draftSnapshot(
    domain,
    { signers: governance, nowSeconds, ...(under && { under }) },
    {},
  );
  const keysets = (charter?.claims ?? domain.charter.object.claims).keysets;
  try {
    const signers = enough(governance, { name: "governance", ...keysets.governance });
    return snapshotOf(await signObject("snapshot", claims, signers), status);
  } catch (cause) {
    if (!(cause instanceof DomainError)) throw cause;
    const message =
      `${cause.message} A charter takes effect with the snapshot that names it: hand over its ` +
      "signed files too (`portcullis snapshot renew --under <charter> --for-signing <file>`).";
    throw new DomainError("domain.signers", message, { cause });
  }
}

function givenSnapshot(
  domain: Domain,
  files: readonly PartialFile[],
  charter: Under | null,
  { check, lists }: Ratification,
): NextSnapshot {
  const bytes = combined(domain, files, check, charter ?? undefined);
  return snapshotOf(bytes, listOf(domain, parseSigned("snapshot", bytes).claims, lists));
}

/** The status list that a snapshot names. Throws DomainError `domain.missing` where none is it. */
export function listOf(
  domain: Domain,
  { status, version }: Pick<Snapshot, "status" | "version">,
  lists: readonly Uint8Array[],
): Uint8Array {
  const list = [domain.status.bytes, ...lists].find(
    (one) => compareBytes(statusDigest(one), status) === 0,
  );
  if (list !== undefined) return list;
  throw new DomainError(
    "domain.missing",
    `The status list of snapshot ${version} is absent: it lies beside the proposal, as *.status.`,
  );
}
