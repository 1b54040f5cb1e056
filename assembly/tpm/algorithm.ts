/**
 * TPM_ALG_ID and TPM_ECC_CURVE values that this core knows: TCG Algorithm Registry, Part 2 §6.3 and
 * §6.4.
 */
import { HashId } from "../hash/hash";

export namespace alg {
  export const RSA: u32 = 0x0001;
  export const SHA1: u32 = 0x0004;
  export const SHA256: u32 = 0x000b;
  export const SHA384: u32 = 0x000c;
  export const SHA512: u32 = 0x000d;
  export const NULL: u32 = 0x0010;
  export const RSASSA: u32 = 0x0014;
  export const RSAPSS: u32 = 0x0016;
  export const ECDSA: u32 = 0x0018;
  export const ECC: u32 = 0x0023;
}

export namespace curve {
  export const NIST_P256: u32 = 0x0003;
  export const NIST_P384: u32 = 0x0004;
}

/** The hash of a TPM_ALG_ID, 0 if none that this core has. */
export function hashOf(algorithm: u32): u32 {
  if (algorithm == alg.SHA256) return HashId.SHA256;
  if (algorithm == alg.SHA1) return HashId.SHA1;
  if (algorithm == alg.SHA384) return HashId.SHA384;
  return algorithm == alg.SHA512 ? HashId.SHA512 : 0;
}
