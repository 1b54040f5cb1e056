/**
 * A new trust domain: its keys, the first charter (signed by every root key, which proves that each
 * works) and the first snapshot over an empty status list. Made in memory first, so that a caller
 * can pin the charter before it exists on disk; on disk the charter comes last, and without it
 * there is no domain.
 */
import type { KeyObject } from "node:crypto";
import { LIMITS } from "../limits.ts";
import { statusDigest } from "../wire/digests.ts";
import { writeKeyFile } from "../wire/key-files.ts";
import { type Curve, generateKey, type Signer, signerOf } from "../wire/keys.ts";
import { type Charter, parseSigned, signObject } from "../wire/objects.ts";
import { emptyStatusList, encodeStatusList } from "../wire/status.ts";
import { DomainError } from "./error.ts";
import { createFile, createFolder, makeFolder } from "./files.ts";
import { type KeysetName, Layout } from "./layout.ts";
import { enough, type Signers } from "./signers.ts";

/** So many signatures of so many keys. */
export interface KeysetPlan {
  readonly threshold: number;
  readonly keys: number;
}

export interface DomainPlan {
  readonly domain: string;
  readonly curve: Curve;
  readonly root: KeysetPlan;
  readonly authority: KeysetPlan;
  readonly policy: KeysetPlan;
  /** Each enroller key signs alone. */
  readonly enrollers: number;
  readonly governance: KeysetPlan;
  readonly plane: KeysetPlan | null;
  readonly log: KeysetPlan | null;
  readonly witness: KeysetPlan | null;
  /** Signatures that the class `break-glass` asks for; null makes no such class. */
  readonly breakGlass: number | null;
  readonly charterSeconds: number;
  readonly bounds: Charter["bounds"];
  /** How many grants and nodes the first status list covers. */
  readonly room: { readonly grants: number; readonly nodes: number };
}

export interface DraftDomain {
  readonly domain: string;
  readonly keys: ReadonlyMap<KeysetName, readonly KeyObject[]>;
  readonly charter: Uint8Array;
  readonly charterDigest: Uint8Array;
  readonly snapshot: Uint8Array;
  readonly status: Uint8Array;
}

const BREAK_GLASS_SECONDS = 3_600;

/**
 * Makes keys and objects; nothing is written. Throws DomainError `domain.input` for a plan that
 * cannot be.
 */
export async function draftDomain(plan: DomainPlan, nowSeconds: number): Promise<DraftDomain> {
  requirePlan(plan);
  const keys = new Map<KeysetName, KeyObject[]>();
  const make = (set: KeysetName, count: number): Signer[] => {
    const made = Array.from({ length: count }, () => generateKey(plan.curve));
    keys.set(set, made);
    return made.map(signerOf);
  };
  const root = make("root", plan.root.keys);
  const governance = make("governance", plan.governance.keys);
  const status = encodeStatusList(emptyStatusList(plan.room.grants, plan.room.nodes));
  const claims = charterOf(plan, nowSeconds, make, root, governance);
  const charter = await signObject("charter", claims, atLeastOne(root));
  const charterDigest = requireDigest(parseSigned("charter", charter).digest);
  const quorum = { name: "governance", ...claims.keysets.governance };
  const snapshot = await signObject(
    "snapshot",
    {
      domain: plan.domain,
      iat: nowSeconds,
      exp: nowSeconds + plan.bounds.snapshotSeconds,
      charter: charterDigest,
      version: 1,
      epoch: 1,
      freeze: "none",
      decision: "local",
      policies: new Map(),
      status: statusDigest(status),
    },
    enough(governance, quorum),
  );
  return { domain: plan.domain, keys, charter, charterDigest, snapshot, status };
}

function charterOf(
  plan: DomainPlan,
  nowSeconds: number,
  make: (set: KeysetName, count: number) => Signer[],
  root: readonly Signer[],
  governance: readonly Signer[],
): Charter {
  const keysOf = (signers: readonly Signer[]) => signers.map(({ key }) => key);
  const keyset = (set: KeysetName, { threshold, keys }: KeysetPlan) => ({
    threshold,
    keys: keysOf(make(set, keys)),
  });
  const { plane, log, witness } = plan;
  return {
    domain: plan.domain,
    iat: nowSeconds,
    exp: nowSeconds + plan.charterSeconds,
    number: 1,
    predecessor: null,
    keysets: {
      root: { threshold: plan.root.threshold, keys: keysOf(root) },
      authority: { keys: keysOf(make("authority", plan.authority.keys)), classes: classesOf(plan) },
      policy: keyset("policy", plan.policy),
      enroller: make("enroller", plan.enrollers).map(({ key }) => ({ key, labels: null })),
      governance: { threshold: plan.governance.threshold, keys: keysOf(governance) },
      ...(plane && { plane: keyset("plane", plane) }),
      ...(log && { log: keyset("log", log) }),
      ...(witness && { witness: keyset("witness", witness) }),
    },
    bounds: plan.bounds,
  };
}

function classesOf(plan: DomainPlan): Charter["keysets"]["authority"]["classes"] {
  const anything = { members: null, labels: null, nodes: null, policies: null };
  const { grantSeconds, depth } = plan.bounds;
  const { threshold } = plan.authority;
  const standard = { ...anything, threshold, lifetimeSeconds: grantSeconds, depth, mark: false };
  if (plan.breakGlass === null) return new Map([["standard", standard]]);
  const breakGlass = {
    ...anything,
    threshold: plan.breakGlass,
    lifetimeSeconds: Math.min(grantSeconds, BREAK_GLASS_SECONDS),
    depth: 0,
    mark: true,
  };
  return new Map([
    ["standard", standard],
    ["break-glass", breakGlass],
  ]);
}

/**
 * Writes the domain to a folder without one, key files first and the charter last. Durable when
 * this returns.
 */
export async function writeDomain(path: string, draft: DraftDomain): Promise<void> {
  const layout = new Layout(path);
  const { keys: keyFolder, charters, snapshots, policies, grants, nodes } = layout;
  for (const folder of [path, keyFolder, charters, snapshots, policies, grants, nodes]) {
    await makeFolder(folder);
  }
  for (const [set, keys] of draft.keys) {
    for (const [i, key] of keys.entries()) await writeKeyFile(layout.keyFile(set, i + 1), key);
  }
  const { snapshot, status } = draft;
  const published = await createFolder(layout.snapshotFolder(1), { snapshot, status });
  if (published && (await createFile(layout.charterFile(1), draft.charter))) return;
  throw new DomainError("domain.exists", `There is a trust domain at ${path} already.`);
}

function requirePlan(plan: DomainPlan): void {
  const sets = Object.entries({
    root: plan.root,
    authority: plan.authority,
    policy: plan.policy,
    enroller: { threshold: 1, keys: plan.enrollers },
    governance: plan.governance,
    plane: plan.plane,
    log: plan.log,
    witness: plan.witness,
  });
  for (const [set, planned] of sets) {
    if (planned !== null) requireKeyset(set, planned);
  }
  const { breakGlass, authority } = plan;
  if (breakGlass !== null) requireKeyset("break-glass", { ...authority, threshold: breakGlass });
}

/** A threshold of 0 would let anyone sign (CVE-2026-23992), one above the keys nobody. */
function requireKeyset(set: string, { threshold, keys }: KeysetPlan): void {
  const whole = Number.isSafeInteger(threshold) && Number.isSafeInteger(keys);
  const max = Math.min(LIMITS.signers, keys);
  if (whole && keys >= 1 && keys <= LIMITS.keys && threshold >= 1 && threshold <= max) return;
  throw new DomainError(
    "domain.input",
    `${set}: ${threshold} of ${keys} keys cannot be: 1 to ${LIMITS.keys} keys, and a threshold ` +
      `from 1 to their number, at most ${LIMITS.signers}.`,
  );
}

function atLeastOne(signers: readonly Signer[]): Signers {
  const [first, ...rest] = signers;
  if (first === undefined) throw new DomainError("domain.signers", "There is no root key.");
  return [first, ...rest];
}

/** The digest of an object of a kind that has one. */
export function requireDigest(digest: Uint8Array | null): Uint8Array {
  if (digest === null) throw new DomainError("domain.malformed", "The object has no digest.");
  return digest;
}
