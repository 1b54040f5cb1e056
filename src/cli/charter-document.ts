/**
 * The document that asks for the next charter: what it changes; the rest stays. Flags of
 * `governance propose` make the same document, so there is one reading of both:
 *
 *     lifetime: 365d                    # as long as the charter in force, where absent
 *     governance:                       # or root, authority, policy, enroller, plane, log, witness
 *       add: [new.pub]                  # PEM files; of an enroller also {key: e.pub, labels: [web]}
 *       remove: [3b1f8a02, old.pub]     # by the start of the kid, or a PEM file
 *       threshold: 2
 *     classes:
 *       night:                          # a new class is as narrow as can be where it is silent
 *         threshold: 2
 *         members: any                  # or a list like `remove`, of authority keys
 *         labels: any                   # or a list
 *         nodes: [<ueid>]               # or any
 *         policies: [base]              # or any
 *         lifetime: 1h
 *         depth: 0
 *         mark: yes                     # each use stands out in the log (break-glass)
 *     remove-classes: [old]
 *     bounds: {grant: 30d, snapshot: 1h, node: 365d, depth: 4}
 */

import { compareBytes } from "../bytes.ts";
import type { Domain } from "../domain/domain.ts";
import type { KeysetName } from "../domain/layout.ts";
import type { AuthorityClass, CharterChange, KeysetChange } from "../domain/rotation.ts";
import { LIMITS } from "../limits.ts";
import { thumbprint } from "../wire/keys.ts";
import type { Charter, CoseKey } from "../wire/objects.ts";
import type { Field } from "./document.ts";
import { readHolderKey } from "./holder.ts";
import { hex } from "./print.ts";
import { parseUeid } from "./values.ts";

export const SETS: readonly KeysetName[] = [
  "root",
  "authority",
  "policy",
  "enroller",
  "governance",
  "plane",
  "log",
  "witness",
];
const NAMES = ["lifetime", "classes", "remove-classes", "bounds", ...SETS] as const;
const CLASS_NAMES = [
  "threshold",
  "members",
  "labels",
  "nodes",
  "policies",
  "lifetime",
  "depth",
  "mark",
] as const;

/** Reads the document, and the key files that it names. Throws UsageError. */
export async function readCharterDocument(
  document: Field,
  { charter }: Domain,
): Promise<CharterChange> {
  const fields = document.record(NAMES);
  const { keysets } = charter.object.claims;
  const changes: { [set in KeysetName]?: KeysetChange } = {};
  for (const set of SETS) {
    const field = fields[set];
    if (field !== undefined) changes[set] = await keysetOf(field, keysOf(keysets, set));
  }
  const added = changes.authority?.add?.map(({ key }) => key) ?? [];
  const authority = [...keysets.authority.keys, ...added];
  const classes = new Map<string, Partial<AuthorityClass> | null>();
  for (const name of fields["remove-classes"]?.items() ?? []) classes.set(name.text(), null);
  for (const [name, field] of fields.classes?.members() ?? []) {
    if (classes.has(name)) field.refuse("it is removed by `remove-classes`");
    classes.set(name, await classOf(field, authority));
  }
  return {
    keysets: changes,
    classes,
    bounds: boundsOf(fields.bounds),
    ...(fields.lifetime && { lifetimeSeconds: fields.lifetime.span() }),
  };
}

function keysOf(keysets: Charter["keysets"], set: KeysetName): readonly CoseKey[] {
  return set === "enroller" ? keysets.enroller.map(({ key }) => key) : (keysets[set]?.keys ?? []);
}

async function keysetOf(field: Field, keys: readonly CoseKey[]): Promise<KeysetChange> {
  const { add, remove, threshold } = field.record(["add", "remove", "threshold"]);
  return {
    ...(add && { add: await Promise.all(add.items().map(addedOf)) }),
    ...(remove && { remove: await Promise.all(remove.items().map((one) => kidOf(one, keys))) }),
    ...(threshold && { threshold: threshold.count(1, LIMITS.signers) }),
  };
}

async function addedOf(field: Field) {
  if (!field.isMap) return { key: await readHolderKey(field.text()), labels: null };
  const { key, labels } = field.record(["key", "labels"]);
  const file = (key ?? field.refuse("needs `key`")).text();
  return { key: await readHolderKey(file), labels: labels === undefined ? null : namesOf(labels) };
}

/** A key of the set, by the start of its kid or by its file. */
async function kidOf(field: Field, keys: readonly CoseKey[]): Promise<Uint8Array> {
  const text = field.text();
  if (!/^[0-9a-f]{8,64}$/i.test(text)) return thumbprint(await readHolderKey(text));
  const kids = keys.map(thumbprint).filter((kid) => hex(kid).startsWith(text.toLowerCase()));
  const [kid, other] = kids;
  if (kid === undefined) return field.refuse(`no key of the set has a kid that begins so`);
  return other === undefined ? kid : field.refuse("several keys begin so: write more of the kid");
}

const namesOf = (field: Field): string[] => sorted(field.items().map((one) => one.text()));
const sorted = (names: string[]): string[] => [...new Set(names)].sort();

/** `any`, or a list. */
function anyOr<T>(field: Field, read: (list: Field) => T): T | null {
  return field.isList
    ? read(field)
    : field.text() === "any"
      ? null
      : field.refuse("any, or a list");
}

async function classOf(
  field: Field,
  authority: readonly CoseKey[],
): Promise<Partial<AuthorityClass>> {
  const fields = field.record(CLASS_NAMES);
  const { threshold, members, labels, nodes, policies, lifetime, depth, mark } = fields;
  const kids =
    members?.isList === true
      ? await Promise.all(members.items().map((one) => kidOf(one, authority)))
      : null;
  if (members !== undefined) anyOr(members, () => null);
  return {
    ...(threshold && { threshold: threshold.count(1, LIMITS.signers) }),
    ...(members && { members: kids?.toSorted(compareBytes) ?? null }),
    ...(labels && { labels: anyOr(labels, namesOf) }),
    ...(nodes && { nodes: anyOr(nodes, ueidsOf) }),
    ...(policies && { policies: anyOr(policies, (list) => list.items().map((one) => one.text())) }),
    ...(lifetime && { lifetimeSeconds: lifetime.span() }),
    ...(depth && { depth: depth.count(0, LIMITS.elements - 1) }),
    ...(mark && { mark: flagOf(mark) }),
  };
}

const ueidsOf = (list: Field): Uint8Array[] =>
  list
    .items()
    .map((one) => parseUeid(one.text(), one.at))
    .toSorted(compareBytes);

function flagOf(field: Field): boolean {
  const text = field.text();
  if (text === "yes" || text === "true") return true;
  return text === "no" || text === "false" ? false : field.refuse("yes or no");
}

function boundsOf(field: Field | undefined): Partial<Charter["bounds"]> {
  if (field === undefined) return {};
  const { grant, snapshot, node, depth } = field.record(["grant", "snapshot", "node", "depth"]);
  return {
    ...(grant && { grantSeconds: grant.span() }),
    ...(snapshot && { snapshotSeconds: snapshot.span() }),
    ...(node && { nodeSeconds: node.span() }),
    ...(depth && { depth: depth.count(0, LIMITS.elements - 1) }),
  };
}
