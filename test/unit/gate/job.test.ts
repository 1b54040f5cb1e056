import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { reopenStatus } from "../../../src/gate/descriptors.ts";
import { type JobRequest, prepareJob } from "../../../src/gate/job.ts";
import { LAUNCHER } from "../../../src/gate/launcher.ts";
import { Lines } from "../../../src/gate/lines.ts";
import { exitCodeOf } from "../../../src/gate/outcome.ts";
import { SEALER } from "../../../src/gate/sealer.ts";

const uid = process.getuid?.() ?? -1;
const gid = process.getgid?.() ?? -1;
const request: JobRequest = {
  executable: "/bin/true",
  argv: ["true"],
  environment: [],
  cwd: "/",
  stdin: "none",
  uid,
  gid,
  runtimeSeconds: 1,
  place: { kind: "memory", directory: null },
};
const openFds = (): number => readdirSync("/proc/self/fd").length;
const variable = (name: string, value = "") => ({ name, value });

describe("prepareJob", () => {
  test("yields the job of the wire format, sorted, in bytes", async () => {
    const prepared = await prepareJob({
      ...request,
      argv: ["true", Buffer.from([0xff]), "ü"],
      environment: [variable("b", "2"), variable("B"), variable("a b", "1")],
      callerUid: 7,
      hash: "sha384",
      inputs: ["/etc/hostname", "/bin/true"],
    });
    await prepared.close();
    const { job } = prepared;
    expect(job.argv).toEqual([Buffer.from("true"), Buffer.from([0xff]), Buffer.from("ü")]);
    expect(job.environment.map(({ name }) => name.toString())).toEqual(["B", "a b", "b"]);
    expect(job.inputs.map(({ path }) => path.toString())).toEqual(["/bin/true", "/etc/hostname"]);
    expect(job.executable).toMatchObject({ kind: "file", algorithm: "sha384" });
    expect(job.executable.digest.length).toBe(48);
    const { interpreter, stdin, callerUid, runtimeSeconds } = job;
    expect([interpreter, stdin, callerUid, runtimeSeconds]).toEqual([null, "none", 7, 1]);
    expect([job.uid, job.gid, prepared.warnings]).toEqual([uid, gid, []]);
  });

  test.each<[string, Partial<JobRequest>, string]>([
    ["no argument", { argv: [] }, "1 to 1024 arguments"],
    ["too many arguments", { argv: Array(1025).fill("") }, "1 to 1024 arguments"],
    ["NUL in an argument", { argv: ["true", "a\0b"] }, "argument 1 holds a NUL"],
    ["a long argument", { argv: ["x".repeat(4097)] }, "argument 0 exceeds 4096 bytes"],
    ["NUL in a value", { environment: [variable("A", "\0")] }, "NUL"],
    ["an empty name", { environment: [variable("")] }, "no variable"],
    ["= in a name", { environment: [variable("A=B")] }, "no variable"],
    ["a name twice", { environment: [variable("A"), variable("A", "2")] }, "given twice"],
    ["too many variables", { environment: Array(257).fill(variable("A")) }, "256 variables"],
    ["a relative directory", { cwd: "here" }, "not absolute"],
    ["an empty directory", { cwd: "" }, "not absolute"],
    ["NUL in the executable", { executable: "/bin/true\0" }, "NUL"],
    ["an input twice", { inputs: ["/bin/true", "/bin/true"] }, "given twice"],
    ["too many inputs", { inputs: Array(257).fill("/bin/true") }, "256 input files"],
    ["no run time", { runtimeSeconds: 0 }, "run time"],
    ["half a second", { runtimeSeconds: 1.5 }, "run time"],
    ["a missing input", { inputs: ["/nonexistent"] }, "cannot open the input file"],
    ["a device as input", { inputs: ["/dev/zero"] }, "not a regular file"],
  ])("refuses %s and leaves no descriptor open", async (_, change, message) => {
    const before = openFds();
    await expect(prepareJob({ ...request, ...change })).rejects.toThrow(message);
    expect(openFds()).toBe(before);
  });

  test.runIf(uid === 0).each([-1, 0.5, 2 ** 32 - 1, 2 ** 32])("refuses user %d", async (id) => {
    await expect(prepareJob({ ...request, uid: id })).rejects.toThrow("no user or group");
    await expect(prepareJob({ ...request, gid: id })).rejects.toThrow("no user or group");
  });

  test("keeps only the copies open, and close() closes them once", async () => {
    const before = openFds();
    const prepared = await prepareJob({ ...request, inputs: ["/bin/true"] });
    expect(openFds()).toBe(before + 1);
    await prepared.close();
    await prepared.close();
    expect(openFds()).toBe(before);
  });
});

test.each([
  ["launcher", LAUNCHER],
  ["sealer", SEALER],
])("the %s compiles under strict and warnings", (_, program) => {
  const perl = spawnSync("perl", ["-Mstrict", "-Mwarnings", "-ce", program], { encoding: "utf8" });
  expect(perl.stderr).toBe("-e syntax OK\n");
});

test("exit codes", () => {
  expect(exitCodeOf({ kind: "exited", code: 3 })).toBe(3);
  expect(exitCodeOf({ kind: "signalled", signal: 9, runtime: true })).toBe(137);
  expect(exitCodeOf({ kind: "not-executable", code: 127, reason: "" })).toBe(127);
});

describe("the status descriptor", () => {
  const closeOnExec = (fd: number): boolean => {
    const flags = /^flags:\s*0*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"));
    return (Number.parseInt(flags?.[1] ?? "", 8) & 0o2000000) !== 0;
  };

  test("is opened anew, close-on-exec, appending", () => {
    const dir = mkdtempSync(join(tmpdir(), "portcullis-status-"));
    const fd = openSync(join(dir, "status"), "w");
    const status = reopenStatus(fd);
    expect([status === fd, closeOnExec(status)]).toEqual([false, true]);
    closeSync(status);
    rmSync(dir, { recursive: true });
  });

  test.each([-1, 0, 1.5, 987654])("cannot be %d", (fd) => {
    expect(() => reopenStatus(fd)).toThrow(/no descriptor|cannot be written/);
  });

  test("must be open for writing, whatever the gate itself may do", () => {
    const fd = openSync("/etc/hostname", "r");
    expect(() => reopenStatus(fd)).toThrow("open for reading only");
    closeSync(fd);
  });
});

describe("Lines", () => {
  test("are kept until asked for, however they are cut", async () => {
    const lines = new Lines();
    const first = lines.next();
    lines.push("on");
    lines.push("e\ntwo\nthr");
    expect([await first, await lines.next()]).toEqual(["one", "two"]);
    lines.push("ee\ncut");
    lines.end();
    expect([await lines.next(), await lines.next()]).toEqual(["three", null]);
  });
});
