import { execFileSync } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openDevice } from "../../../src/tpm/device.ts";

test("close does not wait for a device that never answers", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tpm device "));
  const path = join(folder, "silent");
  execFileSync("mkfifo", [path]);
  const device = await openDevice(path);
  // Nothing is written, so that there is nothing to read: the call waits.
  const call = device.transmit(new Uint8Array(0));
  await new Promise((done) => setTimeout(done, 50));
  await device.close();
  await device.close();
  const end = await open(path, "r+");
  await end.write("late");
  expect(Buffer.from(await call).toString()).toBe("late");
  await end.close();
  await rm(folder, { recursive: true });
});
