import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { stage } from "../../src/gate/stage.ts";
import { NOBODY, runGate, type User, users } from "../fault/exec-support.ts";

const dir = mkdtempSync(join(tmpdir(), "portcullis-image-"));
chmodSync(dir, 0o777);
afterAll(() => rmSync(dir, { recursive: true }));

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
let n = 0;
const fresh = (): string => join(dir, `file-${n++}`);
function file(content: string, mode = 0o755): string {
  const path = fresh();
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}
/** A file that this user may overwrite. */
function ownCopy(source: string, user: User): string {
  const path = fresh();
  copyFileSync(source, path);
  chmodSync(path, 0o755);
  if (process.getuid?.() === 0) chownSync(path, user.uid, user.uid);
  return path;
}
function ownDirectory(user: User, mode: number): string {
  const path = fresh();
  mkdirSync(path);
  chmodSync(path, mode);
  if (process.getuid?.() === 0) chownSync(path, user.uid, user.uid);
  return path;
}

describe.each(users)("the image of a job of $name", (user) => {
  test("runs as it was hashed when the file changes afterwards", async () => {
    for (const aside of ["", "+"]) {
      const executable = ownCopy("/bin/echo", user);
      const overwrite = { [`${executable}${aside}`]: "#!/bin/sh\necho swapped\n" };
      const { stdout } = await runGate(user, { executable, argv: ["echo", "real"], overwrite });
      expect(stdout.toString()).toBe("real\n");
      expect(readFileSync(executable, "latin1")).toContain("swapped");
    }
  });

  test("is interpreted by the program that was hashed when that file changes", async () => {
    const interpreter = ownCopy("/bin/sh", user);
    const executable = ownCopy(file(`#!${interpreter}\necho real\n`), user);
    const overwrite = { [interpreter]: "swapped", [executable]: "#!/bin/sh\necho swapped\n" };
    const report = await runGate(user, { executable, argv: ["x"], overwrite });
    expect(report.stdout.toString()).toBe("real\n");
    expect(report.interpreter).toBe(sha256(readFileSync("/bin/sh")));
  });

  test("cannot be altered by the job itself", async () => {
    const script =
      '#!/bin/sh\necho first\n{ echo "echo altered" >> /proc/self/fd/3; } 2>&-\necho last\n';
    const report = await runGate(user, { executable: file(script), argv: ["x"] });
    expect([report.ready, report.stdout.toString()]).toEqual([[], "first\nlast\n"]);
  });

  test("is found through symbolic links, and its bytes are what counts", async () => {
    const link = fresh();
    symlinkSync("/bin/sh", link);
    const report = await runGate(user, { executable: link, argv: ["sh", "-c", "echo ran"] });
    expect(report.executable).toBe(sha256(readFileSync("/bin/sh")));
    expect(report.stdout.toString()).toBe("ran\n");
  });

  test("can be staged in a file, with a warning where the job could alter that", async () => {
    const directory = ownDirectory(user, 0o700);
    const place = { kind: "file", directory } as const;
    const script = file("#!/bin/sh\ncat; echo ran as $(id -u)\n");
    const job = { executable: script, argv: ["x"], stdin: "content", place } as const;
    const same = await runGate(user, job, { input: Buffer.from("input ") });
    expect([same.ready, same.status]).toEqual([["image-unsealed"], 0]);
    expect(same.stdout.toString()).toBe(`input ran as ${user.uid}\n`);
    expect(readdirSync(directory)).toEqual([]);
    if (user.uid !== 0) return;
    const other = await runGate(user, { ...job, uid: NOBODY, gid: NOBODY });
    expect([other.ready, other.stdout.toString()]).toEqual([[], `ran as ${NOBODY}\n`]);
  });

  test("is not staged in a directory that others can enter", async () => {
    const place = { kind: "file", directory: ownDirectory(user, 0o755) } as const;
    const report = await runGate(user, { executable: "/bin/true", argv: ["true"], place });
    expect([report.error, report.message]).toEqual([
      "exec.unsupported",
      expect.stringContaining("mode 0700"),
    ]);
  });

  test.each<[string, () => string, string]>([
    ["a missing file", () => "/nonexistent", "cannot open the executable"],
    ["a directory", () => dir, "not a regular file"],
    ["a device", () => "/dev/zero", "not a regular file"],
    ["a FIFO, without waiting for a writer", () => fifo(), "not a regular file"],
    ["a file without execute permission", () => file("#!/bin/sh\n", 0o644), "execute permission"],
    ["an empty file", () => file(""), "neither an ELF file nor a script"],
    ["text that a shell would run", () => file("echo ran\n"), "neither an ELF file nor a script"],
    ["a relative interpreter", () => file("#!sh\n"), "not an absolute path"],
    ["a missing interpreter", () => file("#!/nonexistent\n"), "cannot open the interpreter"],
    [
      "an interpreter that is a script",
      () => file(`#!${file("#!/bin/sh\n")}\n`),
      "not an ELF file",
    ],
    ["a file beyond the bound", () => large(), "exceeds 1073741824 bytes"],
  ])("is refused: %s", async (_, path, message) => {
    const report = await runGate(user, { executable: path(), argv: ["x"] });
    expect(report.message ?? "it ran").toContain(message);
    expect([report.error, report.status]).toEqual(["exec.file", 70]);
  });
});

function fifo(): string {
  const path = fresh();
  execFileSync("mkfifo", ["-m", "755", path]);
  return path;
}
function large(): string {
  const path = file("#!/bin/sh\n");
  truncateSync(path, 2 ** 30 + 1);
  return path;
}

test("sealed memory refuses every change, also root's", async () => {
  const source = openSync("/bin/sh", "r");
  const place = { kind: "memory", directory: null } as const;
  const [copy] = await stage([{ fd: source, name: "sh", bytesMax: 2 ** 24 }], place);
  closeSync(source);
  if (copy === undefined) throw new Error("nothing was staged");
  expect(() => writeSync(copy.fd, "x")).toThrow("EBADF");
  const path = `/proc/self/fd/${copy.fd}`;
  chmodSync(path, 0o777); // its owner may; the seals hold nevertheless
  const writer = openSync(path, "r+");
  expect(() => writeSync(writer, "x", 0)).toThrow("EPERM");
  expect(() => truncateSync(path, 0)).toThrow("EPERM");
  expect(() => truncateSync(path, 2 ** 24)).toThrow("EPERM");
  expect(sha256(readFileSync(path))).toBe(sha256(readFileSync("/bin/sh")));
  expect(copy.sizeBytes).toBe(statSync("/bin/sh").size);
  closeSync(writer);
  closeSync(copy.fd);
});

describe.skipIf(process.getuid?.() !== 0)("another user's job", () => {
  const id = { executable: "/bin/sh", argv: ["sh", "-c", "id -u; id -g; id -G"] };
  const [root, nobody] = users;

  test("runs as that user, in no other group", async () => {
    if (root === undefined) throw new Error("no user");
    const { stdout } = await runGate(root, { ...id, uid: 12345, gid: 54321 });
    expect(stdout.toString()).toBe("12345\n54321\n54321\n");
  });

  test("cannot read what only the gate's user may, through inherited descriptors or paths", async () => {
    if (root === undefined) throw new Error("no user");
    const secret = file("secret", 0o600);
    const fd = openSync(secret, "r");
    const read = { ...id, argv: ["sh", "-c", `cat ${secret} /proc/self/fd/[4-9] 2>&-`] };
    const { stdout } = await runGate(
      root,
      { ...read, uid: NOBODY, gid: NOBODY },
      { extra: [fd, fd] },
    );
    closeSync(fd);
    expect(stdout.toString()).toBe("");
  });

  test.runIf(nobody)("is refused to a gate without privileges", async () => {
    if (nobody === undefined) throw new Error("no user");
    for (const ids of [{ uid: 0 }, { gid: 0 }, { uid: 1000, gid: 1000 }]) {
      const report = await runGate(nobody, { ...id, ...ids });
      expect([report.error, report.stdout.length]).toEqual(["exec.user", 0]);
    }
  });
});
