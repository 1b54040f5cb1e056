/** Starting, stopping and testing (Part 3 §9, §10), randomness (§16), clearing (§24.6). */

import { type Authorization, password } from "./session.ts";
import { concat, u8, u16 } from "./structures/bytes.ts";
import { TPM_RH, TPM_SU } from "./structures/constants.ts";
import { TpmError } from "./structures/errors.ts";
import { permanent, type Tpm } from "./tpm.ts";

const TPM_RC_INITIALIZE = 0x100;
const nothing = (): void => undefined;

/** TPM2_Startup; a TPM that is already started (TPM_RC_INITIALIZE) is left as it is. */
export async function startup(tpm: Tpm, type: keyof typeof TPM_SU = "CLEAR"): Promise<void> {
  try {
    await tpm.execute({ name: "TPM2_Startup", parameters: u16(TPM_SU[type]), response: nothing });
  } catch (cause) {
    if (cause instanceof TpmError && cause.rc === TPM_RC_INITIALIZE) return;
    throw cause;
  }
}

/** TPM2_Shutdown: without it the next start reports an unsafe clock. */
export function shutdown(tpm: Tpm, type: keyof typeof TPM_SU = "CLEAR"): Promise<void> {
  return tpm.execute({ name: "TPM2_Shutdown", parameters: u16(TPM_SU[type]), response: nothing });
}

/** TPM2_SelfTest; `full` also tests what was tested before. */
export function selfTest(tpm: Tpm, full = false): Promise<void> {
  return tpm.execute({ name: "TPM2_SelfTest", parameters: u8(full ? 1 : 0), response: nothing });
}

const RANDOM_BYTES_MAX = 32;

/** TPM2_GetRandom, as often as it takes: a TPM gives at most one digest at a time. */
export async function getRandom(
  tpm: Tpm,
  bytes: number,
  extra: readonly Authorization[] = [],
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let left = bytes; left > 0; ) {
    const part = await tpm.execute({
      name: "TPM2_GetRandom",
      authorizations: extra,
      parameters: u16(Math.min(left, RANDOM_BYTES_MAX)),
      response: (reader) => {
        const random = reader.sized(Math.min(left, RANDOM_BYTES_MAX));
        if (random.length === 0) throw reader.fail("no random bytes");
        return random;
      },
    });
    parts.push(part);
    left -= part.length;
  }
  return concat(...parts);
}

/**
 * TPM2_Clear by the lockout authorization: all keys, the owner's NV indexes and all counters are
 * lost.
 */
export function clear(tpm: Tpm, lockout: Authorization = password()): Promise<void> {
  const handles = [permanent(TPM_RH.LOCKOUT)];
  return tpm.execute({ name: "TPM2_Clear", handles, authorizations: [lockout], response: nothing });
}
