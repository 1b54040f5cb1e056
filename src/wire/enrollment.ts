/**
 * What a node and an enroller tell each other before there is a node credential. Nothing here is
 * signed: the enroller believes what the EK certificate's chain, the activated credential and the
 * first attestation prove.
 */
import { LIMITS } from "../limits.ts";
import { decode, encode } from "./cbor.ts";
import { sha256 } from "./digests.ts";
import { bytes, list, nullable, type Of, type Shape, tuple } from "./schema.ts";
import { key, name } from "./shapes.ts";

const CERTIFICATE_BYTES = 8_192;
const INTERMEDIATES = 8;
const publicArea = bytes({ min: 1, max: LIMITS.publicAreaBytes });
const certificate = bytes({ min: 1, max: CERTIFICATE_BYTES });
/** A TPM's secrets are as wide as the EK's Name algorithm at most. */
const secret = bytes({ min: 16, max: 64 });

const request = tuple({
  /** TPMT_PUBLIC of the EK and of the new AK. */
  ekPublic: publicArea,
  akPublic: publicArea,
  /** The EK certificate as it lies in NV, trailing bytes and all; null where the TPM holds none. */
  ekCertificate: nullable(certificate),
  /** Certificates between it and a root that the node has (on-die intermediates). */
  intermediates: list(certificate, { max: INTERMEDIATES }),
  /** The node's log signs with it. */
  logKey: key,
  /** Name of the NV counter that guards the node's state against rollback. */
  nvIndexName: nullable(name),
});
const challenge = tuple({
  /** TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET without their sizes. */
  credentialBlob: bytes({ min: 1, max: 256 }),
  secret: bytes({ min: 1, max: 1_024 }),
});
const answer = tuple({
  /** What TPM2_ActivateCredential gave. */
  secret,
  /** A quote over no PCRs by the new AK; its extraData is enrollmentDigest(request, secret). */
  attest: bytes({ min: 1, max: LIMITS.attestBytes }),
  signature: bytes({ min: 1, max: LIMITS.tpmSignatureBytes }),
});

export type EnrollmentRequest = Of<typeof request>;
export type EnrollmentChallenge = Of<typeof challenge>;
export type EnrollmentAnswer = Of<typeof answer>;

const SHAPES = { request, challenge, answer } as const;
type Messages = {
  request: EnrollmentRequest;
  challenge: EnrollmentChallenge;
  answer: EnrollmentAnswer;
};

const shapeOf = <K extends keyof Messages>(kind: K) =>
  SHAPES[kind] as unknown as Shape<Messages[K]>;

/** Throws WireError `wire.shape` where the message is out of bounds. */
export function encodeEnrollment<K extends keyof Messages>(
  kind: K,
  message: Messages[K],
): Uint8Array {
  return encode(shapeOf(kind).encode(message, `enrollment ${kind}`));
}

/** Reads a message of the kind that is expected. Throws WireError. */
export function parseEnrollment<K extends keyof Messages>(
  kind: K,
  message: Uint8Array,
): Messages[K] {
  return shapeOf(kind).decode(decode(message), `enrollment ${kind}`);
}

/**
 * What the new AK must sign to prove that it, this EK, this log key and the activated secret belong
 * to one enrollment: none of them can be exchanged afterwards (CVE-2022-1053).
 */
export function enrollmentDigest(message: EnrollmentRequest, activated: Uint8Array): Uint8Array {
  const cbor = request.encode(message, "enrollment request");
  return sha256(encode(["portcullis-enrollment/1", cbor, activated]));
}
