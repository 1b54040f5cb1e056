/**
 * The node's side of enrollment: begin -> (enroller's challenge) -> answer -> (enroller's
 * credential).
 */

import { quote } from "../tpm/attestation.ts";
import type { KeyBlob, LoadedKey } from "../tpm/object.ts";
import { openTpm } from "../tpm/open.ts";
import { password } from "../tpm/session.ts";
import type { Tpm, TpmOptions } from "../tpm/tpm.ts";
import {
  type EnrollmentAnswer,
  type EnrollmentChallenge,
  type EnrollmentRequest,
  enrollmentDigest,
} from "../wire/enrollment.ts";
import type { CoseKey } from "../wire/objects.ts";
import { activate, bestKind, createAttestationKey, loadAttestationKey } from "./attestation-key.ts";
import {
  findEndorsementKey,
  keepEndorsementKey,
  readOnDieCertificates,
} from "./endorsement-key.ts";
import type { CounterPlace } from "./messages.ts";
import { certifyCounter, keepCounter, removeCounter } from "./state-counter.ts";

export interface NodeEnrollmentOptions extends TpmOptions {
  readonly tpm: string;
  /** The key that this node's log will sign with. */
  readonly logKey: CoseKey;
  /** The NV counter that guards the node's state: one that it has already, or a new one. */
  readonly counter?: CounterPlace | "new";
  readonly endorsementAuth?: Uint8Array;
  /** What kind of AK to make; by default ECC where the TPM has it. */
  readonly akKind?: "ecc" | "rsa";
}

/** A counter's place, and what it holds, unsigned, 64 bits. */
export interface HeldCounter extends CounterPlace {
  readonly value: bigint;
}

/**
 * One enrollment under way, with a fresh AK. What it made in the TPM goes with it, unless it is kept:
 * a TPM has room for a few counters, and an enroller may refuse many times.
 */
export class NodeEnrollment implements AsyncDisposable {
  /** To be sent to the enroller. */
  readonly request: EnrollmentRequest;
  /** To be kept with writeAkFile once the credential has arrived. */
  readonly blob: KeyBlob;
  readonly #tpm: Tpm;
  readonly #ek: LoadedKey;
  readonly #options: NodeEnrollmentOptions;
  readonly #counter: CounterPlace | null;
  /** The counter was made for this request, and nobody keeps it yet. */
  #isOurs: boolean;

  private constructor(
    tpm: Tpm,
    ek: LoadedKey,
    request: EnrollmentRequest,
    blob: KeyBlob,
    counter: CounterPlace | null,
    options: NodeEnrollmentOptions,
  ) {
    this.#tpm = tpm;
    this.#ek = ek;
    this.request = request;
    this.blob = blob;
    this.#counter = counter;
    this.#isOurs = counter !== null && counter !== options.counter;
    this.#options = options;
  }

  /**
   * Opens the TPM, reads the EK and its certificates, and makes an AK.
   * @throws TpmError, TpmTransportError
   */
  static async begin(options: NodeEnrollmentOptions): Promise<NodeEnrollment> {
    const endorsement = password(options.endorsementAuth);
    const tpm = await openTpm(options.tpm, options);
    try {
      const found = await findEndorsementKey(tpm, endorsement);
      const { key: ek, certificate } = await keepEndorsementKey(tpm, found);
      const kind = options.akKind ?? (await bestKind(tpm));
      const blob = await createAttestationKey(tpm, ek, kind, endorsement);
      const intermediates = await readOnDieCertificates(tpm);
      // Last: where anything before it fails, nothing is left in the TPM.
      const { counter: known } = options;
      const counter =
        known === undefined ? null : await keepCounter(tpm, known === "new" ? null : known);
      const request: EnrollmentRequest = {
        ekPublic: ek.publicArea,
        akPublic: blob.publicArea,
        ekCertificate: certificate,
        intermediates,
        logKey: options.logKey,
        nvIndexName: counter?.name ?? null,
      };
      return new NodeEnrollment(tpm, ek, request, blob, counter, options);
    } catch (cause) {
      await tpm.close();
      throw cause;
    }
  }

  /**
   * Activates the challenge's credential and signs, with the new AK, that it belongs to this
   * request.
   * @throws TpmError where the challenge was made for another AK or EK.
   */
  async answer(challenge: EnrollmentChallenge): Promise<EnrollmentAnswer> {
    const endorsement = password(this.#options.endorsementAuth);
    await using ak = await loadAttestationKey(this.#tpm, this.#ek, this.blob, endorsement);
    const secret = await activate(this.#tpm, { ek: this.#ek, ak }, challenge, endorsement);
    // Over no PCRs, so that no gate can take it for evidence of a machine's state.
    const signed = await quote(this.#tpm, ak, enrollmentDigest(this.request, secret), []);
    return { secret, ...signed };
  }

  /**
   * Keeps the counter of the request, as the credential names it from now on. Gives what it holds,
   * certified by the new AK: the state begins with it. Null where the request has none.
   */
  async keepCounter(): Promise<HeldCounter | null> {
    this.#isOurs = false;
    if (this.#counter === null) return null;
    const endorsement = password(this.#options.endorsementAuth);
    await using ak = await loadAttestationKey(this.#tpm, this.#ek, this.blob, endorsement);
    return { ...this.#counter, value: await certifyCounter(this.#tpm, ak, this.#counter) };
  }

  async close(): Promise<void> {
    try {
      if (this.#isOurs && this.#counter !== null) await removeCounter(this.#tpm, this.#counter);
      await this.#ek.flush();
    } finally {
      await this.#tpm.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
