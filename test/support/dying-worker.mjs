/** A worker of the pool that dies of a batch that begins with 0xff, and traps on all others. */
import { parentPort } from "node:worker_threads";

parentPort?.on("message", ({ cases }) => {
  if (cases.bytes[0] === 0xff) process.exit(1);
  const lengths = cases.lengths.map(() => 0);
  parentPort?.postMessage({ results: { bytes: new Uint8Array(0), lengths } });
});
parentPort?.postMessage({ results: null });
