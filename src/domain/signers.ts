/**
 * The keys at hand, and whether they are enough: k of n, distinct, members of the keyset that must
 * sign.
 */

import { join } from "node:path";
import { compareBytes } from "../bytes.ts";
import { readKeyFile } from "../wire/key-files.ts";
import { type Signer, signerOf, thumbprint } from "../wire/keys.ts";
import type { CoseKey } from "../wire/objects.ts";
import { DomainError } from "./error.ts";
import { namesIn } from "./files.ts";
import type { KeysetName, Layout } from "./layout.ts";

export type Signers = readonly [Signer, ...Signer[]];

/** Who may sign, and how many must. */
export interface Quorum {
  /** For messages: "class standard", "governance". */
  readonly name: string;
  readonly threshold: number;
  readonly keys: readonly CoseKey[];
}

/**
 * All private keys of a set that lie in keys/, by their number. Throws WireError or PrivateError
 * for a bad key file.
 */
export async function signersAtHand(layout: Layout, set: KeysetName): Promise<Signer[]> {
  const numbered = new RegExp(`^${set}-([1-9]\\d{0,3})\\.pem$`);
  const names = (await namesIn(layout.keys))
    .map((name) => ({ name, number: Number(numbered.exec(name)?.[1] ?? 0) }))
    .filter(({ number }) => number > 0)
    .sort((a, b) => a.number - b.number);
  return signersFrom(names.map(({ name }) => join(layout.keys, name)));
}

/** Signers from key files, wherever they lie. */
export async function signersFrom(files: readonly string[]): Promise<Signer[]> {
  const keys = await Promise.all(files.map((file) => readKeyFile(file)));
  return keys.map(signerOf);
}

export const sameKey = (a: CoseKey, b: CoseKey): boolean =>
  compareBytes(thumbprint(a), thumbprint(b)) === 0;

/**
 * The first `threshold` of the signers that belong to the quorum, none twice.
 *
 * @throws DomainError `domain.signers` where they are too few.
 */
export function enough(signers: readonly Signer[], quorum: Quorum): Signers {
  const members: Signer[] = [];
  for (const signer of signers) {
    const listed = quorum.keys.some((key) => sameKey(key, signer.key));
    if (listed && !members.some((member) => sameKey(member.key, signer.key))) members.push(signer);
  }
  const [first, ...rest] = members.slice(0, quorum.threshold);
  if (first !== undefined && members.length >= quorum.threshold) return [first, ...rest];
  throw new DomainError(
    "domain.signers",
    `${quorum.name} needs ${quorum.threshold} of ${quorum.keys.length} keys, and ` +
      `${members.length} of them ${members.length === 1 ? "is" : "are"} at hand.`,
  );
}

/** Throws DomainError `domain.signers` where one of these signers does not belong to the quorum. */
export function requireMembers(signers: readonly Signer[], quorum: Quorum): void {
  const stranger = signers.find(({ key }) => !quorum.keys.some((member) => sameKey(member, key)));
  if (stranger === undefined) return;
  const kid = Buffer.from(thumbprint(stranger.key)).toString("hex").slice(0, 16);
  throw new DomainError("domain.signers", `The key ${kid}... may not sign for ${quorum.name}.`);
}
