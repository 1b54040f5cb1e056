/**
 * The enroller's side: challenge(request) -> issue(answer). It holds an enroller key of the
 * charter, and everything that a node says is doubted until the TPM's vendor, the TPM and the new
 * key have each proven their part.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { parseAttest, type TPMS_ATTEST } from "../tpm/structures/attest.ts";
import { concat, equalBytes, hex } from "../tpm/structures/bytes.ts";
import { TPM_RH } from "../tpm/structures/constants.ts";
import {
  computeName,
  parsePublic,
  qualifiedName,
  type TPMT_PUBLIC,
  toKeyObject,
} from "../tpm/structures/public.ts";
import { verifyTpmSignature } from "../tpm/structures/signature.ts";
import { akProblem } from "../tpm/structures/templates.ts";
import {
  type EnrollmentAnswer,
  type EnrollmentChallenge,
  type EnrollmentRequest,
  enrollmentDigest,
} from "../wire/enrollment.ts";
import type { Signer } from "../wire/keys.ts";
import { type NodeCredential, signObject } from "../wire/objects.ts";
import { parseBundle, parseCertificate, parseOnDie } from "./certificate.ts";
import { type TrustStore, verifyEkCertificate } from "./chain.ts";
import { makeCredential } from "./credential.ts";
import { parseEk, requireCertificateOf } from "./endorsement-key.ts";
import { EnrollError } from "./errors.ts";
import { parseRevocationLists } from "./revocation.ts";

export interface EnrollerOptions {
  readonly domain: string;
  /** An enroller key of the charter. */
  readonly signer: Signer;
  /**
   * PEM or DER of the roots that EK certificates must lead to: the vendors' whom the operator
   * trusts.
   */
  readonly roots: readonly (string | Uint8Array)[];
  /** Certificates that may stand between; not trusted by themselves. */
  readonly intermediates?: readonly (string | Uint8Array)[];
  /**
   * SHA-256 (hex) of the EK public areas that are accepted without a certificate, because the
   * operator took them from the machine himself. For TPMs whose vendor gave them none.
   */
  readonly allowedEks?: ReadonlySet<string>;
  /**
   * PEM or DER of certificate revocation lists. Given any, they must cover every certificate below
   * the root.
   */
  readonly revocationLists?: readonly (string | Uint8Array)[];
  /** Accepts EK certificate chains that are signed over SHA-1. False where absent. */
  readonly allowSha1?: boolean;
}

/** What the operator decides about a node. */
export interface NodeGrant {
  readonly labels: readonly string[];
  /** Asked once everything else holds: a request that is refused takes no index. */
  readonly statusIndex: () => number | Promise<number>;
  /** Seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
  /**
   * The UEID and the AK's Name that this node is enrolled with now; null if it is new. Another UEID
   * is another TPM, which never takes the node's place (CVE-2025-13609). Another AK is refused
   * unless `replace` is true, so that nobody re-keys a node unnoticed (CVE-2021-43310).
   */
  readonly enrolled: { readonly ueid: Uint8Array; readonly name: Uint8Array } | null;
  readonly replace?: boolean;
}

/**
 * A request whose EK and AK were checked, waiting for its one answer. Only challenge() makes it.
 */
export interface PendingEnrollment {
  /**
   * The node's identity, derived from its EK: a new TPM cannot take an old node's (CVE-2025-13609).
   */
  readonly ueid: Uint8Array;
  readonly akName: Uint8Array;
  /** To be sent to the node. */
  readonly challenge: EnrollmentChallenge;
}

interface Secrets {
  readonly request: EnrollmentRequest;
  readonly secret: Uint8Array;
  readonly ak: TPMT_PUBLIC;
  readonly qualifiedName: Uint8Array;
  readonly ekCertificate: Uint8Array | null;
}

const SECRET_BYTES = 32;
/** RFC 9711 §4.2.1.1, type RAND; what follows is as unpredictable as the TPM's seed. */
const UEID_RAND = 0x01;

const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash("sha256").update(bytes).digest());

/** The UEID of the machine with this EK (TPMT_PUBLIC). */
export function ueidOf(ekPublic: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(UEID_RAND), sha256(ekPublic));
}

function parseAk(publicArea: Uint8Array): TPMT_PUBLIC {
  let key: TPMT_PUBLIC;
  try {
    key = parsePublic(publicArea);
    toKeyObject(key);
  } catch (cause) {
    throw new EnrollError("enroll.ak", "The attestation key's public area does not parse.", {
      cause,
    });
  }
  const problem = akProblem(key);
  if (problem) throw new EnrollError("enroll.ak", `The key is no attestation key: ${problem}.`);
  return key;
}

export class Enroller {
  readonly #options: EnrollerOptions;
  readonly #trust: TrustStore;
  /** By identity: a look-alike object is not pending, and an answer is judged once. */
  readonly #pending = new WeakMap<PendingEnrollment, Secrets>();

  /** @throws EnrollError where a root or intermediate is no certificate, a list no list. */
  constructor(options: EnrollerOptions) {
    this.#options = options;
    const { roots, intermediates = [], revocationLists = [], allowSha1 = false } = options;
    this.#trust = {
      roots: roots.flatMap((one) => parseBundle(one, "A root")),
      intermediates: intermediates.flatMap((one) => parseBundle(one, "An intermediate")),
      revocationLists: revocationLists.flatMap((one) => parseRevocationLists(one, "A list")),
      allowSha1,
    };
  }

  /**
   * Checks a request and makes its challenge:
   *  1. the EK is a restricted storage key, fixed to the TPM that made it;
   *  2. its certificate leads to a configured root at `date` and is for this very key, or the EK is
   *     allowlisted;
   *  3. the AK is an attestation key;
   *  4. the credential is bound to the AK's Name as recomputed here, and to the EK.
   * @throws EnrollError
   */
  async challenge(request: EnrollmentRequest, date: Date): Promise<PendingEnrollment> {
    const ek = parseEk(request.ekPublic);
    const ekCertificate = await this.#requireGenuine(request, ek, date);
    const ak = parseAk(request.akPublic);
    const akName = computeName(request.akPublic);
    const chain = [computeName(request.ekPublic), akName];
    const secret = new Uint8Array(randomBytes(SECRET_BYTES));
    const pending = {
      ueid: ueidOf(request.ekPublic),
      akName,
      challenge: makeCredential(ek, akName, secret),
    };
    const qualified = qualifiedName(TPM_RH.ENDORSEMENT, chain);
    this.#pending.set(pending, { request, secret, ak, qualifiedName: qualified, ekCertificate });
    return pending;
  }

  /** SHA-256 of the verified certificate, null for an allowlisted EK. */
  async #requireGenuine(
    request: EnrollmentRequest,
    ek: TPMT_PUBLIC,
    date: Date,
  ): Promise<Uint8Array | null> {
    const ekDigest = hex(sha256(request.ekPublic));
    if (this.#options.allowedEks?.has(ekDigest)) return null;
    if (request.ekCertificate === null) {
      throw new EnrollError(
        "enroll.certificate-missing",
        `The TPM holds no EK certificate. If the EK is the machine's, allowlist ${ekDigest}.`,
      );
    }
    const certificate = parseCertificate(request.ekCertificate);
    const sent = parseOnDie(request.intermediates);
    const trust = { ...this.#trust, intermediates: [...this.#trust.intermediates, ...sent] };
    const verified = await verifyEkCertificate(certificate, trust, date);
    requireCertificateOf(verified.certificate, ek);
    return sha256(verified.certificate.bytes);
  }

  /**
   * Judges the answer to a challenge, once, and issues the node credential:
   *  1. the secret is the challenge's: the AK of the request lives in the TPM of the EK;
   *  2. the attestation parses exactly, has a TPM's magic, is a quote, and is signed by the AK of
   *     the request;
   *  3. it signs this request and this secret;
   *  4. its qualifiedSigner is the AK's qualified name under the EK in the endorsement hierarchy;
   *  5. the node is new, or it has the same EK and keeps its AK, or the operator said that the AK
   *     is replaced.
   * @returns The node credential, COSE_Sign1.
   * @throws EnrollError; WireError where the grant is out of bounds.
   */
  async issue(
    pending: PendingEnrollment,
    answer: EnrollmentAnswer,
    grant: NodeGrant,
  ): Promise<Uint8Array> {
    const secrets = this.#pending.get(pending);
    this.#pending.delete(pending);
    if (!secrets)
      throw new EnrollError(
        "enroll.challenge",
        "The challenge is unknown or was answered already.",
      );
    const { secret, request } = secrets;
    if (answer.secret.length !== secret.length || !timingSafeEqual(answer.secret, secret)) {
      throw new EnrollError("enroll.challenge", "The activated credential is not the challenge's.");
    }
    const { clockInfo, firmwareVersion } = verifyAttestation(secrets, answer);
    const akName = computeName(request.akPublic);
    const { enrolled, replace = false, ...terms } = grant;
    const ueid = ueidOf(request.ekPublic);
    if (enrolled && !equalBytes(enrolled.ueid, ueid)) {
      throw new EnrollError("enroll.identity", "This node is enrolled with another TPM's EK.");
    }
    if (enrolled && !equalBytes(enrolled.name, akName) && !replace) {
      throw new EnrollError(
        "enroll.rekey",
        "This node is enrolled with another key: replace it on purpose, revoke the old one.",
      );
    }
    const { resetCount, restartCount, clock } = clockInfo;
    const credential: NodeCredential = {
      domain: this.#options.domain,
      exp: terms.exp,
      iat: terms.iat,
      ueid,
      publicArea: request.akPublic,
      name: akName,
      qualifiedName: secrets.qualifiedName,
      ekCertificate: secrets.ekCertificate,
      labels: terms.labels,
      counters: { resetCount, restartCount, clock, firmwareVersion },
      logKey: request.logKey,
      nvIndexName: request.nvIndexName,
      statusIndex: await terms.statusIndex(),
    };
    return signObject("node", credential, [this.#options.signer]);
  }
}

/** Steps 2 to 4 of issue(). */
function verifyAttestation(secrets: Secrets, answer: EnrollmentAnswer): TPMS_ATTEST {
  const { request, secret, ak } = secrets;
  const refuse = (why: string, cause?: unknown): EnrollError =>
    new EnrollError("enroll.attestation", `The first attestation is refused: ${why}.`, { cause });
  let attest: TPMS_ATTEST;
  let signed: boolean;
  try {
    attest = parseAttest(answer.attest);
    signed = verifyTpmSignature(ak, answer.attest, answer.signature);
  } catch (cause) {
    throw refuse("it does not parse", cause);
  }
  if (!signed) throw refuse("the attestation key did not sign it");
  if (attest.attested.type !== "quote") throw refuse("it is no quote");
  if (!equalBytes(attest.extraData, enrollmentDigest(request, secret))) {
    throw refuse("it was made for another request or challenge");
  }
  if (!equalBytes(attest.qualifiedSigner, secrets.qualifiedName)) {
    throw new EnrollError(
      "enroll.hierarchy",
      "The attestation key does not lie under this EK in the endorsement hierarchy.",
    );
  }
  return attest;
}
