/**
 * What `portcullis run` exits with. 0 to 255 is the job's own where it was admitted and ran; a
 * caller who must tell its 77 from the gate's reads the receipt on --status-fd.
 */
export const EXIT = {
  /** Wrong usage: unknown flags, missing files. Nothing was decided. */
  usage: 64,
  /** Denied because something inside failed. */
  internal: 70,
  /** Denied because state is stale or a server is away: a retry may help. */
  retry: 75,
  /** Denied. */
  denied: 77,
  /** Admitted, but the kernel refused to execute it, or the working directory is out of reach. */
  notExecutable: 126,
  /** Admitted, but its program loader was not found. */
  notFound: 127,
  /** Admitted, and ended by signal n: 128 + n. */
  signal: 128,
} as const;
