import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { parseInterpreter } from "../../../src/gate/interpreter.ts";

const parse = (text: string) => {
  const found = parseInterpreter(Buffer.from(text, "latin1").subarray(0, 256));
  return found && [found.path.toString("latin1"), found.argument?.toString("latin1") ?? null];
};

/**
 * execve(2) alone: the exec functions of libraries hand to sh what the kernel refuses. Exits 99
 * where it does.
 */
const EXECVE = `my $p = shift; my ($a, $e) = (pack('p2J', $p, 'last', 0), pack('J', 0));
  syscall(${process.arch === "arm64" ? 221 : 59}, $p, $a, $e); exit 99`;

describe("the interpreter of a script", () => {
  test.each<[string, string, [string, string | null] | null]>([
    ["no script", "\x7fELF", null],
    ["an empty file", "", null],
    ["a path", "#!/bin/sh\necho", ["/bin/sh", null]],
    ["blanks around the path", "#! \t/bin/sh \t\n", ["/bin/sh", null]],
    ["one argument", "#!/bin/sh -e\n", ["/bin/sh", "-e"]],
    ["all the rest is one argument", "#!/bin/sh  -e  -u \t\n", ["/bin/sh", "-e  -u"]],
    ["a carriage return belongs to the path", "#!/bin/sh\r\n", ["/bin/sh\r", null]],
    ["no newline", "#!/bin/sh", ["/bin/sh", null]],
    ["no newline, an argument with its trailing blanks", "#!/bin/sh -e ", ["/bin/sh", "-e "]],
    ["no newline, blanks: an empty argument", "#!/bin/sh ", ["/bin/sh", ""]],
    ["NUL ends the path", "#!/bin/sh\0 -e\n", ["/bin/sh", null]],
    ["NUL ends the argument", "#!/bin/sh -e\0u\n", ["/bin/sh", "-e"]],
    [
      "an argument cut at 255 bytes",
      `#!/bin/sh ${"a".repeat(400)}\n`,
      ["/bin/sh", "a".repeat(245)],
    ],
  ])("%s", (_, text, wanted) => {
    expect(parse(text)).toEqual(wanted);
  });

  test.each([
    ["a blank line", "#! \t\n", "names no interpreter"],
    ["256 blanks", `#!${" ".repeat(300)}`, "blank"],
    ["a path that does not fit", `#!/${"a".repeat(300)}\n`, "does not fit"],
    ["a relative path", "#!bin/sh\n", "absolute"],
    ["nothing after #!", "#!", "absolute"],
  ])("refuses %s", (_, text, message) => {
    expect(() => parse(text)).toThrow(message);
  });

  const dir = mkdtempSync(join(tmpdir(), "portcullis-interpreter-"));
  afterAll(() => rmSync(dir, { recursive: true }));

  test("reads the line as this kernel does", () => {
    const piece = fc.constantFrom(" ", "\t", "a", "b", "\0", "\n", "/bin/echo", "  ", "\r");
    const line = fc.tuple(
      fc.constantFrom("", " ", "\t "),
      fc.array(piece, { maxLength: 8 }),
      fc.constantFrom("", "\n", "\nrest"),
      fc.constantFrom(0, 0, 0, 230, 243, 244, 245, 246, 300),
    );
    let n = 0;
    let compared = 0;
    fc.assert(
      fc.property(line, ([lead, pieces, end, padding]) => {
        const text = `#!${lead}/bin/echo${pieces.join("")}${"x".repeat(padding)}${end}`;
        const path = join(dir, String(n++));
        writeFileSync(path, text, { mode: 0o700 });
        chmodSync(path, 0o700);
        const real = spawnSync("perl", ["-e", EXECVE, path], { encoding: "latin1" });
        let ours: ReturnType<typeof parse>;
        try {
          ours = parse(text);
        } catch {
          expect(real.status).toBe(99);
          return;
        }
        if (ours === null || ours[0] !== "/bin/echo") {
          expect(real.status).toBe(99);
          return;
        }
        compared++;
        const argument = ours[1] === null ? [] : [ours[1]];
        expect(real.stdout).toBe(`${[...argument, path, "last"].join(" ")}\n`);
      }),
      { numRuns: 400 },
    );
    expect(compared).toBeGreaterThan(100);
  });
});
