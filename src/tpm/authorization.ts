/** Starting sessions and satisfying policies (Part 3 §11, §23). */

import type { LoadedKey } from "./object.ts";
import {
  type Authorization,
  newNonce,
  password,
  SESSION_HASH,
  SESSION_KEY_BITS,
  SESSION_TYPES,
  Session,
} from "./session.ts";
import { concat, sized, u8, u16, u32 } from "./structures/bytes.ts";
import { TPM_ALG, TPM_RH } from "./structures/constants.ts";
import { shareSecret } from "./structures/kdf.ts";
import { type Entity, permanent, type Tpm } from "./tpm.ts";

/**
 * TPM2_StartAuthSession: HMAC or policy, SHA-256, AES-128-CFB.
 * @param salt A decryption key of this TPM. With it, who listens between us and the TPM cannot
 *   compute the session's keys, so parameters can be encrypted; without it they are no secret.
 */
export async function startSession(
  tpm: Tpm,
  type: "hmac" | "policy",
  salt: LoadedKey | null,
): Promise<Session> {
  const shared = salt ? shareSecret(salt.public, "SECRET") : null;
  const caller = newNonce();
  return tpm.execute({
    name: "TPM2_StartAuthSession",
    parameters: concat(
      u32(salt?.handle ?? TPM_RH.NULL),
      u32(TPM_RH.NULL),
      sized(caller),
      sized(shared?.encrypted ?? new Uint8Array()),
      u8(SESSION_TYPES[type]),
      concat(u16(TPM_ALG.AES), u16(SESSION_KEY_BITS), u16(TPM_ALG.CFB)),
      u16(SESSION_HASH),
    ),
    givesHandle: true,
    response: (reader, handle) => {
      const nonces = { caller, tpm: reader.sized(64) };
      return new Session(handle, type, shared?.seed ?? new Uint8Array(), nonces, (one) =>
        tpm.flush(one),
      );
    },
  });
}

/**
 * TPM2_PolicySecret: the policy session now proves knowledge of the entity's authorization value.
 * It holds for the next command that uses the session, not longer.
 */
export function policySecret(
  tpm: Tpm,
  session: Session,
  entity: Entity = permanent(TPM_RH.ENDORSEMENT),
  authorization: Authorization = password(),
): Promise<void> {
  const none = sized(new Uint8Array());
  return tpm.execute({
    name: "TPM2_PolicySecret",
    handles: [entity, permanent(session.handle)],
    authorizations: [authorization],
    // nonceTPM, cpHashA and policyRef empty, expiration 0: no ticket.
    parameters: concat(none, none, none, u32(0)),
    response: (reader) => {
      reader.sized();
      reader.bytes(6);
      reader.sized();
    },
  });
}
