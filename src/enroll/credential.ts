/** MakeCredential without a TPM (Part 1 §24, Annexes B.10.4 and C.6.4). */
import { createCipheriv, createHmac } from "node:crypto";
import { concat, sized } from "../tpm/structures/bytes.ts";
import { hashById, TPM_ALG } from "../tpm/structures/constants.ts";
import { kdfA, shareSecret } from "../tpm/structures/kdf.ts";
import type { TPMT_PUBLIC } from "../tpm/structures/public.ts";
import type { EnrollmentChallenge } from "../wire/enrollment.ts";
import { EnrollError } from "./errors.ts";

const EMPTY = new Uint8Array();

/**
 * Encrypts `credential` so that only the TPM that holds `ek` can read it, and only for an object of
 * this Name that is loaded in it.
 * @param credential At most as wide as the EK's Name algorithm.
 * @param objectName The AK's Name, computed by us.
 * @throws EnrollError `enroll.ek` where the EK cannot be encrypted to.
 */
export function makeCredential(
  ek: TPMT_PUBLIC,
  objectName: Uint8Array,
  credential: Uint8Array,
): EnrollmentChallenge {
  const hash = hashById(ek.nameAlg);
  if (!hash || ek.symmetric?.algorithm !== TPM_ALG.AES || ek.symmetric.mode !== TPM_ALG.CFB) {
    throw new EnrollError("enroll.ek", "The EK does not encrypt with AES in CFB mode.");
  }
  if (credential.length > hash.bytes) {
    throw new RangeError(`A credential has at most ${hash.bytes} bytes, not ${credential.length}.`);
  }
  const { seed, encrypted } = shareSecret(ek, "IDENTITY");
  const { keyBits } = ek.symmetric;
  // §24.4: the identity is encrypted with a zero IV, for the key is used once; §24.5: then
  // authenticated with the Name.
  const key = kdfA(ek.nameAlg, seed, "STORAGE", objectName, EMPTY, keyBits);
  const cipher = createCipheriv(`aes-${keyBits}-cfb`, key, new Uint8Array(16));
  const encIdentity = concat(cipher.update(sized(credential)), cipher.final());
  const macKey = kdfA(ek.nameAlg, seed, "INTEGRITY", EMPTY, EMPTY, hash.bytes * 8);
  const outerHmac = createHmac(hash.name, macKey).update(encIdentity).update(objectName).digest();
  return { credentialBlob: concat(sized(outerHmac), encIdentity), secret: encrypted };
}
