/** The machine's side of attestation: an enrolled AK, ready to quote. */
import { readClock } from "../tpm/attestation.ts";
import { tpmProperties } from "../tpm/capability.ts";
import type { LoadedKey } from "../tpm/object.ts";
import { openTpm } from "../tpm/open.ts";
import { password } from "../tpm/session.ts";
import { TPM_PT } from "../tpm/structures/constants.ts";
import type { TPMS_PCR_SELECTION } from "../tpm/structures/pcr.ts";
import type { Tpm, TpmOptions } from "../tpm/tpm.ts";
import type { Counters } from "../wire/objects.ts";
import { loadAttestationKey } from "./attestation-key.ts";
import { findEndorsementKey } from "./endorsement-key.ts";
import { type QuoteEvidence, quotePcrs } from "./evidence.ts";
import { readAkFile } from "./key-file.ts";
import type { CounterPlace } from "./messages.ts";
import { certifyCounter, raiseCounter } from "./state-counter.ts";

export interface AgentOptions extends TpmOptions {
  /** See parseTpmUri: `device:/dev/tpmrm0`, `swtpm:path=...`, `tabrmd`, `tcti:...`. */
  readonly tpm: string;
  /** What writeAkFile wrote at enrollment. */
  readonly akFile: string;
  /** Authorization value of the endorsement hierarchy, where its owner set one. */
  readonly endorsementAuth?: Uint8Array;
}

/** An open TPM with the AK loaded. Close it: it holds one of the TPM's few slots. */
export class Agent implements AsyncDisposable {
  readonly #tpm: Tpm;
  readonly #ak: LoadedKey;

  constructor(tpm: Tpm, ak: LoadedKey) {
    this.#tpm = tpm;
    this.#ak = ak;
  }

  /** Name of the AK, by which the node is known. */
  get name(): Uint8Array {
    return this.#ak.name;
  }

  /** TPMT_PUBLIC of the AK. */
  get publicArea(): Uint8Array {
    return this.#ak.publicArea;
  }

  /**
   * A quote with its PCR values.
   * @param qualifyingData 32 bytes: the Merkle root over the requests (docs/wire-format.md).
   * @throws EvidenceError, TpmError, TpmTransportError, TpmFormatError
   */
  quote(
    qualifyingData: Uint8Array,
    selection: readonly TPMS_PCR_SELECTION[],
  ): Promise<QuoteEvidence> {
    return quotePcrs(this.#tpm, this.#ak, qualifyingData, selection);
  }

  /** The TPM's counters now, unsigned: a floor for the next quote, so that it must be newer. */
  async counters(): Promise<Counters> {
    const { clockInfo } = await readClock(this.#tpm);
    const { resetCount, restartCount, clock } = clockInfo;
    return { resetCount, restartCount, clock, firmwareVersion: await firmwareVersion(this.#tpm) };
  }

  /** What the counter holds, certified by the AK. @throws EvidenceError, TpmError */
  counter(place: CounterPlace): Promise<bigint> {
    return certifyCounter(this.#tpm, this.#ak, place);
  }

  /** Increments the counter unless it has passed `value`; gives what is certified then. */
  raiseCounter(place: CounterPlace, value: bigint): Promise<bigint> {
    return raiseCounter(this.#tpm, this.#ak, place, value);
  }

  async close(): Promise<void> {
    try {
      await this.#ak.flush();
    } finally {
      await this.#tpm.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** As TPMS_ATTEST.firmwareVersion has it: TPM_PT_FIRMWARE_VERSION_1 above _2. */
export async function firmwareVersion(tpm: Tpm): Promise<bigint> {
  const properties = await tpmProperties(tpm);
  const part = (number: number): bigint => BigInt(properties.get(number) ?? 0);
  return (part(TPM_PT.FIRMWARE_VERSION_1) << 32n) | part(TPM_PT.FIRMWARE_VERSION_2);
}

/**
 * Opens the TPM and loads the enrolled AK.
 * @throws TpmTransportError, TpmError (TPM_RC_INTEGRITY: another TPM, or cleared since),
 *   KeyFileError, PrivateError.
 */
export async function openAgent(options: AgentOptions): Promise<Agent> {
  const blob = await readAkFile(options.akFile);
  const endorsement = password(options.endorsementAuth);
  const tpm = await openTpm(options.tpm, options);
  try {
    const { key: ek } = await findEndorsementKey(tpm, endorsement);
    await using _ek = ek;
    return new Agent(tpm, await loadAttestationKey(tpm, ek, blob, endorsement));
  } catch (cause) {
    await tpm.close();
    throw cause;
  }
}
