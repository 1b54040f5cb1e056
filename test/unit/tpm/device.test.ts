import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDevice } from "../../../src/tpm/device.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tpm device "));
});
afterAll(() => rm(folder, { recursive: true }));

test("what is no device is left as it is", async () => {
  const [file, pipe] = [join(folder, "file"), join(folder, "pipe")];
  await writeFile(file, "of somebody");
  execFileSync("mkfifo", [pipe]);
  for (const path of [file, pipe]) {
    await expect(openDevice(path)).rejects.toThrow(`Cannot open ${path}: it is no device.`);
  }
  expect(await readFile(file, "utf8")).toBe("of somebody");
});

test("close does not wait for a device that never answers", async () => {
  // A terminal that nobody types on; only its own process's end ends the read.
  const module = fileURLToPath(new URL("../../../src/tpm/device.ts", import.meta.url));
  const script = `import { openDevice } from ${JSON.stringify(module)};
    const device = await openDevice("/dev/ptmx");
    void device.transmit(new Uint8Array(0));
    setTimeout(() => device.close().then(() => console.log("closed")), 100);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
  const [text] = await new Promise<unknown[]>((done) => {
    child.stdout.once("data", (...said) => done(said));
    setTimeout(() => done(["nothing"]), 5_000);
  });
  child.kill("SIGKILL");
  expect(String(text)).toBe("closed\n");
});
