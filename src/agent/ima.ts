/** The kernel's IMA list, as it stands now. */
import { EvidenceError } from "./evidence.ts";
import { readToEnd } from "./kernel-file.ts";

/** Template digests of 20 bytes; securityfs must be mounted. */
const IMA_LIST = "/sys/kernel/security/ima/binary_runtime_measurements";
/** Half a million entries. A list that is longer is cut, and so proves nothing. */
const LIST_BYTES_MAX = 67_108_864;

/**
 * Reads the list; null where there is none. Read it after the quote: it only grows, so that the
 * quoted value lies in it, and what came later is left out by the verifier.
 *
 * @throws EvidenceError `agent.ima` where it is there and cannot be read.
 */
export async function readImaList(path: string = IMA_LIST): Promise<Uint8Array | null> {
  try {
    return await readToEnd(path, LIST_BYTES_MAX);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return null;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EvidenceError(
      "agent.ima",
      `The IMA list could not be read: ${why}. Give this user access, or name a copy with \`ima\` in config.yaml.`,
      { cause },
    );
  }
}
