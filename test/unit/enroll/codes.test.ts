import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ENROLL_CODES, EnrollError } from "../../../src/enroll/errors.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const codes = Object.keys(ENROLL_CODES);

test("docs/enrollment.md lists every code with its advice, and no other", () => {
  const text = readFileSync(join(root, "docs/enrollment.md"), "utf8");
  const rows = [...text.matchAll(/^\| `(enroll\.[a-z-]+)` \| (.+) \|$/gm)];
  expect(Object.fromEntries(rows.map(([, code, next]) => [code, next]))).toEqual(ENROLL_CODES);
});

test("every code is reached by a test", () => {
  const files = ["test/unit/enroll", "test/e2e"].flatMap((folder) =>
    readdirSync(join(root, folder)).map((name) => join(root, folder, name)),
  );
  const own = fileURLToPath(import.meta.url);
  const tests = files.filter((file) => file.endsWith(".test.ts") && file !== own);
  const text = tests
    .map((file) => readFileSync(file, "utf8"))
    .join("\n")
    .replaceAll("\\.", ".");
  expect(codes.filter((code) => !text.includes(code))).toEqual([]);
});

test("an error carries its advice", () => {
  expect(new EnrollError("enroll.rekey", "x").next).toBe(ENROLL_CODES["enroll.rekey"]);
});
