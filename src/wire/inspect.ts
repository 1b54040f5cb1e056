/**
 * Lets people look into our objects. What is shown is what the bytes say, not what is true: each
 * inspection lists what nobody has verified about it. Only the core verifies (`portcullis check`,
 * `portcullis replay`).
 */
import { decode } from "./cbor.ts";
import { type CborValue, isMap } from "./cbor-value.ts";
import { COSE_SIGN, COSE_SIGN1, parseCose } from "./cose.ts";
import { evidenceDigest, jobDigest, sha256, statusDigest } from "./digests.ts";
import { WireError } from "./error.ts";
import { algorithmName } from "./keys.ts";
import {
  type Evidence,
  encodePlain,
  kindOf,
  parsePlain,
  parseSigned,
  showClaims,
  showPlain,
} from "./objects.ts";
import type { PlainKind, SignedKind } from "./registry.ts";
import type { Json } from "./schema.ts";

export interface Inspection {
  /** A kind of ours, or of those that the caller added. */
  readonly kind: string;
  /** One sentence. */
  readonly what: string;
  /** What other objects name it by, in hex; null where nothing does. */
  readonly digest: string | null;
  readonly signatures: readonly { readonly kid: string; readonly algorithm: string }[];
  /** JSON: digests in hex, times in ISO 8601, printable bytes as text and others as {hex}. */
  readonly content: Json;
  /** What the bytes claim and nobody checked. Never empty. */
  readonly unverified: readonly string[];
}

/** An unsigned object that another part of the project knows, such as a leaf of the log. */
export interface Recognizer {
  readonly kind: string;
  readonly what: string;
  readonly unverified: readonly string[];
  /** Its content, or null where the bytes are something else. */
  read(bytes: Uint8Array): Json | null;
}

const WHAT: { readonly [kind in SignedKind | PlainKind]: string } = {
  charter: "A charter: who may sign what in a trust domain.",
  snapshot: "A snapshot: governance's word on the present, for an hour at most.",
  policy: "A reference policy: the PCR values that a good machine has.",
  grant: "A grant: an authorization to run a job.",
  link: "A link: an authorization delegated from a parent.",
  proof: "A proof: the holder of a grant asks for one run of one job.",
  node: "A node credential: an enroller vouches for a machine and its attestation key.",
  result: "The control plane's result over one request.",
  receipt: "A receipt: what a gate says it decided and logged.",
  key: "A public key.",
  statusList: "A status list: what is revoked.",
  job: "A job: what is to be executed, and how.",
  context: "The context of a case: what the verifier held itself.",
  evidence: "Evidence: everything that a decision takes from outside.",
  case: "A case: everything that one decision depends on.",
};

const SIGNATURES = "the signatures, and that these keys may sign it to the required threshold";
const CURRENT = "that it is current: in force now, not replaced, frozen or revoked";
const ORIGIN = "where it comes from: it carries no signature";
const UNVERIFIED: { readonly [kind in SignedKind | PlainKind]: readonly string[] } = {
  charter: [SIGNATURES, CURRENT, "that it follows without a gap from the pinned charter"],
  snapshot: [SIGNATURES, CURRENT, "that no newer snapshot was seen"],
  policy: [
    SIGNATURES,
    "that a snapshot lists it as active",
    "that a machine in this state is good",
  ],
  grant: [SIGNATURES, CURRENT, "that its class covers it", "that a use is left"],
  link: [SIGNATURES, CURRENT, "that its parent exists and is wider", "that a use is left"],
  proof: [SIGNATURES, "that the request digest is of a request that was made"],
  node: [SIGNATURES, CURRENT, "that the attestation key lies in a TPM"],
  result: [SIGNATURES, CURRENT, "that it answers a request and evidence that exist"],
  receipt: [SIGNATURES, "that the log holds this leaf"],
  key: [ORIGIN, "that it is a point of its curve", "who holds the private key"],
  statusList: [ORIGIN, "that a snapshot in force names it"],
  job: [ORIGIN, "that it was authorized", "that it ran"],
  context: [ORIGIN],
  evidence: [ORIGIN, "everything inside it, and that its parts belong together"],
  case: [ORIGIN, "the decision: `portcullis replay` decides it again"],
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/**
 * Recognizes any of our objects. Throws WireError where the bytes are none, or are damaged;
 * `others` are tried on unsigned bytes that are no object of this folder.
 */
export function inspect(bytes: Uint8Array, others: readonly Recognizer[] = []): Inspection {
  const tagged = bytes[0] === 0xd2 || (bytes[0] === 0xd8 && bytes[1] === COSE_SIGN);
  return tagged ? inspectSigned(bytes) : inspectPlain(bytes, others);
}

function inspectSigned(bytes: Uint8Array): Inspection {
  const message = parseCose(bytes);
  const kind = kindOf(message);
  if (kind === null) {
    const tag = message.tag === COSE_SIGN1 ? "COSE_Sign1" : "COSE_Sign";
    throw new WireError(
      "wire.cose",
      `a ${tag} of typ ${JSON.stringify(message.typ)}, none of ours`,
    );
  }
  const { claims, digest } = parseSigned(kind, bytes);
  return {
    kind,
    what: WHAT[kind],
    digest: digest === null ? null : hex(digest),
    signatures: message.signatures.map(({ kid, alg }) => ({
      kid: hex(kid),
      algorithm: algorithmName(alg) ?? `unknown (${alg})`,
    })),
    content: showClaims(kind, claims),
    unverified: UNVERIFIED[kind],
  };
}

function inspectPlain(bytes: Uint8Array, others: readonly Recognizer[]): Inspection {
  const kind = guess(decodeOrExplain(bytes));
  if (kind === null) return inspectOther(bytes, others);
  return {
    kind,
    what: WHAT[kind],
    digest: plainDigest(kind, bytes),
    signatures: [],
    content: plainContent(kind, bytes, others),
    unverified: UNVERIFIED[kind],
  };
}

/**
 * People pass the YAML that an object was made from, or a PEM file: say so instead of naming a CBOR
 * offset.
 */
function decodeOrExplain(bytes: Uint8Array): CborValue {
  try {
    return decode(bytes);
  } catch (cause) {
    const printable =
      bytes.length > 0 &&
      bytes.subarray(0, 64).every((byte) => /[\s -~]/.test(String.fromCharCode(byte)));
    if (!printable) throw cause;
    throw new WireError("wire.cbor", "this is text (YAML, JSON or PEM?), not one of our objects", {
      cause,
    });
  }
}

function inspectOther(bytes: Uint8Array, others: readonly Recognizer[]): Inspection {
  for (const { kind, what, unverified, read } of others) {
    const content = read(bytes);
    if (content !== null) return { kind, what, digest: null, signatures: [], content, unverified };
  }
  throw new WireError("wire.shape", "CBOR of our profile, but none of our objects");
}

/**
 * Which object this must be if it is one: by its outermost shape alone, so that damage inside is
 * named as such.
 */
function guess(value: CborValue): PlainKind | null {
  if (isMap(value)) {
    if (value.has(-1) && value.has(-2)) return "key";
    const one = value.get(1);
    if (value.size === 13 && Array.isArray(one)) return "evidence";
    return value.size === 9 && typeof one === "number" ? "context" : null;
  }
  if (!Array.isArray(value)) return null;
  if (value.length === 11) return "job";
  if (value.length === 3 && value[0] instanceof Uint8Array) return "statusList";
  return value.length === 4 && value[0] === 1 && isMap(value[1]) ? "case" : null;
}

function plainDigest(kind: PlainKind, bytes: Uint8Array): string | null {
  switch (kind) {
    case "job":
      return hex(jobDigest(bytes));
    case "evidence":
      return hex(evidenceDigest(bytes));
    case "statusList":
      return hex(statusDigest(bytes));
    case "key": // RFC 9679: the thumbprint
    case "case": // the name under which cases are kept
      return hex(sha256(bytes));
    case "context":
      return null;
  }
}

function plainContent(kind: PlainKind, bytes: Uint8Array, others: readonly Recognizer[]): Json {
  if (kind === "evidence") return evidenceContent(parsePlain(kind, bytes).value, others);
  if (kind !== "case") return showPlain(kind, parsePlain(kind, bytes).value);
  const { version, context, evidence, result } = parsePlain("case", bytes).value;
  return {
    version,
    context: showPlain("context", context),
    evidence: {
      digest: hex(evidenceDigest(encodePlain("evidence", evidence))),
      ...evidenceContent(evidence, others),
    },
    result: result === null ? null : part(result, others),
  };
}

/** The evidence with its parts opened. */
function evidenceContent(evidence: Evidence, others: readonly Recognizer[]) {
  const open = (bytes: Uint8Array): Json => part(bytes, others);
  const shown = showPlain("evidence", evidence) as { readonly [name: string]: Json };
  return {
    ...shown,
    charters: evidence.charters.map(open),
    snapshot: open(evidence.snapshot),
    statusList: open(evidence.statusList),
    elements: evidence.elements.map(open),
    proof: evidence.proof === null ? null : open(evidence.proof),
    node: open(evidence.node),
    job: open(evidence.job),
    policies: evidence.policies.map(open),
  };
}

/** One part of a case: a damaged one is shown as such, and does not hide the others. */
function part(bytes: Uint8Array, others: readonly Recognizer[]): Json {
  if (bytes.length === 0) return { absent: true };
  try {
    const { kind, digest, signatures, content } = inspect(bytes, others);
    const signed = signatures.map((signature) => ({ ...signature }));
    return { kind, digest, ...(signed.length > 0 ? { signatures: signed } : {}), content };
  } catch (error) {
    if (error instanceof WireError) return { malformed: error.message, hex: hex(bytes) };
    throw error;
  }
}
