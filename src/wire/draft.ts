/**
 * Objects whose signatures are being collected: a COSE_Sign as it will be, with no signature yet or
 * with some. A draft travels from key to key; nothing accepts one below its threshold, and nothing
 * but this file reads one without any signature.
 */
import {
  addSignature,
  assemble,
  parseUnfinished,
  type UnverifiedMessage,
  unsigned,
} from "./cose.ts";
import { objectDigest } from "./digests.ts";
import { WireError } from "./error.ts";
import type { Signer } from "./keys.ts";
import { encodePayload, kindOf, readMessage, type UnverifiedSigned } from "./objects.ts";
import { type Claims, SIGNED } from "./registry.ts";

/** What k of n keys sign. */
export const DRAFT_KINDS = ["charter", "snapshot", "policy", "grant"] as const;
export type DraftKind = (typeof DRAFT_KINDS)[number];

export interface UnverifiedDraftOf<K extends DraftKind> extends UnverifiedSigned<K> {
  readonly digest: Uint8Array;
}
export type UnverifiedDraft = { [K in DraftKind]: UnverifiedDraftOf<K> }[DraftKind];

/** The object without a signature. Throws WireError `wire.shape` for claims out of bounds. */
export function draftObject<K extends DraftKind>(kind: K, claims: Claims<K>): Uint8Array {
  return unsigned(SIGNED[kind].typ, encodePayload(kind, claims));
}

/** Reads a draft, or an object that is signed already. Throws WireError. */
export function parseDraft(bytes: Uint8Array): UnverifiedDraft {
  const message = parseUnfinished(bytes);
  const found = kindOf(message);
  const kind = DRAFT_KINDS.find((one) => one === found);
  if (kind === undefined) {
    throw new WireError("wire.cose", `a ${found ?? message.typ} is not signed by k of n keys`);
  }
  return draftOf(kind, message) as UnverifiedDraft;
}

function draftOf<K extends DraftKind>(kind: K, message: UnverifiedMessage): UnverifiedDraftOf<K> {
  return { ...readMessage(kind, message), digest: objectDigest(kind, message) };
}

/** The draft with one more signature. Throws WireError where the key has signed it already. */
export function signDraft(bytes: Uint8Array, signer: Signer): Promise<Uint8Array> {
  return addSignature(bytes, signer);
}

/** The draft with these of its signatures. */
export function withSignatures(
  { message }: UnverifiedDraft,
  signatures: UnverifiedMessage["signatures"],
): Uint8Array {
  return assemble({ ...message, signatures });
}

/** Whether two drafts are of one object: the same bytes would be signed. */
export function isSameObject(a: UnverifiedDraft, b: UnverifiedDraft): boolean {
  const equal = (x: Uint8Array, y: Uint8Array): boolean => Buffer.compare(x, y) === 0;
  return equal(a.message.body, b.message.body) && equal(a.message.payload, b.message.payload);
}
