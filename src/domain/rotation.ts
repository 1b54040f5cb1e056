/**
 * The next charter: what is in force, with changes. What the core would deny, or nobody could ever
 * sign under, is refused before anyone signs. The core judges it all again.
 */

import { compareBytes } from "../bytes.ts";
import { LIMITS } from "../limits.ts";
import { thumbprint } from "../wire/keys.ts";
import type { Charter, CoseKey } from "../wire/objects.ts";
import type { Domain } from "./domain.ts";
import { DomainError } from "./error.ts";
import type { KeysetName } from "./layout.ts";
import { sameKey } from "./signers.ts";

type Keysets = Charter["keysets"];
export type AuthorityClass =
  Keysets["authority"]["classes"] extends ReadonlyMap<string, infer C> ? C : never;
type Enroller = Keysets["enroller"][number];

export interface KeysetChange {
  /** Of an authority key, classes have the threshold; of an enroller there is none. */
  readonly threshold?: number;
  /** `labels`: those that an enroller may give, null for any; of no meaning elsewhere. */
  readonly add?: readonly { readonly key: CoseKey; readonly labels: Enroller["labels"] }[];
  /** By kid. */
  readonly remove?: readonly Uint8Array[];
}

export interface CharterChange {
  readonly keysets: { readonly [set in KeysetName]?: KeysetChange };
  /** Null removes the class; of a new one, what is absent is as restrictive as it can be. */
  readonly classes: ReadonlyMap<string, Partial<AuthorityClass> | null>;
  readonly bounds: Partial<Charter["bounds"]>;
  /** As long as the charter in force was made for, where absent. */
  readonly lifetimeSeconds?: number;
}

function refuse(why: string): never {
  throw new DomainError("domain.input", why);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The claims of the charter after the one in force. Throws DomainError `domain.input`. */
export function draftCharter(domain: Domain, change: CharterChange, nowSeconds: number): Charter {
  const { claims: before } = domain.charter.object;
  const lifetime = change.lifetimeSeconds ?? before.exp - before.iat;
  if (nowSeconds < before.iat) refuse("The clock is behind the charter in force: set the clock.");
  const next: Charter = {
    ...before,
    iat: nowSeconds,
    exp: nowSeconds + lifetime,
    number: before.number + 1,
    predecessor: domain.charter.digest,
    keysets: changedKeysets(before.keysets, change),
    bounds: { ...before.bounds, ...change.bounds },
  };
  requireReachable(next.keysets);
  return next;
}

function changedKeysets(before: Keysets, { keysets, classes }: CharterChange): Keysets {
  const { plane, log, witness } = before;
  const authority = changedKeys("authority", before.authority.keys, keysets.authority);
  for (const set of ["authority", "enroller"] as const) {
    if (keysets[set]?.threshold === undefined) continue;
    refuse(
      set === "authority"
        ? "authority: each class has a threshold of its own: change it under `classes`."
        : "enroller: each key signs alone, so that there is no threshold.",
    );
  }
  return {
    root: changedSet("root", before.root, keysets.root),
    authority: {
      keys: authority,
      classes: changedClasses(before.authority.classes, classes, authority),
    },
    policy: changedSet("policy", before.policy, keysets.policy),
    enroller: changedEnrollers(before.enroller, keysets.enroller),
    governance: changedSet("governance", before.governance, keysets.governance),
    ...optionalSet("plane", plane, keysets.plane),
    ...optionalSet("log", log, keysets.log),
    ...optionalSet("witness", witness, keysets.witness),
  };
}

function changedKeys(
  set: string,
  before: readonly CoseKey[],
  { add = [], remove = [] }: KeysetChange = {},
): CoseKey[] {
  let keys = [...before];
  for (const kid of remove) {
    const left = keys.filter((key) => compareBytes(thumbprint(key), kid) !== 0);
    if (left.length === keys.length) refuse(`${set}: no key ${hex(kid).slice(0, 16)} to remove.`);
    keys = left;
  }
  for (const { key } of add) {
    const kid = hex(thumbprint(key)).slice(0, 16);
    if (keys.some((one) => sameKey(one, key))) refuse(`${set}: the key ${kid} is there already.`);
    keys.push(key);
  }
  if (keys.length > LIMITS.keys) refuse(`${set}: more than ${LIMITS.keys} keys.`);
  return keys;
}

type Keyset = Keysets["root"];

function changedSet(name: string, before: Keyset, change?: KeysetChange): Keyset {
  const keys = changedKeys(name, before.keys, change);
  const threshold = change?.threshold ?? before.threshold;
  requireThreshold(name, threshold, keys.length);
  return { threshold, keys };
}

/** A set that a charter may do without: gone with its last key. */
function optionalSet(name: "plane" | "log" | "witness", before?: Keyset, change?: KeysetChange) {
  const keys = changedKeys(name, before?.keys ?? [], change);
  if (keys.length === 0 && change?.threshold === undefined) return {};
  const threshold = change?.threshold ?? before?.threshold ?? 1;
  requireThreshold(name, threshold, keys.length);
  return { [name]: { threshold, keys } };
}

function changedEnrollers(before: Keysets["enroller"], change?: KeysetChange): Enroller[] {
  const keys = changedKeys(
    "enroller",
    before.map(({ key }) => key),
    change,
  );
  if (keys.length === 0) refuse("enroller: at least one key must stay.");
  const known = [...before, ...(change?.add ?? [])];
  return keys.map((key) => ({
    key,
    labels: known.find((one) => sameKey(one.key, key))?.labels ?? null,
  }));
}

/** A threshold of 0 would let anyone sign (CVE-2026-23992), one above the keys nobody. */
function requireThreshold(name: string, threshold: number, keys: number): void {
  if (threshold >= 1 && threshold <= Math.min(keys, LIMITS.signers)) return;
  refuse(`${name}: ${threshold} signatures of ${keys} keys cannot be.`);
}

const SILENT: AuthorityClass = {
  threshold: 1,
  members: null,
  labels: [],
  nodes: [],
  policies: null,
  lifetimeSeconds: 3_600,
  depth: 0,
  mark: false,
};

function changedClasses(
  before: Keysets["authority"]["classes"],
  changes: CharterChange["classes"],
  keys: readonly CoseKey[],
): Map<string, AuthorityClass> {
  const classes = new Map(before);
  for (const [name, change] of changes) {
    const known = classes.get(name);
    if (change === null) {
      if (!classes.delete(name)) refuse(`There is no class ${name} to remove.`);
      continue;
    }
    if (known === undefined && change.threshold === undefined) {
      refuse(`classes.${name}: a new class needs its threshold.`);
    }
    classes.set(name, { ...SILENT, ...known, ...change });
  }
  if (classes.size === 0) refuse("At least one class must stay.");
  const kids = keys.map(thumbprint);
  const listed = (kid: Uint8Array) => kids.some((one) => compareBytes(one, kid) === 0);
  for (const [name, one] of classes) {
    const members = one.members?.filter(listed).toSorted(compareBytes) ?? null;
    classes.set(name, { ...one, members });
  }
  return classes;
}

/** A class that no signatures can reach would be a surprise on the day that it is needed. */
function requireReachable({ authority }: Keysets): void {
  for (const [name, { threshold, members }] of authority.classes) {
    requireThreshold(`The class ${name}`, threshold, (members ?? authority.keys).length);
  }
}
