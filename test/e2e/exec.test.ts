import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { NOBODY, runGate, users } from "../fault/exec-support.ts";

const dir = mkdtempSync(join(tmpdir(), "portcullis exec "));
chmodSync(dir, 0o777);
afterAll(() => rmSync(dir, { recursive: true }));

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
let n = 0;
function file(content: string | Buffer, mode = 0o755): string {
  const path = join(dir, `file ${n++}`);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}
const sh = (command: string) => ({ executable: "/bin/sh", argv: ["sh", "-c", command] });
const status = (text: Buffer, name: string): string =>
  new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text.toString())?.[1]?.trim() ?? "absent";

describe.each(users)("a job of $name", (user) => {
  test("has exactly its environment", async () => {
    const environment = { A: "1", "odd name": " two\nlines ", EMPTY: "", LANG: "\xff\xfe" };
    const job = { executable: "/usr/bin/env", argv: ["env", "-0"], environment };
    const { stdout } = await runGate(user, job);
    const entries = stdout.toString("latin1").split("\0").filter(Boolean).sort();
    expect(entries).toEqual(["A=1", "EMPTY=", "LANG=\xff\xfe", "odd name= two\nlines "]);
  });

  test("has no environment where it is given none", async () => {
    const { stdout, status } = await runGate(user, { executable: "/usr/bin/env", argv: ["env"] });
    expect([stdout.toString(), status]).toEqual(["", 0]);
  });

  test("has exactly its arguments, argv[0] included", async () => {
    const odd = ["", " ", "a\nb", "$(id)", "'\"\\", "-n", "\xff\x80", "*", "x".repeat(4096), ""];
    const script = "print join qq(\\0), @ARGV";
    const argv = ["-odd zero\xff", "-e", script, "--", ...odd];
    const { stdout } = await runGate(user, { executable: "/usr/bin/perl", argv });
    expect(stdout.toString("latin1").split("\0")).toEqual(odd);
    const zero = ["-odd zero\xff", "/proc/self/cmdline"];
    const own = await runGate(user, { executable: "/bin/cat", argv: zero });
    expect(own.stdout.toString("latin1")).toBe(`${zero.join("\0")}\0`);
  });

  test("runs in its working directory", async () => {
    const cwd = join(dir, `here \xe9 ${user.uid}`);
    mkdirSync(Buffer.from(cwd, "latin1"));
    const { stdout } = await runGate(user, { executable: "/bin/pwd", argv: ["pwd", "-P"], cwd });
    expect(stdout.toString("latin1")).toBe(`${cwd}\n`);
  });

  test("is not executable where its working directory is missing", async () => {
    const { outcome, status } = await runGate(user, { ...sh("echo ran"), cwd: "/nonexistent" });
    expect([outcome, status]).toMatchObject([{ kind: "not-executable", code: 126 }, 126]);
  });

  test("has no privileges to gain, a fixed umask, and no signal ignored or blocked", async () => {
    const nobody = { uid: NOBODY, gid: NOBODY };
    const cat = { executable: "/bin/cat", argv: ["cat", "/proc/self/status"], ...nobody };
    const { stdout } = await runGate(user, user.uid === 0 ? cat : { ...cat, uid: user.uid });
    expect(status(stdout, "NoNewPrivs")).toBe("1");
    expect(status(stdout, "Umask")).toBe("0022");
    for (const caps of ["CapInh", "CapPrm", "CapEff", "CapAmb", "SigIgn", "SigBlk"]) {
      expect([caps, status(stdout, caps)]).toEqual([caps, "0".repeat(16)]);
    }
    // Dropping what it could ever gain takes CAP_SETPCAP, which only root's gate has.
    if (user.uid === 0) expect(status(stdout, "CapBnd")).toBe("0".repeat(16));
    expect(status(stdout, "Uid")).toMatch(/^(\d+)\t\1\t\1\t\1$/);
  });

  test("is in a session of its own, without a terminal", async () => {
    const job = { executable: "/bin/cat", argv: ["cat", "/proc/self/stat"] };
    const { stdout } = await runGate(user, job);
    const fields = stdout
      .toString()
      .replace(/\(.*\)/, "()")
      .split(" ");
    const [pid, , , , group, session, terminal] = fields;
    expect([group, session, terminal]).toEqual([pid, pid, "0"]);
  });

  test("sees none of the descriptors that leaked into the gate", async () => {
    const leaked = openSync("/etc/hostname", "r");
    const list = 'for fd in /proc/self/fd/*; do echo "$fd"; done';
    const extra = [leaked, "pipe", leaked, "ignore", leaked] as const;
    const binary = await runGate(user, sh(list), { extra: [...extra] });
    const script = file(`#!/bin/sh\n${list}\n`);
    const scripted = await runGate(
      user,
      { executable: script, argv: ["x"] },
      { extra: [...extra] },
    );
    closeSync(leaked);
    const fds = (out: Buffer) => out.toString().match(/\d+$/gm);
    // The shell holds one for the directory, and for a script's own text (10).
    expect(fds(binary.stdout)).toEqual(["0", "1", "2", "3"]);
    expect(fds(scripted.stdout)).toEqual(["0", "1", "10", "2", "3", "4"]);
  });

  test("reads nothing, what is inherited, or exactly what was hashed", async () => {
    const cat = { executable: "/bin/cat", argv: ["cat"] };
    const input = Buffer.alloc(3_000_000, "some input ");
    const none = await runGate(user, { ...cat, stdin: "none" }, { input });
    const inherited = await runGate(user, { ...cat, stdin: "inherit" }, { input });
    const content = await runGate(user, { ...cat, stdin: "content" }, { input });
    expect([none.stdin, none.stdout.length]).toEqual(["none", 0]);
    expect([inherited.stdin, inherited.stdout.equals(input)]).toEqual(["inherit", true]);
    expect([content.stdin, content.stdout.equals(input)]).toEqual([sha256(input), true]);
  });

  test("hashes executable and input files, sorted by path", async () => {
    const inputs = [file("two"), file("one")];
    const report = await runGate(user, { ...sh("exit 0"), inputs: [...inputs].reverse() });
    expect(report.executable).toBe(sha256(readFileSync("/bin/sh")));
    expect(report.interpreter).toBeNull();
    expect(report.inputs).toEqual(inputs.map((path) => [path, sha256(readFileSync(path))]));
  });

  test("passes its exit code and signals on", async () => {
    for (const code of [0, 1, 77, 255]) {
      const { outcome, status } = await runGate(user, sh(`exit ${code}`));
      expect([outcome, status]).toEqual([{ kind: "exited", code }, code]);
    }
    for (const signal of [1, 6, 9, 11, 15]) {
      const { outcome, status } = await runGate(user, sh(`kill -${signal} $$`));
      expect([outcome, status]).toEqual([
        { kind: "signalled", signal, runtime: false },
        128 + signal,
      ]);
    }
  });

  test("is named not executable by the code a shell would give", async () => {
    const loader = /\/lib(64)?\/ld-linux[-a-z0-9_.]+/;
    const text = readFileSync("/bin/true", "latin1");
    const path = loader.exec(text)?.[0] ?? "";
    const lost = file(Buffer.from(text.replace(path, `/none${path.slice(5)}`), "latin1"));
    const broken = file("\x7fELF and nothing more");
    const { outcome: notFound } = await runGate(user, { executable: lost, argv: ["x"] });
    const { outcome: notElf } = await runGate(user, { executable: broken, argv: ["x"] });
    expect(notFound).toMatchObject({ kind: "not-executable", code: 127 });
    expect(notElf).toMatchObject({ kind: "not-executable", code: 126 });
  });

  test("runs a script by the interpreter that was hashed", async () => {
    const script = file('#!/bin/sh -e \nprintf "%s\\n" "$0" "$@"; false; echo not reached\n');
    const argv = ["dropped", "a b", "", "\xff"];
    const {
      stdout,
      status,
      interpreter: digest,
    } = await runGate(user, { executable: script, argv });
    expect(stdout.toString("latin1")).toBe("/proc/self/fd/3\na b\n\n\xff\n");
    expect([status, digest]).toEqual([1, sha256(readFileSync("/bin/sh"))]);
  });
});
