/**
 * The keys that identify a machine: endorsement keys by the templates of the TCG EK Credential
 * Profile 2.5 (Annex B.3 and B.4), and our attestation key.
 */
import { equalBytes } from "./bytes.ts";
import { TPM_ALG, TPM_ECC, TPMA_OBJECT } from "./constants.ts";
import { encodePublic, type RsaPublic, type Symmetric, type TPMT_PUBLIC } from "./public.ts";

const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

/** PolicyA: TPM2_PolicySecret(TPM_RH_ENDORSEMENT); the only way to use a key of the low range. */
const POLICY_A = fromHex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa");
/**
 * PolicyB: PolicyOR(PolicyA, PolicyC); keys of the high range also obey their (empty) authorization
 * value.
 */
const POLICY_B = fromHex("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0");
const POLICY_B_SHA384 = fromHex(
  "b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4" +
    "cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12",
);

const A = TPMA_OBJECT;
const EK_LOW =
  A.fixedTPM | A.fixedParent | A.sensitiveDataOrigin | A.adminWithPolicy | A.restricted | A.decrypt;
const EK_HIGH = EK_LOW | A.userWithAuth;
const aes = (keyBits: number): Symmetric => ({
  algorithm: TPM_ALG.AES,
  keyBits,
  mode: TPM_ALG.CFB,
});
const EMPTY = new Uint8Array();

const rsa = (objectAttributes: number, authPolicy: Uint8Array, n: Uint8Array): RsaPublic => ({
  type: TPM_ALG.RSA,
  nameAlg: TPM_ALG.SHA256,
  objectAttributes,
  authPolicy,
  symmetric: aes(128),
  scheme: null,
  keyBits: 2048,
  exponent: 0,
  n,
});

const p256 = (
  objectAttributes: number,
  authPolicy: Uint8Array,
  coordinate: Uint8Array,
): TPMT_PUBLIC => ({
  type: TPM_ALG.ECC,
  nameAlg: TPM_ALG.SHA256,
  objectAttributes,
  authPolicy,
  symmetric: aes(128),
  scheme: null,
  curveID: TPM_ECC.NIST_P256,
  kdf: null,
  x: coordinate,
  y: coordinate,
});

/**
 * A storage primary: a parent of our own, or a key to salt sessions with where the EK may not be
 * used. ECC P-256, as in the TCG's Provisioning Guidance 1.0 §7.5.1.
 */
export const STORAGE_TEMPLATE: TPMT_PUBLIC = p256(
  A.fixedTPM |
    A.fixedParent |
    A.sensitiveDataOrigin |
    A.userWithAuth |
    A.noDA |
    A.restricted |
    A.decrypt,
  EMPTY,
  new Uint8Array(32),
);

/** One way in which vendors make EKs. */
export interface EkTemplate {
  /** As the profile names it. */
  readonly id: "L-1" | "L-2" | "H-1" | "H-2" | "H-3" | "H-6";
  /** NV index of the certificate. */
  readonly certificateIndex: number;
  /** NV index of the vendor's own template, if it deviates (TPMT_PUBLIC). */
  readonly templateIndex: number;
  /** NV index of the vendor's nonce, which the unique field then begins with; low range only. */
  readonly nonceIndex: number | null;
  /** Where the EK often lies persistently (TCG Registry of Reserved TPM 2.0 Handles). */
  readonly persistentHandle: number;
  readonly template: TPMT_PUBLIC;
}

/** In the order in which they are looked for. */
export const EK_TEMPLATES: readonly EkTemplate[] = [
  {
    id: "L-1",
    certificateIndex: 0x01c00002,
    templateIndex: 0x01c00004,
    nonceIndex: 0x01c00003,
    persistentHandle: 0x81010001,
    template: rsa(EK_LOW, POLICY_A, new Uint8Array(256)),
  },
  {
    id: "L-2",
    certificateIndex: 0x01c0000a,
    templateIndex: 0x01c0000c,
    nonceIndex: 0x01c0000b,
    persistentHandle: 0x81010002,
    template: p256(EK_LOW, POLICY_A, new Uint8Array(32)),
  },
  {
    id: "H-1",
    certificateIndex: 0x01c00012,
    templateIndex: 0x01c00013,
    nonceIndex: null,
    persistentHandle: 0x81010012,
    template: rsa(EK_HIGH, POLICY_B, EMPTY),
  },
  {
    id: "H-2",
    certificateIndex: 0x01c00014,
    templateIndex: 0x01c00015,
    nonceIndex: null,
    persistentHandle: 0x81010014,
    template: p256(EK_HIGH, POLICY_B, EMPTY),
  },
  {
    id: "H-3",
    certificateIndex: 0x01c00016,
    templateIndex: 0x01c00017,
    nonceIndex: null,
    persistentHandle: 0x81010016,
    template: {
      type: TPM_ALG.ECC,
      nameAlg: TPM_ALG.SHA384,
      objectAttributes: EK_HIGH,
      authPolicy: POLICY_B_SHA384,
      symmetric: aes(256),
      scheme: null,
      curveID: TPM_ECC.NIST_P384,
      kdf: null,
      x: EMPTY,
      y: EMPTY,
    },
  },
  {
    id: "H-6",
    certificateIndex: 0x01c0001c,
    templateIndex: 0x01c0001d,
    nonceIndex: null,
    persistentHandle: 0x8101001c,
    template: {
      ...rsa(EK_HIGH, POLICY_B_SHA384, EMPTY),
      nameAlg: TPM_ALG.SHA384,
      symmetric: aes(256),
      keyBits: 3072,
    },
  },
];

function withoutUnique(key: TPMT_PUBLIC): Uint8Array {
  const empty = key.type === TPM_ALG.RSA ? { ...key, n: EMPTY } : { ...key, x: EMPTY, y: EMPTY };
  return encodePublic(empty);
}

/** Whether `template` can have made `key`: every field but the key itself is equal. */
export function isMadeBy(key: TPMT_PUBLIC, template: TPMT_PUBLIC): boolean {
  return equalBytes(withoutUnique(key), withoutUnique(template));
}

/** The template of the profile that `key` was made by; null if none. */
export function ekTemplateOf(key: TPMT_PUBLIC): EkTemplate | null {
  return EK_TEMPLATES.find(({ template }) => isMadeBy(key, template)) ?? null;
}

/**
 * A template whose unique field begins with the vendor's nonce and is zero behind it (§2.2.1.4).
 * @throws RangeError where the nonce is longer than the field.
 */
export function withNonce(template: TPMT_PUBLIC, nonce: Uint8Array): TPMT_PUBLIC {
  const unique = new Uint8Array(template.type === TPM_ALG.RSA ? template.keyBits / 8 : 32);
  unique.set(nonce);
  return template.type === TPM_ALG.RSA ? { ...template, n: unique } : { ...template, x: unique };
}

const EK_SET = A.fixedTPM | A.fixedParent | A.sensitiveDataOrigin | A.restricted | A.decrypt;
const EK_FREE = A.adminWithPolicy | A.userWithAuth | A.noDA;
const SHA_2: readonly (number | null | undefined)[] = [
  TPM_ALG.SHA256,
  TPM_ALG.SHA384,
  TPM_ALG.SHA512,
];

/**
 * Why `key` is no endorsement key, or null if it is one: a storage key that is restricted to
 * decryption (an unrestricted one decrypts any credential for anybody), fixed to its TPM and made
 * in it. Vendors' own templates differ in policy and authorization, never in this.
 */
export function ekProblem(key: TPMT_PUBLIC): string | null {
  if ((key.objectAttributes & EK_SET) !== EK_SET) {
    return "it is not restricted, decrypt, fixedTPM, fixedParent and sensitiveDataOrigin at once";
  }
  if ((key.objectAttributes & ~(EK_SET | EK_FREE)) !== 0) {
    return "it has attributes that an endorsement key must not have";
  }
  if (!SHA_2.includes(key.nameAlg)) return "its Name is not made with SHA-2";
  if (key.scheme !== null) return "it has a scheme of its own, as no storage key has";
  const { symmetric } = key;
  if (symmetric?.algorithm !== TPM_ALG.AES || symmetric.mode !== TPM_ALG.CFB) {
    return "it does not encrypt with AES in CFB mode";
  }
  if (key.type !== TPM_ALG.RSA) return null;
  if (key.keyBits < 2048 || key.keyBits > 4096) return `its RSA key has ${key.keyBits} bits`;
  return key.n.length * 8 === key.keyBits ? null : "its modulus has not the stated size";
}

/**
 * Our attestation key: it signs only what the TPM itself made (restricted), never leaves this TPM,
 * and its use neither needs a value nor counts towards the lockout: whoever reaches the TPM may
 * quote.
 */
const AK_ATTRIBUTES =
  A.fixedTPM |
  A.fixedParent |
  A.sensitiveDataOrigin |
  A.userWithAuth |
  A.noDA |
  A.restricted |
  A.sign;

/**
 * The template of a fresh attestation key: ECDSA P-256 with SHA-256, or RSASSA-2048 for TPMs
 * without ECC.
 */
export function akTemplate(kind: "ecc" | "rsa"): TPMT_PUBLIC {
  const common = {
    nameAlg: TPM_ALG.SHA256,
    objectAttributes: AK_ATTRIBUTES,
    authPolicy: EMPTY,
    symmetric: null,
  };
  if (kind === "rsa") {
    const scheme = { scheme: TPM_ALG.RSASSA, hash: TPM_ALG.SHA256 };
    return { type: TPM_ALG.RSA, ...common, scheme, keyBits: 2048, exponent: 0, n: EMPTY };
  }
  const scheme = { scheme: TPM_ALG.ECDSA, hash: TPM_ALG.SHA256 };
  const curve = { curveID: TPM_ECC.NIST_P256, kdf: null };
  return { type: TPM_ALG.ECC, ...common, scheme, ...curve, x: EMPTY, y: EMPTY };
}

const AK_SET = A.restricted | A.sign | A.fixedTPM | A.fixedParent | A.sensitiveDataOrigin;
const AK_FREE = A.userWithAuth | A.adminWithPolicy | A.noDA | A.stClear;

/**
 * Why `key` is no attestation key, or null if it is one: restricted, sign, fixedTPM, fixedParent
 * and sensitiveDataOrigin set; decrypt, encryptedDuplication, x509sign and every reserved bit
 * clear; a signing scheme and hash of its own that the core verifies; no symmetric algorithm, as
 * signing keys have none.
 */
export function akProblem(key: TPMT_PUBLIC): string | null {
  if ((key.objectAttributes & AK_SET) !== AK_SET) {
    return "it is not restricted, sign, fixedTPM, fixedParent and sensitiveDataOrigin at once";
  }
  if ((key.objectAttributes & ~(AK_SET | AK_FREE)) !== 0) {
    return "it has attributes that an attestation key must not have";
  }
  if (key.symmetric !== null) return "it has a symmetric algorithm";
  if (key.nameAlg === TPM_ALG.SHA1) return "its Name is made with SHA-1";
  const { scheme } = key;
  if (!SHA_2.includes(scheme?.hash)) return "its scheme names no hash of the SHA-2 family";
  if (key.type === TPM_ALG.RSA) {
    if (scheme?.scheme !== TPM_ALG.RSASSA && scheme?.scheme !== TPM_ALG.RSAPSS) {
      return "its scheme is neither RSASSA nor RSAPSS";
    }
    if (key.keyBits < 2048 || key.keyBits > 4096) return `its RSA key has ${key.keyBits} bits`;
    return key.n.length * 8 === key.keyBits ? null : "its modulus has not the stated size";
  }
  if (scheme?.scheme !== TPM_ALG.ECDSA) return "its scheme is not ECDSA";
  const curves: readonly number[] = [TPM_ECC.NIST_P256, TPM_ECC.NIST_P384];
  return curves.includes(key.curveID) ? null : "its curve is neither P-256 nor P-384";
}
