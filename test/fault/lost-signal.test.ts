/**
 * A job that ends at the very moment at which the launcher begins to wait: a library put before
 * select(2) makes that moment long. Needs a C compiler.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { afterAll, expect, test } from "vitest";
import { boottimeMs } from "../../src/clock.ts";
import { LAUNCHER, LAUNCHER_CALLS } from "../../src/gate/launcher.ts";
import { PROGRAMS, systemCalls } from "../../src/gate/system-calls.ts";

const LATE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/select.h>
#include <time.h>
int select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *t) {
  struct timespec left = { 0, 300000000 };
  while (nanosleep(&left, &left)) { }
  return ((int (*)(int, fd_set *, fd_set *, fd_set *, struct timeval *))
    dlsym(RTLD_NEXT, "select"))(n, r, w, e, t);
}
`;

// LD_PRELOAD is split at spaces.
const folder = mkdtempSync(join(tmpdir(), "portcullis-late-"));
afterAll(() => rmSync(folder, { recursive: true }));
const library = join(folder, "late.so");
const source = join(folder, "late.c");
writeFileSync(source, LATE);
const built = spawnSync("cc", ["-shared", "-fPIC", "-o", library, source, "-ldl"]).status === 0;
if (!built) console.warn("lost-signal: skipped, there is no C compiler");

const text = (value: string | number): Buffer => Buffer.from(String(value));

/** A 4-byte length and the bytes. */
function counted(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

test.skipIf(!built)("is noticed when it ends, and not at its run time", async () => {
  const program = openSync("/usr/bin/sleep", "r");
  const nothing = openSync("/dev/null", "r+");
  const args = ["-fe", LAUNCHER, "--", ...systemCalls(LAUNCHER_CALLS)];
  const child = spawn(PROGRAMS.perl, args, {
    env: { LD_PRELOAD: library },
    stdio: ["ignore", "ignore", "inherit", "ignore", program, "pipe", nothing, nothing, nothing],
  });
  const streams: readonly unknown[] = child.stdio;
  const control = streams[5];
  if (!(control instanceof Duplex)) throw new Error("no control socket");
  let said = "";
  control.setEncoding("latin1").on("data", (chunk: string) => {
    said += chunk;
  });
  const uid = process.getuid?.() ?? 0;
  const job = [uid, process.getgid?.() ?? 0, 3000, 0, 0, "/", 2, "sleep", "0.1"];
  control.write(counted(Buffer.concat([text("J"), ...job.map((field) => counted(text(field)))])));
  control.write(counted(text(`G${boottimeMs() + 5000}`)));
  await new Promise((done) => child.once("close", done));
  expect(said).toBe("ready\nstarted\nexited 0\n");
});
