/** Every mistake has its test, and the test that is named stands where it is said to stand. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { vectorsDir } from "../../support/vectors.ts";
import { ROWS } from "./rows.ts";

/** Titles as the file writes them, in quotes of either kind or on a line of their own. */
function hasTitle(file: string, title: string): boolean {
  const source = readFileSync(file, "utf8");
  return source.includes(`"${title}"`) || source.includes(`\`${title}\``);
}

describe("each row", () => {
  test.each(ROWS)("$mistake", ({ tests, absent }) => {
    // A mistake without a test needs a reason, and one sentence is enough.
    if (tests.length === 0) expect(absent).toMatch(/^[a-z].{10,}$/);
    for (const [file, title] of tests) {
      expect(hasTitle(file, title), `${file}: ${title}`).toBe(true);
    }
  });
});

test("no row stands twice", () => {
  const mistakes = ROWS.map(({ mistake }) => mistake);
  expect(new Set(mistakes).size).toBe(mistakes.length);
});

test("every group of this folder that bears the name of a mistake is in the table", () => {
  const folder = "test/spec/mistakes";
  const ids = /(?:CVE-\d{4}-\d+|GHSA(?:-[0-9a-z]{4}){3})/g;
  const listed = new Set(JSON.stringify(ROWS).match(ids));
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".test.ts"))) {
    const found = readFileSync(join(folder, name), "utf8").match(ids) ?? [];
    for (const id of found) expect(listed, name).toContain(id);
  }
});

/** The list that the table was made from lies beside the vectors, outside of the project. */
const list = join(vectorsDir() ?? "", "../MISTAKES.md");
test.skipIf(!existsSync(list))("every id of the list is in the table", () => {
  // "CVE-2022-23948, 23949" is two of one year.
  const ids = readFileSync(list, "utf8").matchAll(/(CVE-\d{4})-(\d+(?:, \d{4,6})*)|GHSA[-\w]+/g);
  const wanted = [...ids].flatMap(([whole, year, numbers]) =>
    numbers === undefined ? [whole] : numbers.split(", ").map((number) => `${year}-${number}`),
  );
  expect(wanted.length).toBeGreaterThan(30);
  const table = JSON.stringify(ROWS);
  for (const id of wanted) expect(table).toContain(id);
});
