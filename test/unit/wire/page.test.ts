import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { inspect } from "../../../src/wire/inspect.ts";
import { EXAMPLES } from "../../support/examples.ts";
import { unhex } from "../../support/wire.ts";

const PAGE = readFileSync(new URL("../../../docs/wire-format.md", import.meta.url), "utf8");

/** The blocks of the page that open with "```hex NAME", without comments and spaces. */
function blocks(): Map<string, string> {
  const found = [...PAGE.matchAll(/^```hex ([a-z-]+)\n([\s\S]*?)^```$/gm)];
  return new Map(
    found.map(([, name = "", block = ""]) => [
      name,
      block.replaceAll(/#.*$/gm, "").replaceAll(/\s/g, ""),
    ]),
  );
}

test("the page holds exactly these worked examples", () => {
  expect([...blocks().keys()]).toEqual(Object.keys(EXAMPLES));
});

test.each(Object.entries(EXAMPLES))("%s is what the code makes", (name, bytes) => {
  expect(blocks().get(name)).toBe(unhex(bytes));
});

test("what the page shows as objects can be inspected", () => {
  const kinds = ["key", "job", "proof", "status-list"].map((name) => {
    const bytes = new Uint8Array(Buffer.from(blocks().get(name) ?? "", "hex"));
    return inspect(bytes).kind;
  });
  expect(kinds).toEqual(["key", "job", "proof", "statusList"]);
});
