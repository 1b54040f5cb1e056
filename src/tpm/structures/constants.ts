/**
 * Numbers of the TPM 2.0 Library, Part 2 (revision 1.59), under its own names: only those that this
 * project uses.
 */

/** Part 2 §6.5.2. */
export const TPM_CC = {
  TPM2_EvictControl: 0x120,
  TPM2_NV_UndefineSpace: 0x122,
  TPM2_Clear: 0x126,
  TPM2_NV_DefineSpace: 0x12a,
  TPM2_CreatePrimary: 0x131,
  TPM2_NV_Increment: 0x134,
  TPM2_PCR_Reset: 0x13d,
  TPM2_SelfTest: 0x143,
  TPM2_Startup: 0x144,
  TPM2_Shutdown: 0x145,
  TPM2_ActivateCredential: 0x147,
  TPM2_GetTime: 0x14c,
  TPM2_NV_Read: 0x14e,
  TPM2_PolicySecret: 0x151,
  TPM2_Create: 0x153,
  TPM2_Load: 0x157,
  TPM2_Quote: 0x158,
  TPM2_FlushContext: 0x165,
  TPM2_MakeCredential: 0x168,
  TPM2_NV_ReadPublic: 0x169,
  TPM2_ReadPublic: 0x173,
  TPM2_StartAuthSession: 0x176,
  TPM2_GetCapability: 0x17a,
  TPM2_GetRandom: 0x17b,
  TPM2_PCR_Read: 0x17e,
  TPM2_ReadClock: 0x181,
  TPM2_PCR_Extend: 0x182,
  TPM2_NV_Certify: 0x184,
} as const;
export type CommandName = keyof typeof TPM_CC;

/** Part 2 §6.9. */
export const TPM_ST = {
  NO_SESSIONS: 0x8001,
  SESSIONS: 0x8002,
  ATTEST_NV: 0x8014,
  ATTEST_CERTIFY: 0x8017,
  ATTEST_QUOTE: 0x8018,
  ATTEST_TIME: 0x8019,
} as const;

/** Part 2 §6.3. */
export const TPM_ALG = {
  RSA: 0x0001,
  SHA1: 0x0004,
  HMAC: 0x0005,
  AES: 0x0006,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  NULL: 0x0010,
  SM3_256: 0x0012,
  RSASSA: 0x0014,
  RSAES: 0x0015,
  RSAPSS: 0x0016,
  OAEP: 0x0017,
  ECDSA: 0x0018,
  ECDAA: 0x001a,
  ECC: 0x0023,
  SHA3_256: 0x0027,
  SHA3_384: 0x0028,
  SHA3_512: 0x0029,
  CFB: 0x0043,
} as const;

/** Part 2 §6.4. */
export const TPM_ECC = { NIST_P256: 0x0003, NIST_P384: 0x0004, NIST_P521: 0x0005 } as const;

/** Part 2 §7.4. */
export const TPM_RH = {
  OWNER: 0x40000001,
  NULL: 0x40000007,
  RS_PW: 0x40000009,
  LOCKOUT: 0x4000000a,
  ENDORSEMENT: 0x4000000b,
} as const;

/** The most significant byte of a handle, Part 2 §7.2. */
export const TPM_HT = {
  PCR: 0x00,
  NV_INDEX: 0x01,
  LOADED_SESSION: 0x02,
  SAVED_SESSION: 0x03,
  TRANSIENT: 0x80,
  PERSISTENT: 0x81,
} as const;

/** Part 2 §6.11. */
export const TPM_SE = { HMAC: 0x00, POLICY: 0x01 } as const;

/** Part 2 §6.10. */
export const TPM_SU = { CLEAR: 0x0000, STATE: 0x0001 } as const;

/** Part 2 §6.12. */
export const TPM_CAP = {
  ALGS: 0,
  HANDLES: 1,
  COMMANDS: 2,
  PCRS: 5,
  TPM_PROPERTIES: 6,
  ECC_CURVES: 8,
} as const;

/** Part 2 §6.13. */
export const TPM_PT = {
  FAMILY_INDICATOR: 0x100,
  FIRMWARE_VERSION_1: 0x10b,
  FIRMWARE_VERSION_2: 0x10c,
  NV_BUFFER_MAX: 0x12c,
} as const;

/** Part 2 §8.3. */
export const TPMA_OBJECT = {
  fixedTPM: 1 << 1,
  stClear: 1 << 2,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  noDA: 1 << 10,
  encryptedDuplication: 1 << 11,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
  x509sign: 1 << 19,
} as const;

/** Part 2 §8.4. */
export const TPMA_SESSION = { continueSession: 0x01, decrypt: 0x20, encrypt: 0x40 } as const;

/** Part 2 §13.4; TPM_NT_COUNTER is 1 in bits 4 to 7. */
export const TPMA_NV = {
  AUTHWRITE: 1 << 2,
  NT_COUNTER: 1 << 4,
  OWNERREAD: 1 << 17,
  AUTHREAD: 1 << 18,
  NO_DA: 1 << 25,
} as const;

/** The largest command or response we send or take; PC Client TPMs use 4,096 bytes. */
export const MAX_MESSAGE_BYTES = 4_096;

/** A hash of the TPM with its name in node:crypto and its width. */
export interface HashInfo {
  readonly id: number;
  readonly name: "sha1" | "sha256" | "sha384" | "sha512";
  readonly bytes: number;
}

const HASHES: readonly HashInfo[] = [
  { id: TPM_ALG.SHA1, name: "sha1", bytes: 20 },
  { id: TPM_ALG.SHA256, name: "sha256", bytes: 32 },
  { id: TPM_ALG.SHA384, name: "sha384", bytes: 48 },
  { id: TPM_ALG.SHA512, name: "sha512", bytes: 64 },
];

/** The hash with this TPM_ALG_ID, or null where this project does not know it. */
export function hashById(id: number): HashInfo | null {
  return HASHES.find((hash) => hash.id === id) ?? null;
}

/** Digest widths of every bank that a TPM may list; null where unknown. */
export function digestBytes(id: number): number | null {
  const known = hashById(id)?.bytes;
  if (known !== undefined) return known;
  if (id === TPM_ALG.SM3_256 || id === TPM_ALG.SHA3_256) return 32;
  if (id === TPM_ALG.SHA3_384) return 48;
  if (id === TPM_ALG.SHA3_512) return 64;
  return null;
}
