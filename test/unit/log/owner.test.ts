import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { currentProcess, formatProcess, mayLive } from "../../../src/log/owner.ts";

const self = currentProcess();

/** The owner of another process, from the kernel's own account of it. */
function ownerOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  return formatProcess({ ...self, pid, start });
}

test("this process lives", () => {
  expect(self.pid).toBe(process.pid);
  expect(formatProcess(self)).toBe(ownerOf(process.pid));
  expect(mayLive(formatProcess(self), self)).toBe(true);
  expect(mayLive(`${formatProcess(self)}/instance`, self)).toBe(true);
});

test("another process lives until it is killed", async () => {
  const child = spawn("sleep", ["60"]);
  await once(child, "spawn");
  const owner = ownerOf(child.pid ?? 0);
  expect(mayLive(owner, self)).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(mayLive(owner, self)).toBe(false);
});

test("a killed process that nobody waited for is dead", async () => {
  // The shell becomes `sleep`, which never waits for the child that it inherited.
  const parent = spawn("sh", ["-c", "sleep 60 & echo $!; exec sleep 60"]);
  const [line] = await once(parent.stdout, "data");
  const pid = Number(String(line));
  // Until then it is the shell, which would wait for it.
  await expect.poll(() => readFileSync(`/proc/${parent.pid}/comm`, "latin1")).toBe("sleep\n");
  const owner = ownerOf(pid);
  expect(mayLive(owner, self)).toBe(true);
  process.kill(pid, "SIGKILL");
  await expect.poll(() => readFileSync(`/proc/${pid}/stat`, "latin1")).toContain(") Z ");
  expect(mayLive(owner, self)).toBe(false);
  parent.kill("SIGKILL");
  await once(parent, "exit");
});

test("a reused process number is another process", () => {
  expect(mayLive(formatProcess({ ...self, start: "1" }), self)).toBe(false);
});

test("an earlier boot is dead, another pid namespace cannot be judged", () => {
  expect(mayLive(formatProcess({ ...self, bootId: "earlier" }), self)).toBe(false);
  expect(mayLive(formatProcess({ ...self, namespace: "pid:[1]", start: "1" }), self)).toBe(true);
});

test("other words name no process", () => {
  const { bootId, namespace } = self;
  for (const owner of ["", "x", bootId, `${bootId}/${namespace}`, `${bootId}/${namespace}/-1/1`]) {
    expect(mayLive(owner, self), owner).toBe(false);
  }
});
