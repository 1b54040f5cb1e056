/**
 * Bounds of what the gate reads to run a job; those of the job itself stand in src/limits.ts.
 * Bytes.
 */
export const EXEC_BOUNDS = {
  imageBytes: 1_073_741_824,
  stdinBytes: 268_435_456,
  inputBytes: 4_294_967_296,
} as const;
