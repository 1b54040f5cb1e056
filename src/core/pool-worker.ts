/** One thread of pool.ts: its own core, which decides batches and hands back raw results. */
import { parentPort } from "node:worker_threads";
import { CoreError } from "./errors.ts";
import { place } from "./instance.ts";
import { Core, packagedModule } from "./load.ts";
import { type BatchMessage, pack, type ResultMessage, unpack } from "./packing.ts";
import { takeResult } from "./verdict.ts";

/** A core whose results leave this thread as bytes: verdicts are made where they are used. */
class RawCore extends Core {
  decideAll(cases: readonly Uint8Array[]): Uint8Array<ArrayBuffer>[] {
    return this.grouped(cases, (caseBytes) => this.#decideRaw(caseBytes));
  }

  #decideRaw(caseBytes: Uint8Array): Uint8Array<ArrayBuffer> {
    try {
      return this.run((core) => {
        place(core, [caseBytes]);
        core.decide(caseBytes.length, 0);
        return takeResult(core);
      });
    } catch (error) {
      if (error instanceof CoreError && error.code === "trap") return new Uint8Array(0);
      throw error;
    }
  }
}

const port = parentPort;
if (port === null) throw new Error("This module runs in a worker.");
const core = new RawCore(await packagedModule(), null);
port.on("message", ({ cases }: BatchMessage) => {
  const results = pack(core.decideAll(unpack(cases)));
  const message: ResultMessage = { results };
  port.postMessage(message, [results.bytes.buffer]);
});
const ready: ResultMessage = { results: null };
port.postMessage(ready);
