/**
 * The kernel's TPM device, /dev/tpmrm0 (with the kernel's resource manager) or /dev/tpm0 (without),
 * by plain reads.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { MAX_MESSAGE_BYTES } from "./structures/constants.ts";
import { TpmTransportError } from "./structures/errors.ts";
import { reason, type Transport } from "./transport.ts";

function advice(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") return "no such device: enable the TPM in the firmware, or name another";
  if (code === "EACCES") return "permission denied; join the group that owns it (usually tss)";
  if (code === "EBUSY") return "another program holds it; use /dev/tpmrm0";
  return reason(cause);
}

class DeviceTransport implements Transport {
  readonly managed: boolean;
  readonly #file: FileHandle;
  readonly #path: string;
  #running = false;
  #closed = false;

  constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
    this.managed = path.includes("tpmrm");
  }

  async transmit(command: Uint8Array): Promise<Uint8Array> {
    this.#running = true;
    try {
      // The driver takes one command a write and gives one response a read.
      const { bytesWritten } = await this.#file.write(command, 0, command.length, null);
      if (bytesWritten !== command.length) throw new Error(`only ${bytesWritten} bytes written`);
      const response = new Uint8Array(MAX_MESSAGE_BYTES);
      const { bytesRead } = await this.#file.read(response, 0, response.length, null);
      return response.slice(0, bytesRead);
    } catch (cause) {
      throw new TpmTransportError(`${this.#path}: ${reason(cause)}.`, { cause });
    } finally {
      this.#running = false;
    }
  }

  /**
   * A file is closed behind the call that waits for it, which only the driver ends: it gives a TPM
   * up after some minutes. Until then nobody else has to wait, but the process does not exit.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const closed = this.#file.close();
    if (this.#running) closed.catch(() => undefined);
    else await closed;
  }
}

/** Opens a TPM character device. @throws TpmTransportError with what to do about it. */
export async function openDevice(path: string): Promise<Transport> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDWR | constants.O_NOCTTY);
  } catch (cause) {
    throw new TpmTransportError(`Cannot open ${path}: ${advice(cause)}.`, { cause });
  }
  // Commands would be written over the beginning of a file.
  if ((await file.stat()).isCharacterDevice()) return new DeviceTransport(file, path);
  await file.close();
  throw new TpmTransportError(`Cannot open ${path}: it is no device.`);
}
