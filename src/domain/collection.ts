/**
 * Signatures of k of n keys, each made where its key lies, and put together here. One way for all
 * that k of n sign: charters, snapshots, policies and grants.
 *
 * Nothing is put together unless 1. every file holds the same object, byte for byte; 2. every
 * signature is by a key that may sign it, under that key's own algorithm, and verifies; 3. every
 * threshold is met by distinct keys. The core judges it all again.
 */

import { compareBytes } from "../bytes.ts";
import { LIMITS } from "../limits.ts";
import { signedBytes, type UnverifiedSignature } from "../wire/cose.ts";
import { isSameObject, type UnverifiedDraft, withSignatures } from "../wire/draft.ts";
import { algorithmOf, thumbprint } from "../wire/keys.ts";
import type { CoseKey } from "../wire/objects.ts";
import type { Domain } from "./domain.ts";
import { DomainError } from "./error.ts";
import { classQuorum } from "./grants.ts";
import { policyQuorum } from "./policies.ts";
import type { Under } from "./publication.ts";
import type { Quorum } from "./signers.ts";

/** Whether a signature is good; the core's, whose predicate is the one that counts. */
export type SignatureCheck = (key: CoseKey, message: Uint8Array, signature: Uint8Array) => boolean;

/** A file with an object and some of its signatures. */
export interface PartialFile {
  /** For messages. */
  readonly file: string;
  readonly draft: UnverifiedDraft;
}

/** How far a collection has come. */
export interface Standing {
  readonly quorum: Quorum;
  readonly signed: number;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const equal = (a: Uint8Array, b: Uint8Array): boolean => compareBytes(a, b) === 0;

/**
 * Whose thresholds the object must meet. `under`: the charter that it will stand under, where it is
 * not the one in force. Throws DomainError `domain.input` for an object that does not come next.
 */
export function quorumsOf(domain: Domain, draft: UnverifiedDraft, under?: Under): Quorum[] {
  const { claims, digest } = under ?? {
    claims: domain.charter.object.claims,
    digest: domain.charter.digest,
  };
  if (draft.claims.domain !== domain.name) {
    refuse(`It belongs to the domain ${draft.claims.domain}, not to ${domain.name}.`);
  }
  switch (draft.kind) {
    case "charter": {
      requireNextCharter(domain, draft);
      const { number, keysets } = draft.claims;
      const before = { name: `The root keyset of charter ${number - 1}`, ...claims.keysets.root };
      return [{ name: `The root keyset of charter ${number}`, ...keysets.root }, before];
    }
    case "snapshot": {
      if (!equal(draft.claims.charter, digest)) {
        const named = hex(draft.claims.charter).slice(0, 16);
        refuse(`The snapshot stands under the charter ${named}..., not under ${claims.number}.`);
      }
      const { version } = domain.snapshot.object.claims;
      if (draft.claims.version !== version + 1) {
        refuse(`Snapshot ${version} is published: propose ${version + 1} anew from it.`);
      }
      return [{ name: "The governance keyset", ...claims.keysets.governance }];
    }
    case "policy":
      return [policyQuorum(domain)];
    case "grant":
      return [classQuorum(domain, draft.claims.governance.class)];
  }
}

function refuse(why: string): never {
  throw new DomainError("domain.input", why);
}

/** Two charters of one number would be two domains: only the first to be published follows. */
function requireNextCharter(
  { charter }: Domain,
  { claims: { number, predecessor } }: UnverifiedDraft & { readonly kind: "charter" },
): void {
  const inForce = charter.object.claims.number;
  if (number !== inForce + 1) {
    refuse(`Charter ${inForce} is in force: charter ${number} does not follow it.`);
  }
  if (predecessor === null || !equal(predecessor, charter.digest)) {
    refuse(`It follows another charter ${inForce} than the one in force here.`);
  }
}

/** One object out of several files. Throws DomainError `domain.input` where they hold several. */
export function sameDraft(partials: readonly PartialFile[]): UnverifiedDraft {
  const [first, ...others] = partials;
  if (first === undefined) return refuse("There is nothing to sign or to publish.");
  const other = others.find(({ draft }) => !isSameObject(draft, first.draft));
  if (other === undefined) return first.draft;
  const [one, two] = [first, other].map(
    ({ file, draft }) => `${file} (${hex(draft.digest).slice(0, 16)}...)`,
  );
  return refuse(`${one} and ${two} hold different objects: those who signed agree on none.`);
}

/**
 * Every signature once, each verified. Throws DomainError `domain.signers` naming the file of one
 * that is not good: it is not passed over, for someone made it.
 */
export function collectSignatures(
  partials: readonly PartialFile[],
  quorums: readonly Quorum[],
  check: SignatureCheck,
): UnverifiedSignature[] {
  const collected: UnverifiedSignature[] = [];
  for (const { file, draft } of partials) {
    for (const signature of draft.message.signatures) {
      requireGood(file, draft, signature, quorums, check);
      if (!collected.some(({ kid }) => equal(kid, signature.kid))) collected.push(signature);
    }
  }
  return collected;
}

function requireGood(
  file: string,
  { message }: UnverifiedDraft,
  signature: UnverifiedSignature,
  quorums: readonly Quorum[],
  check: SignatureCheck,
): void {
  const kid = `${hex(signature.kid).slice(0, 16)}...`;
  const key = quorums.flatMap(({ keys }) => keys).find((one) => isKey(one, signature.kid));
  const bad = (why: string) => new DomainError("domain.signers", `${file}: ${why}`);
  if (key === undefined) throw bad(`the key ${kid} may not sign this.`);
  if (signature.alg !== algorithmOf(key).alg) {
    throw bad(`the signature of ${kid} names another algorithm than its key's.`);
  }
  if (!check(key, signedBytes(message, signature), signature.signature)) {
    throw bad(`the signature of ${kid} does not verify.`);
  }
}

const isKey = (key: CoseKey, kid: Uint8Array): boolean => equal(thumbprint(key), kid);

const among = ({ keys }: Quorum, { kid }: UnverifiedSignature): boolean =>
  keys.some((key) => isKey(key, kid));

export function standings(
  signatures: readonly UnverifiedSignature[],
  quorums: readonly Quorum[],
): Standing[] {
  return quorums.map((quorum) => ({
    quorum,
    signed: signatures.filter((signature) => among(quorum, signature)).length,
  }));
}

/**
 * The signed object, with as many signatures as its thresholds ask for.
 *
 * @throws DomainError `domain.input` for files of different objects, `domain.signers` for a bad
 * signature or too few.
 */
export function combine(
  partials: readonly PartialFile[],
  quorums: readonly Quorum[],
  check: SignatureCheck,
): Uint8Array {
  const draft = sameDraft(partials);
  const signatures = collectSignatures(partials, quorums, check);
  for (const { quorum, signed } of standings(signatures, quorums)) {
    if (signed >= quorum.threshold) continue;
    throw new DomainError(
      "domain.signers",
      `${quorum.name} asks for ${quorum.threshold} signatures, and ${signed} ` +
        `${signed === 1 ? "is" : "are"} there: collect the others.`,
    );
  }
  return withSignatures(draft, needed(signatures, quorums));
}

/** No more than each threshold asks for, so that they fit: at most 8 for each of two. */
function needed(
  signatures: readonly UnverifiedSignature[],
  quorums: readonly Quorum[],
): UnverifiedSignature[] {
  const memberships = (one: UnverifiedSignature): number =>
    quorums.filter((quorum) => among(quorum, one)).length;
  const sorted = signatures.toSorted((a, b) => memberships(b) - memberships(a));
  const chosen = new Set<UnverifiedSignature>();
  for (const quorum of quorums) {
    let missing = quorum.threshold - [...chosen].filter((one) => among(quorum, one)).length;
    for (const one of sorted) {
      if (missing <= 0 || chosen.has(one) || !among(quorum, one)) continue;
      chosen.add(one);
      missing -= 1;
    }
  }
  if (chosen.size <= LIMITS.charterSigners) return [...chosen];
  return refuse(`More than ${LIMITS.charterSigners} signatures would be needed.`);
}
