/** What a TPM signs on request (Part 3 §18, §31.16), and its clock (§29.1). */

import { type Authorization, password } from "./session.ts";
import { readTimeInfo, type TPMS_TIME_INFO } from "./structures/attest.ts";
import { concat, sized, u16 } from "./structures/bytes.ts";
import { TPM_ALG, TPM_RH } from "./structures/constants.ts";
import { encodePcrSelection, type TPMS_PCR_SELECTION } from "./structures/pcr.ts";
import { type Entity, permanent, type Tpm } from "./tpm.ts";

/** TPMS_ATTEST and TPMT_SIGNATURE, both without a TPM2B. */
export interface Attestation {
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
}

/** The key's own scheme signs. */
const OWN_SCHEME = u16(TPM_ALG.NULL);

/**
 * TPM2_Quote. A TPM silently returns the PCRs of an inactive bank unselected: read the signed
 * selection.
 */
export function quote(
  tpm: Tpm,
  key: Entity,
  qualifyingData: Uint8Array,
  selection: readonly TPMS_PCR_SELECTION[],
  authorization: Authorization = password(),
): Promise<Attestation> {
  return tpm.execute({
    name: "TPM2_Quote",
    handles: [key],
    authorizations: [authorization],
    parameters: concat(sized(qualifyingData), OWN_SCHEME, encodePcrSelection(selection)),
    response: (reader) => ({ attest: reader.sized(), signature: reader.rest() }),
  });
}

/** TPM2_GetTime: clock, counters and firmware version, signed. */
export function getTime(
  tpm: Tpm,
  key: Entity,
  qualifyingData: Uint8Array,
  endorsement: Authorization = password(),
  authorization: Authorization = password(),
): Promise<Attestation> {
  return tpm.execute({
    name: "TPM2_GetTime",
    handles: [permanent(TPM_RH.ENDORSEMENT), key],
    authorizations: [endorsement, authorization],
    parameters: concat(sized(qualifyingData), OWN_SCHEME),
    response: (reader) => ({ attest: reader.sized(), signature: reader.rest() }),
  });
}

/** TPM2_NV_Certify: the content of an NV index, signed. */
export function nvCertify(
  tpm: Tpm,
  key: Entity,
  index: Entity,
  qualifyingData: Uint8Array,
  range: { readonly offset: number; readonly bytes: number },
  authorizations: { readonly key?: Authorization; readonly index?: Authorization } = {},
): Promise<Attestation> {
  return tpm.execute({
    name: "TPM2_NV_Certify",
    // The index authorizes itself.
    handles: [key, index, index],
    authorizations: [authorizations.key ?? password(), authorizations.index ?? password()],
    parameters: concat(sized(qualifyingData), OWN_SCHEME, u16(range.bytes), u16(range.offset)),
    response: (reader) => ({ attest: reader.sized(), signature: reader.rest() }),
  });
}

/** TPM2_ReadClock: unsigned, so good for a floor that only denies more, never for a proof. */
export function readClock(tpm: Tpm): Promise<TPMS_TIME_INFO> {
  return tpm.execute({ name: "TPM2_ReadClock", response: readTimeInfo });
}
