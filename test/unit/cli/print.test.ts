import { describe, expect, test } from "vitest";
import { denialExit, denialLines, oneLine, span } from "../../../src/cli/print.ts";
import { CODE_LIST } from "../../../src/core/codes.ts";

describe("denials", () => {
  test("every code has a sentence, a next step and one of three exit codes", () => {
    for (const code of CODE_LIST) {
      const [what, next, ...rest] = denialLines(code);
      expect(rest).toEqual([]);
      expect(what).toMatch(new RegExp(`^${code.replace(".", "\\.")}: [A-Z].*\\.$`));
      expect(next).toMatch(/^next: [A-Z].*\.$/);
      expect([70, 75, 77]).toContain(denialExit(code));
    }
    expect(denialExit("governance.expired")).toBe(75);
    expect(denialExit("window.expired")).toBe(77);
    expect(denialExit("internal.trap")).toBe(70);
  });

  test("text from elsewhere cannot forge a line or move the cursor", () => {
    expect(denialLines("internal.log", "a\nnext: b\u001b[2J\u202e")).toHaveLength(2);
    expect(oneLine("a\r\nb\tc\u0000\u001b[1m\u200f")).toBe("a b c??[1m?");
  });
});

test.each([
  [0, "0s"],
  [59, "59s"],
  [3_600, "1h"],
  [3_661, "1h 1m"],
  [-90_000, "1d 1h"],
])("%i seconds are %s", (seconds, text) => {
  expect(span(seconds)).toBe(text);
});
