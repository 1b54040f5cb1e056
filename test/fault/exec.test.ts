import { execFileSync, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, existsSync, openSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  cling,
  dir,
  everyone,
  expectNothingLeft,
  killAtMoments,
  killGate,
  started,
} from "./clinging.ts";
import {
  bareUser,
  eventually,
  familyOf,
  processesWith,
  runGate,
  startGate,
} from "./exec-support.ts";

describe.each(everyone)("when the gate of $name is killed", (user) => {
  test("while it waits for the end of its input, nothing is left", async () => {
    const job = { executable: "/bin/cat", argv: ["cat"], stdin: "content" } as const;
    const path = join(dir, randomUUID());
    execFileSync("mkfifo", [path]);
    const fifo = openSync(path, "r+"); // its own writer: it never ends
    const gate = startGate(user, job, { input: fifo });
    const reading = (): boolean => familyOf(gate.child.pid ?? -1).length > 1;
    expect(await eventually(reading)).toBe(true);
    await expectNothingLeft("no mark", killGate(gate));
    closeSync(fifo);
  });

  test("before release, nothing has run and nothing is left", async () => {
    const { mark, ran, gate } = cling(user, { hold: "/nonexistent" });
    expect(await gate.said("ready")).toBe(true);
    await expectNothingLeft(mark, killGate(gate));
    expect(existsSync(ran)).toBe(false);
  });

  test("while the job runs, no process is left, setsid or not", async () => {
    const { mark, ran, gate } = cling(user);
    expect(await eventually(() => started(ran))).toBe(true);
    expect(processesWith(mark).length).toBeGreaterThan(3);
    await expectNothingLeft(mark, killGate(gate));
  });

  test("at twelve moments from start to job, no process is left", () => killAtMoments(user, 12));
});

describe.each(everyone)("a job of $name", (user) => {
  test("is killed at its run time with all that it started", async () => {
    const { mark, gate } = cling(user, { runtimeSeconds: 1 });
    const { outcome, status } = await gate.result;
    expect(processesWith(mark)).toEqual([]);
    expect([outcome, status]).toEqual([{ kind: "signalled", signal: 9, runtime: true }, 137]);
  });

  test("leaves nothing behind when it ends by itself", async () => {
    const mark = `portcullis-mark-${randomUUID()}`;
    const argv = ["sh", "-c", "setsid sleep 600 & sleep 600 & exit 3"];
    const job = { executable: "/bin/sh", argv, environment: { MARK: mark } };
    const { status } = await runGate(user, job);
    expect([status, processesWith(mark)]).toEqual([3, []]);
  });

  test.each([["SIGINT"], ["SIGTERM"], ["SIGHUP"]] as const)(
    "is sent the gate's %s",
    async (name) => {
      const trap = `trap 'echo ${name}; exit 42' ${name.slice(3)}; echo started; while :; do sleep 0.02; done`;
      const gate = startGate(user, { executable: "/bin/sh", argv: ["sh", "-c", trap] });
      await new Promise((done) => gate.child.stdout?.once("data", done));
      gate.child.kill(name);
      const { stdout, status } = await gate.result;
      expect([stdout.toString(), status]).toEqual([`started\n${name}\n`, 42]);
    },
  );

  test("does not start past its deadline", async () => {
    for (const deadlineMs of [-1000, 0]) {
      const job = { executable: "/bin/sh", argv: ["sh", "-c", "echo ran"], deadlineMs };
      const { error, stdout } = await runGate(user, job);
      expect([error, stdout.toString()]).toEqual(["exec.deadline", ""]);
    }
  });

  test("does not start when the launcher is held up past the deadline", async () => {
    const hold = join(dir, randomUUID());
    const argv = ["sh", "-c", "echo ran"];
    const gate = startGate(user, { executable: "/bin/sh", argv, hold, deadlineMs: 200 });
    await gate.said("ready");
    const launcher = familyOf(gate.child.pid ?? -1).at(-1) ?? -1;
    process.kill(launcher, "SIGSTOP");
    writeFileSync(hold, "");
    await gate.said("released");
    await new Promise((done) => setTimeout(done, 400));
    process.kill(launcher, "SIGCONT");
    const { error, stdout } = await gate.result;
    expect([error, stdout.toString()]).toEqual(["exec.deadline", ""]);
  });

  // Without a namespace a launcher that is killed by itself leaves what its job started: the
  // warning says so.
  test.skipIf(user === bareUser)("ends with its waiter, and the gate says so", async () => {
    const { mark, ran, gate } = cling(user);
    expect(await eventually(() => started(ran))).toBe(true);
    const waiter = familyOf(gate.child.pid ?? -1)[1] ?? -1;
    process.kill(waiter, "SIGKILL");
    const { outcome } = await gate.result;
    expect(outcome).toEqual({ kind: "signalled", signal: 9, runtime: false });
    await expectNothingLeft(mark, []);
  });

  test("is confined, or a warning says that it is not", async () => {
    const argv = ["sh", "-c", "readlink /proc/self/ns/pid; echo /proc/[0-9]*/stat"];
    const { ready, stdout } = await runGate(user, { executable: "/bin/sh", argv });
    const [namespace, processes = ""] = stdout.toString().split("\n");
    expect(namespace === readlinkSync("/proc/self/ns/pid")).toBe(user === bareUser);
    expect(ready).toEqual(user === bareUser ? ["namespace-unavailable"] : []);
    if (user !== bareUser) expect(processes.split(" ").length).toBeLessThan(5);
  });
});

const strace = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0;
test.skipIf(!strace)(
  "a job does not start when its directory's file system holds it up",
  async () => {
    // As FUSE may: chdir(2) returns in the end, past the deadline.
    const hold = ["-e", "trace=chdir", "-e", "inject=chdir:delay_enter=600000"];
    const [user = bareUser] = everyone;
    const prefix = ["strace", "-f", "-qq", "-o", "/dev/null", ...hold, ...user.prefix];
    const job = { executable: "/bin/sh", argv: ["sh", "-c", "echo ran"], deadlineMs: 300 };
    const { error, stdout } = await runGate({ ...user, prefix }, job);
    expect([error, stdout.toString()]).toEqual(["exec.deadline", ""]);
  },
);
