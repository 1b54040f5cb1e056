/**
 * The files that a decision is made of, as they lie on disk: bytes, unread and unverified. What is
 * absent or unreadable is empty here, and denied by the core under its own code; nothing in this
 * file decides.
 */
import { join } from "node:path";
import { compareBytes } from "../bytes.ts";
import { LIMITS } from "../limits.ts";
import { parseSigned, type ReferencePolicy, type Snapshot } from "../wire/objects.ts";
import { namesIn, numbersIn, readBounded } from "./files.ts";
import { CHARTER_EXTENSION, type Layout } from "./layout.ts";

/** Governance and policies as the gate hands them on. */
export interface GovernanceFiles {
  readonly charters: readonly Uint8Array[];
  readonly snapshot: Uint8Array;
  readonly statusList: Uint8Array;
  /** For each name the newest that is active. */
  readonly policies: readonly Uint8Array[];
  /** The same names with other active documents among them, newer ones first. */
  readonly alternatives: readonly (readonly Uint8Array[])[];
  /** What the policies read of PCRs, by bank; for the choice of what to quote. */
  readonly unverifiedPolicies: readonly ReferencePolicy[];
}

const EMPTY = new Uint8Array(0);
/** A grant names up to eight policies, each with up to eight alternatives: not all are tried. */
const CHOICES_MAX = 16;

/** A file's bytes, empty where it is absent or larger than any such file may be. */
async function bytesOf(path: string, bytesMax: number): Promise<Uint8Array> {
  return (await readBounded(path, bytesMax).catch(() => null)) ?? EMPTY;
}

function parsed<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    // The bytes travel on as they are: the core names what is wrong with them.
    return null;
  }
}

/**
 * Gathers charters from the pinned one to the one that the snapshot names, the newest snapshot, the
 * status list beside it, and for each named policy the newest document that it lists as active (or
 * one that it does not, so that the core can say so).
 */
export async function gatherGovernance(
  layout: Layout,
  pinnedNumber: number,
  policyNames: readonly string[],
): Promise<GovernanceFiles> {
  const numbers = await numbersIn(layout.charters, CHARTER_EXTENSION);
  const charters = await Promise.all(
    numbers
      .filter((number) => number >= pinnedNumber)
      .slice(0, LIMITS.charters)
      .map((number) => bytesOf(layout.charterFile(number), LIMITS.caseBytes / 4)),
  );
  const version = (await numbersIn(layout.snapshots, "")).at(-1);
  const published = (name: "snapshot" | "status", bytesMax: number) =>
    version === undefined ? EMPTY : bytesOf(layout.publishedFile(version, name), bytesMax);
  const snapshot = await published("snapshot", LIMITS.policyBytes);
  const claims = parsed(() => parseSigned("snapshot", snapshot).claims);
  const statusList = await published("status", LIMITS.statusBytes);
  const named = await gatherPolicies(layout, claims, policyNames);
  const choices = choicesOf(named).map((choice) => choice.map(({ bytes }) => bytes));
  const [policies = [], ...alternatives] = choices;
  return {
    charters: upTo(claims?.charter, charters),
    snapshot,
    statusList,
    policies,
    alternatives,
    unverifiedPolicies: named.flat().map(({ policy }) => policy),
  };
}

/**
 * A rotation takes effect with the snapshot that names it, in one step: a charter that was
 * published ahead of its snapshot is left out. All, where the snapshot names none of them.
 */
function upTo(named: Uint8Array | undefined, charters: readonly Uint8Array[]) {
  const last = charters.findLastIndex((bytes) => {
    const digest = parsed(() => parseSigned("charter", bytes).digest) ?? EMPTY;
    return named !== undefined && compareBytes(digest, named) === 0;
  });
  return last < 0 ? charters : charters.slice(0, last + 1);
}

interface NamedPolicy {
  readonly bytes: Uint8Array;
  readonly policy: ReferencePolicy;
  readonly active: boolean;
}

async function gatherPolicies(
  layout: Layout,
  snapshot: Snapshot | null,
  names: readonly string[],
): Promise<NamedPolicy[][]> {
  const found = new Map<string, NamedPolicy[]>(names.map((name) => [name, []]));
  for (const entry of await namesIn(layout.policies)) {
    if (!entry.endsWith(".policy")) continue;
    const bytes = await bytesOf(join(layout.policies, entry), LIMITS.policyBytes);
    const object = parsed(() => parseSigned("policy", bytes));
    const own = object === null ? undefined : found.get(object.claims.name);
    if (object === null || own === undefined) continue;
    const listed = snapshot?.policies.get(object.claims.name) ?? [];
    const active = listed.some((one) => object.digest && compareBytes(one, object.digest) === 0);
    own.push({ bytes, policy: object.claims, active });
  }
  return [...found.values()]
    .map((own) => own.sort((a, b) => Number(isBetter(b, a)) - Number(isBetter(a, b))))
    .map((own) => own.filter(({ active }, i) => active || i === 0))
    .filter((own) => own.length > 0);
}

/** Each choice of one document a name, the newest first; not more than a few. */
function choicesOf(named: readonly (readonly NamedPolicy[])[]): (readonly NamedPolicy[])[] {
  const none: (readonly NamedPolicy[])[] = [[]];
  return named.reduce(
    (choices, own) =>
      own.flatMap((one) => choices.map((choice) => [...choice, one])).slice(0, CHOICES_MAX),
    none,
  );
}

function isBetter(one: NamedPolicy, other: NamedPolicy): boolean {
  if (one.active !== other.active) return one.active;
  return one.policy.version > other.policy.version;
}
