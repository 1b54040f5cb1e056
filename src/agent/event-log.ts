/** The boot event log, as the kernel shows it. */
import { LIMITS } from "../limits.ts";
import { EvidenceError } from "./evidence.ts";
import { readToEnd } from "./kernel-file.ts";

/** Where Linux shows the log of the first TPM (securityfs, readable by root alone). */
const EVENT_LOG_PATH = "/sys/kernel/security/tpm0/binary_bios_measurements";

const REASONS: { readonly [errno: string]: string } = {
  ENOENT:
    "it does not exist: mount securityfs, or the firmware handed no log over; " +
    "`event-log:` in config.yaml names another place",
  EACCES: "this user may not read it: it belongs to root; copy it at boot to where the gate reads",
  EPERM: "this user may not read it: it belongs to root; copy it at boot to where the gate reads",
  EISDIR: "it is a folder",
};

/**
 * Reads the log. The core judges it, so that any bytes are fine here.
 *
 * @throws EvidenceError `agent.event-log` that says what is missing, and what to do.
 */
export async function readEventLog(path: string = EVENT_LOG_PATH): Promise<Uint8Array> {
  let log: Uint8Array;
  try {
    log = await readToEnd(path, LIMITS.eventLogBytes);
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    throw unreadable(path, REASONS[code] ?? (cause as Error).message, cause);
  }
  if (log.length > LIMITS.eventLogBytes) {
    throw unreadable(path, `it has more than ${LIMITS.eventLogBytes} bytes: no boot event log`);
  }
  if (log.length === 0) throw unreadable(path, "it is empty: the firmware handed no log over");
  return log;
}

function unreadable(path: string, why: string, cause?: unknown): EvidenceError {
  return new EvidenceError("agent.event-log", `The boot event log ${path}: ${why}.`, { cause });
}
