/** The demo's machine: a software TPM, and the boot that was measured into it. */
import { join } from "node:path";
import { reboot, SoftwareTpm } from "../../../swtpm/index.ts";
import { replaceFile } from "../../domain/files.ts";
import { openTpm, pcrExtend, pcrRead, TPM_ALG } from "../../tpm/index.ts";
import { sha256 } from "../../wire/digests.ts";
import { type BootChange, bootEvents, encodeBootLog } from "./boot.ts";

export const BOOT_PCRS = [0, 1, 2, 3, 4, 5, 6, 7];

export class DemoMachine implements AsyncDisposable {
  readonly tpm: SoftwareTpm;
  /** The boot event log, as firmware would leave it. */
  readonly eventLog: string;

  private constructor(tpm: SoftwareTpm, eventLog: string) {
    this.tpm = tpm;
    this.eventLog = eventLog;
  }

  /** Starts it with a TPM of this state, and boots it; the log goes into the folder. */
  static async start(template: string, folder: string): Promise<DemoMachine> {
    const tpm = await SoftwareTpm.start({ template });
    const machine = new DemoMachine(tpm, join(folder, "boot.log"));
    await machine.#boot();
    return machine;
  }

  /** Address of the TPM. */
  get uri(): string {
    return this.tpm.uri;
  }

  /** Measures what the demo's firmware would, and leaves the log of it. */
  async #boot(change: BootChange = {}): Promise<void> {
    await using tpm = await openTpm(this.uri);
    const events = bootEvents(change);
    for (const { pcr, digest } of events) {
      await pcrExtend(tpm, pcr, [{ hash: TPM_ALG.SHA256, digest }]);
    }
    await replaceFile(this.eventLog, encodeBootLog(events));
  }

  /** Starts the machine again; it boots as it always does, or as the change says. */
  async reboot(change: BootChange = {}): Promise<void> {
    {
      await using tpm = await openTpm(this.uri);
      await reboot(this.tpm, tpm, "orderly");
    }
    await this.#boot(change);
  }

  async extend(pcr: number, what: string | Uint8Array): Promise<void> {
    await using tpm = await openTpm(this.uri);
    const digest = sha256(typeof what === "string" ? Buffer.from(what) : what);
    await pcrExtend(tpm, pcr, [{ hash: TPM_ALG.SHA256, digest }]);
  }

  /** What the firmware's PCRs hold now. */
  async readPcrs(): Promise<Map<number, Uint8Array[]>> {
    await using tpm = await openTpm(this.uri);
    const values = await pcrRead(tpm, [{ hash: TPM_ALG.SHA256, pcrs: BOOT_PCRS }]);
    return new Map(values.map(({ pcr, value }) => [pcr, [value]]));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.tpm.stop();
  }
}
