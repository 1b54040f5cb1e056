/**
 * TPM 2.0: openTpm(uri), the commands of Part 3, and the structures of Part 2 (structures/ is
 * pure).
 */
export * from "./attestation.ts";
export * from "./authorization.ts";
export * from "./capability.ts";
export * from "./integrity.ts";
export * from "./nv.ts";
export * from "./object.ts";
export { openTpm } from "./open.ts";
export { type Authorization, password, type Session } from "./session.ts";
export * from "./startup.ts";
export * from "./structures/attest.ts";
export { TPM_ALG, TPM_HT, TPM_PT, TPM_RH } from "./structures/constants.ts";
export { TpmError, TpmFormatError, TpmTransportError } from "./structures/errors.ts";
export * from "./structures/pcr.ts";
export { type Command, type Entity, permanent, Tpm, type TpmOptions } from "./tpm.ts";
export type { Transport } from "./transport.ts";
export { parseTpmUri, type TpmAddress } from "./uri.ts";
