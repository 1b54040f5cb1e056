/** The machine's endorsement key and its certificates. */

import { policySecret, startSession } from "../tpm/authorization.ts";
import { handles } from "../tpm/capability.ts";
import { nvRead, nvReadPublic } from "../tpm/nv.ts";
import { createPrimary, evictControl, type LoadedKey, readPublic } from "../tpm/object.ts";
import { type Authorization, password } from "../tpm/session.ts";
import { TPM_HT, TPM_RH, TPMA_OBJECT } from "../tpm/structures/constants.ts";
import { TpmError, TpmFormatError } from "../tpm/structures/errors.ts";
import { parsePublic, type TPMT_PUBLIC } from "../tpm/structures/public.ts";
import { EK_TEMPLATES, type EkTemplate, isMadeBy, withNonce } from "../tpm/structures/templates.ts";
import { permanent, type Tpm } from "../tpm/tpm.ts";

/** On-die intermediate certificates, TCG EK Credential Profile 2.5 §2.2.1.5.2. */
const CHAIN_FIRST = 0x01c00100;
const CHAIN_LAST = 0x01c001ff;

/**
 * An EK, with its certificate as it lies in NV (padding and all), or null where the TPM holds none.
 */
export interface EndorsementKey {
  readonly key: LoadedKey;
  readonly certificate: Uint8Array | null;
  /** Where the TCG's registry wants such a key to be kept. */
  readonly persistentHandle: number;
}

async function persistentKey(tpm: Tpm, template: TPMT_PUBLIC): Promise<LoadedKey | null> {
  for (const handle of await handles(tpm, TPM_HT.PERSISTENT)) {
    const key = await readPublic(tpm, handle).then(
      (found) => found.key,
      (cause: unknown) => {
        // An object of a kind that we do not read is not our EK.
        if (cause instanceof TpmFormatError) return null;
        throw cause;
      },
    );
    if (key && isMadeBy(key.public, template)) return key;
  }
  return null;
}

const readIndex = async (tpm: Tpm, index: number): Promise<Uint8Array> =>
  nvRead(tpm, await nvReadPublic(tpm, index));

/**
 * The template by which the vendor made the EK: its own from NV, else the profile's, with the
 * vendor's nonce where NV holds one (EK Credential Profile §2.2.1.4).
 * @throws TpmFormatError where NV holds a template that does not parse.
 */
async function templateOf(
  tpm: Tpm,
  { template, templateIndex, nonceIndex }: EkTemplate,
  indexes: readonly number[],
): Promise<TPMT_PUBLIC> {
  if (indexes.includes(templateIndex)) return parsePublic(await readIndex(tpm, templateIndex));
  if (nonceIndex === null || !indexes.includes(nonceIndex)) return template;
  return withNonce(template, await readIndex(tpm, nonceIndex));
}

/**
 * The first kind whose key the TPM can make. A TPM without RSA, or with smaller keys, refuses the
 * others by TPM_RC_VALUE and the like.
 */
async function makeFirst(
  tpm: Tpm,
  kinds: readonly EkTemplate[],
  indexes: readonly number[],
  endorsement: Authorization,
): Promise<Pick<EndorsementKey, "key" | "persistentHandle">> {
  let refused: TpmError | null = null;
  for (const kind of kinds) {
    const template = await templateOf(tpm, kind, indexes);
    const { persistentHandle } = kind;
    const kept = await persistentKey(tpm, template);
    if (kept) return { key: kept, persistentHandle };
    try {
      const key = await createPrimary(tpm, TPM_RH.ENDORSEMENT, template, [endorsement]);
      return { key, persistentHandle };
    } catch (cause) {
      if (!(cause instanceof TpmError)) throw cause;
      refused ??= cause;
    }
  }
  throw refused ?? new RangeError("no EK template");
}

/**
 * Finds the EK: of the kinds that have a certificate in NV the first, else the first kind that the
 * TPM can make. It is taken from its persistent handle, or made again from the TPM's endorsement
 * seed, which takes seconds for RSA on hardware. Dispose of the key when done.
 * @param endorsement Authorization of the endorsement hierarchy; empty unless its owner set one.
 * @throws TpmError where the TPM refuses to make it.
 */
export async function findEndorsementKey(
  tpm: Tpm,
  endorsement: Authorization = password(),
): Promise<EndorsementKey> {
  const indexes = await handles(tpm, TPM_HT.NV_INDEX);
  const certified = EK_TEMPLATES.find(({ certificateIndex }) => indexes.includes(certificateIndex));
  const certificate = certified ? await readIndex(tpm, certified.certificateIndex) : null;
  const kinds = certified ? [certified] : EK_TEMPLATES;
  return { ...(await makeFirst(tpm, kinds, indexes, endorsement)), certificate };
}

/**
 * Makes the EK persistent at the handle that the TCG reserves for it, so that later runs need not
 * make it again. Where the owner's authorization is not empty, or the TPM has no room, the EK stays
 * as it is: it costs time, nothing else.
 */
export async function keepEndorsementKey(tpm: Tpm, ek: EndorsementKey): Promise<EndorsementKey> {
  const { persistentHandle: handle } = ek;
  if (ek.key.handle >>> 24 !== TPM_HT.TRANSIENT) return ek;
  try {
    await evictControl(tpm, ek.key, handle);
  } catch (cause) {
    if (cause instanceof TpmError) return ek;
    throw cause;
  }
  await ek.key.flush();
  return { ...ek, key: (await readPublic(tpm, handle)).key };
}

/**
 * Certificates between the EK's and a root that the vendor left in the TPM, one NV index each or
 * several in a row.
 */
export async function readOnDieCertificates(tpm: Tpm): Promise<Uint8Array[]> {
  const indexes = await handles(tpm, TPM_HT.NV_INDEX);
  const chain = indexes.filter((index) => index >= CHAIN_FIRST && index <= CHAIN_LAST);
  const found: Uint8Array[] = [];
  for (const index of chain) found.push(await readIndex(tpm, index));
  return found;
}

/**
 * Runs `use` with an authorization of the EK: its policy (PolicySecret of the endorsement
 * hierarchy) where it has no authorization value, else its value, which is empty. The authorization
 * holds for one command.
 */
export async function withEk<T>(
  tpm: Tpm,
  ek: LoadedKey,
  use: (authorization: Authorization) => Promise<T>,
  endorsement: Authorization = password(),
): Promise<T> {
  if (ek.public.objectAttributes & TPMA_OBJECT.userWithAuth) return use(password());
  await using session = await startSession(tpm, "policy", null);
  await policySecret(tpm, session, permanent(TPM_RH.ENDORSEMENT), endorsement);
  return await use({ session });
}
