/**
 * Keys: creating, loading, reading, freeing (Part 3 §12, §24.1, §28), and proving where a key lives
 * (§12.5, §12.6).
 */

import { type Authorization, password } from "./session.ts";
import { concat, equalBytes, sized, u32 } from "./structures/bytes.ts";
import { TPM_RH } from "./structures/constants.ts";
import { encodePcrSelection } from "./structures/pcr.ts";
import { computeName, encodePublic, parsePublic, type TPMT_PUBLIC } from "./structures/public.ts";
import { type Entity, permanent, type Tpm } from "./tpm.ts";

/** A key in the TPM. Disposing of it frees its slot; a persistent key has none and stays. */
export class LoadedKey implements Entity, AsyncDisposable {
  readonly handle: number;
  readonly name: Uint8Array;
  /** TPMT_PUBLIC as the TPM wrote it. */
  readonly publicArea: Uint8Array;
  readonly public: TPMT_PUBLIC;
  readonly #flush: ((handle: number) => Promise<void>) | null;
  #flushed = false;

  constructor(
    handle: number,
    publicArea: Uint8Array,
    flush: ((handle: number) => Promise<void>) | null,
  ) {
    this.handle = handle;
    this.publicArea = publicArea;
    this.public = parsePublic(publicArea);
    this.name = computeName(publicArea);
    this.#flush = flush;
  }

  async flush(): Promise<void> {
    if (this.#flushed) return;
    this.#flushed = true;
    await this.#flush?.(this.handle);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.flush();
  }
}

/** A key outside the TPM: TPMT_PUBLIC, and the private part that only its parent can decrypt. */
export interface KeyBlob {
  readonly publicArea: Uint8Array;
  /** TPM2B_PRIVATE without its size. */
  readonly privateArea: Uint8Array;
}

/** TPMS_SENSITIVE_CREATE: an authorization value, and no data. */
const sensitive = (value: Uint8Array): Uint8Array => concat(sized(value), sized(new Uint8Array()));

function createParameters(template: TPMT_PUBLIC, value: Uint8Array): Uint8Array {
  return concat(
    sized(sensitive(value)),
    sized(encodePublic(template)),
    sized(new Uint8Array()),
    encodePcrSelection([]),
  );
}

/**
 * TPM2_CreatePrimary: the same template gives the same key for as long as the hierarchy's seed
 * lives.
 */
export async function createPrimary(
  tpm: Tpm,
  hierarchy: number,
  template: TPMT_PUBLIC,
  authorizations: readonly Authorization[] = [password()],
): Promise<LoadedKey> {
  return tpm.execute({
    name: "TPM2_CreatePrimary",
    handles: [permanent(hierarchy)],
    authorizations,
    parameters: createParameters(template, new Uint8Array()),
    givesHandle: true,
    response: (reader, handle) => {
      const publicArea = reader.sized();
      // creationData, creationHash and creationTicket (tag, hierarchy, digest) are for
      // TPM2_CertifyCreation.
      reader.sized();
      reader.sized();
      reader.bytes(6);
      reader.sized();
      reader.sized();
      return new LoadedKey(handle, publicArea, (one) => tpm.flush(one));
    },
  });
}

/**
 * TPM2_Create: a fresh key under `parent`; an authorization value should travel through a decrypt
 * session.
 */
export function create(
  tpm: Tpm,
  parent: Entity,
  template: TPMT_PUBLIC,
  authorizations: readonly Authorization[],
  value: Uint8Array = new Uint8Array(),
): Promise<KeyBlob> {
  return tpm.execute({
    name: "TPM2_Create",
    handles: [parent],
    authorizations,
    parameters: createParameters(template, value),
    response: (reader) => {
      const [privateArea, publicArea] = [reader.sized(), reader.sized()];
      reader.sized();
      reader.sized();
      reader.bytes(6);
      reader.sized();
      return { publicArea, privateArea };
    },
  });
}

/**
 * TPM2_Load.
 * @throws TpmError TPM_RC_INTEGRITY where the blob was made under another parent or changed.
 */
export async function load(
  tpm: Tpm,
  parent: Entity,
  blob: KeyBlob,
  authorizations: readonly Authorization[],
): Promise<LoadedKey> {
  return tpm.execute({
    name: "TPM2_Load",
    handles: [parent],
    authorizations,
    parameters: concat(sized(blob.privateArea), sized(blob.publicArea)),
    givesHandle: true,
    response: (reader, handle) => {
      const key = new LoadedKey(handle, blob.publicArea, (one) => tpm.flush(one));
      if (!equalBytes(reader.sized(68), key.name)) throw reader.fail("another Name than the key's");
      return key;
    },
  });
}

/** TPM2_ReadPublic of a loaded or persistent key, and its qualified name as the TPM tells it. */
export async function readPublic(
  tpm: Tpm,
  handle: number,
): Promise<{ key: LoadedKey; qualifiedName: Uint8Array }> {
  return tpm.execute({
    name: "TPM2_ReadPublic",
    parameters: u32(handle),
    response: (reader) => {
      const [publicArea, name, qualifiedName] = [
        reader.sized(),
        reader.sized(68),
        reader.sized(68),
      ];
      const key = new LoadedKey(handle, publicArea, null);
      if (!equalBytes(name, key.name)) throw reader.fail("another Name than the key's");
      return { key, qualifiedName };
    },
  });
}

/**
 * TPM2_EvictControl: makes a loaded key persistent at `handle`, or removes a persistent one that is
 * given itself.
 */
export function evictControl(
  tpm: Tpm,
  key: Entity,
  handle: number,
  owner: Authorization = password(),
): Promise<void> {
  return tpm.execute({
    name: "TPM2_EvictControl",
    handles: [permanent(TPM_RH.OWNER), key],
    authorizations: [owner],
    parameters: u32(handle),
    response: () => undefined,
  });
}

/** A credential challenge: TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET, both without their size. */
export interface CredentialChallenge {
  readonly credentialBlob: Uint8Array;
  readonly secret: Uint8Array;
}

/** TPM2_MakeCredential: the TPM's own side of the challenge, to check ours against. */
export function makeCredential(
  tpm: Tpm,
  key: Entity,
  credential: Uint8Array,
  objectName: Uint8Array,
): Promise<CredentialChallenge> {
  return tpm.execute({
    name: "TPM2_MakeCredential",
    parameters: concat(u32(key.handle), sized(credential), sized(objectName)),
    response: (reader) => ({ credentialBlob: reader.sized(), secret: reader.sized() }),
  });
}

/**
 * TPM2_ActivateCredential: gives the secret only if `object` lives in the same TPM as `key` and has
 * the challenged Name.
 * @param authorizations For `object` first (its session should encrypt the response), then for
 *   `key`.
 */
export function activateCredential(
  tpm: Tpm,
  object: Entity,
  key: Entity,
  challenge: CredentialChallenge,
  authorizations: readonly Authorization[],
): Promise<Uint8Array> {
  return tpm.execute({
    name: "TPM2_ActivateCredential",
    handles: [object, key],
    authorizations,
    parameters: concat(sized(challenge.credentialBlob), sized(challenge.secret)),
    response: (reader) => reader.sized(64),
  });
}
