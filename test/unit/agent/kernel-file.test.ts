import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readEventLog, readImaList } from "../../../src/agent/index.ts";
import { readToEnd } from "../../../src/agent/kernel-file.ts";

let folder: string;
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kernel file "));
});
afterAll(() => rm(folder, { recursive: true }));

test("a file is read to its end, or a little beyond the bound", async () => {
  const bytes = new Uint8Array(300_000).fill(7);
  await writeFile(at("file"), bytes);
  expect(await readToEnd(at("file"), 300_000)).toEqual(bytes);
  expect((await readToEnd(at("file"), 1_000)).length).toBe(262_144);
  expect((await readToEnd("/dev/zero", 1_000)).length).toBe(262_144);
});

describe("a pipe in the place of a log holds nobody up", () => {
  test("that nobody writes to", async () => {
    execFileSync("mkfifo", [at("idle")]);
    await expect(readEventLog(at("idle"))).rejects.toMatchObject({ code: "agent.event-log" });
    expect(await readImaList(at("idle"))).toEqual(new Uint8Array(0));
  });

  test("that somebody holds open and says nothing", async () => {
    execFileSync("mkfifo", [at("held")]);
    const writer = openSync(at("held"), constants.O_RDWR);
    await expect(readEventLog(at("held"))).rejects.toMatchObject({ code: "agent.event-log" });
    await expect(readImaList(at("held"))).rejects.toMatchObject({ code: "agent.ima" });
    closeSync(writer);
  });
});
