/**
 * The digests of docs/wire-format.md: SHA-256 over deterministic CBOR, each under its own label.
 */
import { hash } from "node:crypto";
import { encode } from "./cbor.ts";
import type { CborValue } from "./cbor-value.ts";
import type { UnverifiedMessage } from "./cose.ts";
import type { SignedKind } from "./registry.ts";

export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash("sha256", bytes, "buffer"));
}

const overCbor = (value: CborValue): Uint8Array => sha256(encode(value));

const LABELS = {
  charter: "portcullis-charter",
  snapshot: "portcullis-snapshot",
  policy: "portcullis-policy",
  grant: "portcullis-element",
  link: "portcullis-element",
} as const satisfies { readonly [kind in SignedKind]?: string };
/** The signed objects that others name by digest. */
export type DigestedKind = keyof typeof LABELS;

export const isDigested = (kind: SignedKind): kind is DigestedKind => Object.hasOwn(LABELS, kind);

/** Never over the signatures, so that a malleable twin, or one more signer, is the same object. */
export function objectDigest(
  kind: DigestedKind,
  message: Pick<UnverifiedMessage, "body" | "payload">,
): Uint8Array {
  return overCbor([LABELS[kind], message.body, message.payload]);
}

/** SHA-256 over [label, item], the item being bytes that stand as they are, CBOR of ours or not. */
function overItem(label: string, item: Uint8Array): Uint8Array {
  const opening = encode([label, null]).subarray(0, -1); // without the null: one byte
  return sha256(Buffer.concat([opening, item]));
}

/** Of the job's bytes. */
export function jobDigest(job: Uint8Array): Uint8Array {
  return overItem("portcullis-job", job);
}

/** Of the evidence's bytes, as they stand in a case. */
export function evidenceDigest(evidence: Uint8Array): Uint8Array {
  return overItem("portcullis-evidence", evidence);
}

/** Of the status list's bytes, just as they are. */
export const statusDigest = sha256;

/**
 * What is asked of the node: this job, under this chain, now, here. Digests and nonces of 32 bytes.
 */
export interface Request {
  readonly purpose: "start" | "lease";
  readonly domain: string;
  /** The TPM Name of the node's attestation key. */
  readonly akName: Uint8Array;
  readonly gateNonce: Uint8Array;
  readonly planeNonce: Uint8Array | null;
  readonly job: Uint8Array;
  /** The leaf's element digest. */
  readonly chain: Uint8Array;
  readonly snapshot: Uint8Array;
  readonly run: Uint8Array | null;
}

export function requestDigest(request: Request): Uint8Array {
  return overCbor([
    "portcullis-request/1",
    request.purpose === "start" ? 0 : 1,
    request.domain,
    request.akName,
    request.gateNonce,
    request.planeNonce,
    request.job,
    request.chain,
    request.snapshot,
    request.run,
  ]);
}
