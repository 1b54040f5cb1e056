/** Banks of PCRs: one for each hash of the core. */
import type { HashName } from "./signature.ts";

/** PCR values by bank and index. */
export type Pcrs = { readonly [bank in HashName]?: { readonly [index: number]: Uint8Array } };

/** In the order of their numbers in assembly/hash/hash.ts, which start at 1. */
export const BANK_NAMES: readonly HashName[] = ["sha1", "sha256", "sha384", "sha512"];

/** TPM_ALG_ID and bytes of a digest: TCG Algorithm Registry. */
export const BANKS: Readonly<Record<HashName, { readonly id: number; readonly bytes: number }>> = {
  sha1: { id: 0x0004, bytes: 20 },
  sha256: { id: 0x000b, bytes: 32 },
  sha384: { id: 0x000c, bytes: 48 },
  sha512: { id: 0x000d, bytes: 64 },
};

/** PC Client Platform TPM Profile §4.6: PCR 0 to 23. */
export const PCRS = 24;
