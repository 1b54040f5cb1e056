/** Files whose size shows only at their end, as those of securityfs. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";

const PIECE_BYTES = 262_144;

/**
 * Reads to the end, or until there is more than `bytesMax`. A pipe in the place of a log holds
 * nobody up: it is empty, or cannot be read.
 */
export async function readToEnd(path: string, bytesMax: number): Promise<Uint8Array> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const pieces: Uint8Array[] = [];
  for (let total = 0; total <= bytesMax; ) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(PIECE_BYTES), 0, PIECE_BYTES);
    if (bytesRead === 0) break;
    pieces.push(buffer.subarray(0, bytesRead));
    total += bytesRead;
  }
  return new Uint8Array(Buffer.concat(pieces));
}
