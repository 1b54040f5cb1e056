/** Sizes, names and words of all sources, against style.ts; and what the linter must refuse. */
import { describe, expect, test } from "vitest";
import { filesUnder, read } from "./source.ts";
import { blemishes, forbidden, longFunctions } from "./style.ts";

const FOLDERS = ["assembly", "src", "bench", "swtpm", "scripts", "test", "bin"];
const TEXTS = /\.(?:ts|js|md|yaml|json|cddl)$|^(?:scripts|bin)\/[a-z]+$/;

test.each(FOLDERS)("the sources of %s/ keep to the style", (folder) => {
  const files = filesUnder([folder]).filter((path) => TEXTS.test(path));
  expect(files.flatMap((path) => blemishes(path, read(path)))).toEqual([]);
});

test("documents and configuration name no machine and nothing unfinished", () => {
  const files = [...filesUnder(["docs"]).filter((path) => TEXTS.test(path)), "asconfig.json"];
  files.push("package.json", "biome.json", "tsconfig.json", ".ci/run");
  const found = files.flatMap((path) =>
    read(path)
      .split("\n")
      .flatMap((line, index) => forbidden(`${path}:${index + 1}`, line)),
  );
  expect(found).toEqual([]);
});

test("the linter refuses `any`, non-null assertions and empty blocks", () => {
  const { linter } = JSON.parse(read("biome.json"));
  expect(linter.rules.suspicious).toMatchObject({
    noExplicitAny: "error",
    noEmptyBlockStatements: "error",
  });
  expect(linter.rules.style).toMatchObject({ noNonNullAssertion: "error" });
});

test("what verbs say goes through src/cli/print.ts, where a reader that left changes no exit code", () => {
  const others = filesUnder(["src"]).filter((path) => path !== "src/cli/print.ts");
  const found = others.filter((path) => /process\.std(?:out|err)\.write/.test(read(path)));
  expect(found).toEqual([]);
});

describe("a blemish is found", () => {
  const lines = (count: number): string => "  x();\n".repeat(count);
  const home = ["", "home", "someone", "portcullis"].join("/");
  const cases: [what: string, path: string, text: string][] = [
    ["a name", "src/gate/StagedFile.ts", ""],
    ["a name", "src/gate/staged_file.ts", ""],
    ["a long file", "src/gate/gate.ts", "x();\n".repeat(401)],
    ["a long function", "src/a.ts", `function f(): void {\n${lines(69)}}\n`],
    ["a long method", "src/a.ts", `class A {\n  run({ a, b }: C): D {\n${lines(69)}  }\n}\n`],
    ["a long arrow", "src/a.ts", `const f = (a: A) => {\n${lines(69)}};\n`],
    ["a long head", "src/a.ts", `function f(\n  a: A,\n): Promise<A> {\n${lines(69)}}\n`],
    ["a long test", "test/a.test.ts", `test("a", async () => {\n${lines(69)}});\n`],
    ["a machine", "src/a.ts", `const root = "${home}";`],
    ["a promise", "src/a.ts", `// ${"TO"}${"DO"}: later`],
    ["a switch", "scripts/build.ts", 'args.push("--noAssert");'],
  ];
  test.each(cases)("%s: %s", (_what, path, text) => {
    expect(blemishes(path, text)).toHaveLength(1);
  });

  const fine: [what: string, path: string, text: string][] = [
    ["a long table", "src/a.ts", `const table = {\n${"  a: 1,\n".repeat(80)}};\n`],
    ["a long class", "src/a.ts", `class A {\n${"  a = 1;\n".repeat(80)}}\n`],
    ["a group of tests", "test/a.test.ts", `describe("a", () => {\n${lines(80)}});\n`],
    ["a brace in a text", "src/a.ts", `f("{");\n${lines(80)}g("}");\n`],
    ["a page", "src/a.ts", `function f(): void {\n${lines(68)}}\n`],
  ];
  test.each(fine)("%s is none", (_what, path, text) => {
    expect(blemishes(path, text)).toEqual([]);
  });

  test("the place of a long function is given", () => {
    expect(longFunctions("// one\nfunction f() {\n\n\n}\n", 3)).toEqual(["2-5"]);
  });
});
