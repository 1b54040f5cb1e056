/** The boot event log, as the kernel shows it. */
import { type FileHandle, open } from "node:fs/promises";
import { LIMITS } from "../limits.ts";
import { EvidenceError } from "./evidence.ts";

/** Where Linux shows the log of the first TPM (securityfs, readable by root alone). */
export const EVENT_LOG_PATH = "/sys/kernel/security/tpm0/binary_bios_measurements";

/** Such files have no size before they are read to their end. */
const CHUNK_BYTES = 65_536;

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
  let handle: FileHandle | null = null;
  try {
    handle = await open(path);
    return await readAll(handle, path);
  } catch (cause) {
    if (cause instanceof EvidenceError) throw cause;
    const { code = "" } = cause as NodeJS.ErrnoException;
    throw unreadable(path, REASONS[code] ?? (cause as Error).message, cause);
  } finally {
    await handle?.close();
  }
}

async function readAll(handle: FileHandle, path: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES);
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    total += bytesRead;
    if (total > LIMITS.eventLogBytes) {
      throw unreadable(path, `it has more than ${LIMITS.eventLogBytes} bytes: no boot event log`);
    }
  }
  if (total === 0) throw unreadable(path, "it is empty: the firmware handed no log over");
  return new Uint8Array(Buffer.concat(chunks));
}

function unreadable(path: string, why: string, cause?: unknown): EvidenceError {
  return new EvidenceError("agent.event-log", `The boot event log ${path}: ${why}.`, { cause });
}
