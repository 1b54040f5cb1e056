/** A quote with the PCR values that it speaks of. */

import { PortcullisError } from "../errors.ts";
import { quote } from "../tpm/attestation.ts";
import { pcrRead } from "../tpm/integrity.ts";
import { parseAttest, type TPMS_CLOCK_INFO } from "../tpm/structures/attest.ts";
import { equalBytes } from "../tpm/structures/bytes.ts";
import { pcrDigest, type TPMS_PCR_SELECTION } from "../tpm/structures/pcr.ts";
import type { TPMT_PUBLIC } from "../tpm/structures/public.ts";
import type { Entity, Tpm } from "../tpm/tpm.ts";

/**
 * What a verifier needs to judge a machine's state, in the form of the wire format's quote slot.
 */
export interface QuoteEvidence {
  /** TPMS_ATTEST and TPMT_SIGNATURE, without a TPM2B. */
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  /** The signed selection. PCRs of an inactive bank are missing from it, whatever was asked for. */
  readonly selection: readonly TPMS_PCR_SELECTION[];
  /** One value for each PCR of the signed selection, bank by bank, indexes ascending. */
  readonly values: readonly Uint8Array[];
  readonly clockInfo: TPMS_CLOCK_INFO;
  readonly firmwareVersion: bigint;
}

/** The evidence could not be gathered; the message says why. */
export class EvidenceError extends PortcullisError {}

/**
 * The IMA list grows with every program started, so PCR 10 may change between the quote and the
 * reading.
 */
const ATTEMPTS_MAX = 10;

/**
 * Quotes the selection and reads its PCRs. Values and quote can differ when a PCR is extended in
 * between: then both are taken again. What is returned belongs together, or is refused.
 * @throws EvidenceError `agent.pcr-race` where PCRs change all the time, `agent.quote` where the
 *   TPM gives no quote.
 */
export async function quotePcrs(
  tpm: Tpm,
  ak: Entity & { readonly public: TPMT_PUBLIC },
  qualifyingData: Uint8Array,
  selection: readonly TPMS_PCR_SELECTION[],
): Promise<QuoteEvidence> {
  const hash = ak.public.scheme?.hash;
  if (typeof hash !== "number") {
    throw new EvidenceError("agent.quote", "The attestation key has no hash of its own.");
  }
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const { attest, signature } = await quote(tpm, ak, qualifyingData, selection);
    const { attested, clockInfo, firmwareVersion } = parseAttest(attest);
    if (attested.type !== "quote") {
      throw new EvidenceError("agent.quote", "The TPM answered with something else than a quote.");
    }
    const signed = attested.pcrSelect;
    const values = (await pcrRead(tpm, signed)).map(({ value }) => value);
    if (equalBytes(pcrDigest(hash, values), attested.pcrDigest)) {
      return { attest, signature, selection: signed, values, clockInfo, firmwareVersion };
    }
  }
  throw new EvidenceError(
    "agent.pcr-race",
    `PCRs changed between quote and reading ${ATTEMPTS_MAX} times: try again on a quieter machine.`,
  );
}
