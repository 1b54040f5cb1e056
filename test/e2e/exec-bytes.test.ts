import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { boottimeMs } from "../../src/clock.ts";
import { type JobRequest, prepareJob } from "../../src/gate/job.ts";
import { launch } from "../../src/gate/launch.ts";

const dir = mkdtempSync(join(tmpdir(), "portcullis-bytes-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** Runs a job and returns what it wrote. */
async function output(
  job: Pick<JobRequest, "executable" | "argv" | "environment">,
): Promise<Buffer> {
  const path = join(dir, "output");
  const fd = openSync(path, "w");
  const prepared = await prepareJob({
    ...job,
    cwd: "/",
    stdin: "none",
    uid: process.getuid?.() ?? -1,
    gid: process.getgid?.() ?? -1,
    runtimeSeconds: 10,
    place: { kind: "memory", directory: null },
    streams: [0, fd, 2],
  });
  const pending = await launch(prepared);
  await prepared.close();
  await pending.release(boottimeMs() + 10_000);
  closeSync(fd);
  return readFileSync(path);
}

const byte = fc.integer({ min: 1, max: 255 });
const bytes = fc.array(byte, { maxLength: 40 }).map((list) => Buffer.from(list));
const name = fc
  .array(byte, { minLength: 1, maxLength: 20 })
  .map((list) => Buffer.from(list))
  .filter((list) => !list.includes("="));

test("any bytes pass as arguments and environment", async () => {
  const argv = fc.array(bytes, { maxLength: 20 });
  const variables = fc.uniqueArray(fc.record({ name, value: bytes }), {
    maxLength: 20,
    selector: (variable) => variable.name.toString("latin1"),
  });
  await fc.assert(
    fc.asyncProperty(argv, variables, async (list, environment) => {
      const script = "print map { qq(<$_>\\0) } @ARGV";
      const perl = { executable: "/usr/bin/perl", argv: ["perl", "-e", script, "--", ...list] };
      const args = list.map((argument) => `<${argument.toString("latin1")}>\0`);
      const ran = await output({ ...perl, environment: [] });
      expect(ran.toString("latin1")).toBe(args.join(""));
      const env = { executable: "/usr/bin/env", argv: ["env", "-0"], environment };
      const pairs = environment.map((variable) => {
        return `${variable.name.toString("latin1")}=${variable.value.toString("latin1")}\0`;
      });
      const entries = (await output(env))
        .toString("latin1")
        .split(/(?<=\0)/)
        .filter(Boolean);
      expect(entries.sort()).toEqual(pairs.sort());
    }),
    { numRuns: 30 },
  );
});

test("a job is released once, and not after it was cancelled", async () => {
  const prepared = await prepareJob({
    executable: "/bin/true",
    argv: ["true"],
    environment: [],
    cwd: "/",
    stdin: "none",
    uid: process.getuid?.() ?? -1,
    gid: process.getgid?.() ?? -1,
    runtimeSeconds: 10,
    place: { kind: "memory", directory: null },
  });
  await expect(launch({ ...prepared })).rejects.toThrow("Only what prepareJob returned");
  const [once, cancelled] = await Promise.all([launch(prepared), launch(prepared)]);
  await prepared.close();
  const deadlineMs = boottimeMs() + 10_000;
  const first = once.release(deadlineMs);
  await expect(once.release(deadlineMs)).rejects.toThrow("released or cancelled before");
  expect(await first).toEqual({ kind: "exited", code: 0 });
  await cancelled.cancel();
  await expect(cancelled.release(deadlineMs)).rejects.toThrow("released or cancelled before");
});

test("the clock of deadlines is CLOCK_BOOTTIME", () => {
  const before = boottimeMs();
  const program = `my $t = pack('q2', 0, 0); syscall(${process.arch === "arm64" ? 113 : 228}, 7, $t);
    my ($s, $ns) = unpack('q2', $t); print $s * 1000 + int($ns / 1e6)`;
  const { stdout } = spawnSync("perl", ["-e", program], { encoding: "utf8" });
  expect(Number(stdout)).toBeGreaterThanOrEqual(before);
  expect(boottimeMs() + 10).toBeGreaterThanOrEqual(Number(stdout));
});
