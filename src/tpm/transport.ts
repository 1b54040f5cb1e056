/** How bytes reach a TPM. */
import { MAX_MESSAGE_BYTES } from "./structures/constants.ts";
import { TpmTransportError } from "./structures/errors.ts";

/** One connection to one TPM. */
export interface Transport {
  /**
   * Sends one whole command and returns the one whole response to it, unparsed. Called once at a
   * time.
   * @throws TpmTransportError; after that the connection is of no more use.
   */
  transmit(command: Uint8Array): Promise<Uint8Array>;
  /** Ends the connection, also under a call that is waiting. Idempotent. */
  close(): Promise<void>;
  /**
   * A resource manager stands between: it isolates us from other users and flushes what we leave.
   */
  readonly managed: boolean;
}

/** tag, size, code (Part 1 §18.2). */
export const HEADER_BYTES = 10;

/**
 * The size that a response's header states.
 * @throws TpmTransportError unless 10 <= size <= 4,096.
 */
export function statedBytes(header: Uint8Array): number {
  const size = new DataView(header.buffer, header.byteOffset, header.byteLength).getUint32(2);
  if (size < HEADER_BYTES || size > MAX_MESSAGE_BYTES) {
    throw new TpmTransportError(
      `The TPM's response claims ${size} bytes; 10 to 4096 are possible.`,
    );
  }
  return size;
}

/** What an exception says, for messages. */
export function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
