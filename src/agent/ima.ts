/** The kernel's IMA list, as it stands now. */
import { open } from "node:fs/promises";
import { EvidenceError } from "./evidence.ts";

/** Template digests of 20 bytes; securityfs must be mounted. */
export const IMA_LIST = "/sys/kernel/security/ima/binary_runtime_measurements";
/** Half a million entries. A list that is longer is cut, and so proves nothing. */
const LIST_BYTES_MAX = 67_108_864;
const PIECE_BYTES = 262_144;

/**
 * Reads the list; null where there is none. Read it after the quote: it only grows, so that the
 * quoted value lies in it, and what came later is left out by the verifier.
 *
 * @throws EvidenceError `agent.ima` where it is there and cannot be read.
 */
export async function readImaList(path: string = IMA_LIST): Promise<Uint8Array | null> {
  try {
    await using file = await open(path, "r");
    // The kernel's file has no size: it is read to its end.
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    while (bytes < LIST_BYTES_MAX) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(PIECE_BYTES), 0, PIECE_BYTES);
      if (bytesRead === 0) break;
      pieces.push(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
    return new Uint8Array(Buffer.concat(pieces));
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
