/** From a TPM's address to a TPM that answers. */
import { handles } from "./capability.ts";
import { startup } from "./startup.ts";
import { TPM_HT } from "./structures/constants.ts";
import { Tpm, type TpmOptions } from "./tpm.ts";
import { openTransport, parseTpmUri } from "./uri.ts";

const LEFTOVERS = [TPM_HT.TRANSIENT, TPM_HT.LOADED_SESSION, TPM_HT.SAVED_SESSION];

/**
 * Frees what an earlier user left in the TPM's few slots. Only where no resource manager does so:
 * there the handles listed could be another program's.
 */
async function flushLeftovers(tpm: Tpm): Promise<void> {
  for (const type of LEFTOVERS) {
    for (const handle of await handles(tpm, type)) await tpm.flush(handle);
  }
}

/**
 * Opens a TPM by its address (see parseTpmUri), starts it where that is ours to do, and frees
 * leftovers.
 * @throws TpmTransportError where it cannot be reached, TpmError where it refuses.
 */
export async function openTpm(uri: string, options: TpmOptions = {}): Promise<Tpm> {
  const tpm = new Tpm(await openTransport(parseTpmUri(uri)), options);
  try {
    if (!tpm.managed) {
      await startup(tpm);
      await flushLeftovers(tpm);
    }
    return tpm;
  } catch (cause) {
    await tpm.close();
    throw cause;
  }
}
