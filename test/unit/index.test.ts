/** The package's surface: named, whole as far as the core goes, and all that the pages import. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import * as core from "../../src/core/index.ts";
import * as surface from "../../src/index.ts";
import { PAGES, root, snippetsOf } from "../support/snippets.ts";

const SOURCES = { portcullis: "src/index.ts", "portcullis/core": "src/core/index.ts" } as const;
const sourceOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** Names in braces, with `type` before them or not. */
function namesIn(list: string): string[] {
  const items = list.replaceAll(/\/\/.*$/gm, "").split(",");
  return items.map((item) => item.trim().replace(/^type\s+/, "")).filter((item) => item !== "");
}

/** The names that a file re-exports. */
function exportsOf(path: string): string[] {
  const lists = sourceOf(path).matchAll(/export (?:type )?\{([^}]*)\} from/g);
  return [...lists].flatMap(([, list = ""]) => namesIn(list));
}

test("src/index.ts holds nothing but named re-exports", () => {
  const text = sourceOf("src/index.ts").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
  const rest = text.replaceAll(/export (?:type )?\{[^}]*\} from "\.\/[\w/-]+\.ts";/g, "");
  expect(rest.trim()).toBe("");
  const names = exportsOf("src/index.ts");
  expect(names).toEqual([...new Set(names)]);
});

test("every value that it names exists, and there are no others", () => {
  const names = exportsOf("src/index.ts");
  expect(names).toEqual(expect.arrayContaining(Object.keys(surface)));
  for (const [name, value] of Object.entries(surface)) expect(value, name).toBeDefined();
});

test("it holds all of portcullis/core", () => {
  expect(surface).toMatchObject(core);
});

describe("what the pages import is exported", () => {
  const imports = PAGES.flatMap((path) =>
    snippetsOf(path).flatMap(({ text }) =>
      [...text.matchAll(/import (?:type )?\{([^}]*)\} from "(portcullis[^"]*)"/g)].map(
        ([, list = "", from = ""]) => ({ path, names: namesIn(list), from }),
      ),
    ),
  );

  test("there are such imports", () => {
    expect(new Set(imports.map(({ from }) => from))).toEqual(new Set(Object.keys(SOURCES)));
  });

  test.each(imports)("$path from $from", ({ names, from }) => {
    const source = Object.entries(SOURCES).find(([name]) => name === from)?.[1];
    if (source === undefined) throw new Error(`${from} is not exported by package.json`);
    expect(exportsOf(source)).toEqual(expect.arrayContaining(names));
  });
});
