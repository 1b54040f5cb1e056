/**
 * Bounds of what the gate reads to run a job; those of the job itself stand in src/limits.ts.
 * Bytes.
 */
export const EXEC_BOUNDS = {
  imageBytes: 1_073_741_824,
  stdinBytes: 268_435_456,
  inputBytes: 4_294_967_296,
} as const;

/**
 * Longest wait for a quote: what is left of the nonce's 10 seconds must suffice to claim and start.
 * Whoever asks the TPM for a gate waits no longer for any answer either: it would come too late.
 */
export const EVIDENCE_SECONDS_MAX = 8;
