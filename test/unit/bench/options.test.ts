import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../../support/snippets.ts";

function bench(file: string, ...words: string[]) {
  const path = join(root, "bench", file);
  const { status, stderr } = spawnSync(process.execPath, [path, ...words], {
    cwd: tmpdir(),
    encoding: "utf8",
  });
  return [status, stderr];
}

test.each([
  ["index.ts", "--quik", /unknown option '--quik'/],
  ["index.ts", "--only=RSA-2048", /nothing has "RSA-2048" in its name; .*RSASSA 2048/],
  ["index.ts", "--json=/nonexistent/figures.json", /no such file or directory/],
  ["plane.ts", "--decisions=many", /'many' is invalid. It must be a whole number from 0 on/],
  ["plane.ts", "--cases=all", /Allowed choices are keep, none/],
])("%s %s is refused in a line, before anything is measured", (file, words, told) => {
  expect(bench(file, words)).toEqual([64, expect.stringMatching(told)]);
});

test.each(["index.ts", "plane.ts"])("%s --help", (file) => {
  expect(bench(file, "--help")).toEqual([0, ""]);
});
