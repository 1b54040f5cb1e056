/**
 * The attestation key: a child of the EK, so in the endorsement hierarchy, where counters are plain
 * (DESIGN §5).
 */
import { startSession } from "../tpm/authorization.ts";
import { algorithms } from "../tpm/capability.ts";
import {
  activateCredential,
  type CredentialChallenge,
  create,
  type KeyBlob,
  type LoadedKey,
  load,
} from "../tpm/object.ts";
import { type Authorization, password } from "../tpm/session.ts";
import { TPM_ALG } from "../tpm/structures/constants.ts";
import { akTemplate } from "../tpm/structures/templates.ts";
import type { Tpm } from "../tpm/tpm.ts";
import { withEk } from "./endorsement-key.ts";

/** ECDSA P-256 where the TPM has it, else RSASSA-2048. */
export async function bestKind(tpm: Tpm): Promise<"ecc" | "rsa"> {
  const known = await algorithms(tpm);
  return known.includes(TPM_ALG.ECC) && known.includes(TPM_ALG.ECDSA) ? "ecc" : "rsa";
}

/** Makes a fresh AK below the EK. It is not loaded. */
export async function createAttestationKey(
  tpm: Tpm,
  ek: LoadedKey,
  kind: "ecc" | "rsa",
  endorsement: Authorization = password(),
): Promise<KeyBlob> {
  await using secrecy = await startSession(tpm, "hmac", ek);
  const protect = { session: secrecy, decrypt: true };
  const make = (ekAuth: Authorization): Promise<KeyBlob> =>
    create(tpm, ek, akTemplate(kind), [ekAuth, protect]);
  return await withEk(tpm, ek, make, endorsement);
}

/**
 * Loads an AK that createAttestationKey made under this EK. Dispose of it when done.
 * @throws TpmError TPM_RC_INTEGRITY where the blob belongs to another TPM, or the TPM was cleared
 *   since.
 */
export function loadAttestationKey(
  tpm: Tpm,
  ek: LoadedKey,
  blob: KeyBlob,
  endorsement: Authorization = password(),
): Promise<LoadedKey> {
  return withEk(tpm, ek, (ekAuth) => load(tpm, ek, blob, [ekAuth]), endorsement);
}

/**
 * TPM2_ActivateCredential: the secret that an enroller encrypted to this EK for this AK. It crosses
 * the bus encrypted.
 * @throws TpmError TPM_RC_INTEGRITY or TPM_RC_VALUE where the challenge is for another AK or EK.
 */
export async function activate(
  tpm: Tpm,
  keys: { readonly ek: LoadedKey; readonly ak: LoadedKey },
  challenge: CredentialChallenge,
  endorsement: Authorization = password(),
): Promise<Uint8Array> {
  await using secrecy = await startSession(tpm, "hmac", keys.ek);
  const akAuth = { session: secrecy, encrypt: true };
  return await withEk(
    tpm,
    keys.ek,
    (ekAuth) => activateCredential(tpm, keys.ak, keys.ek, challenge, [akAuth, ekAuth]),
    endorsement,
  );
}
