/** Writes docs/codes.md from the table in src/core/codes.ts; a test compares the two. */
import { writeFile } from "node:fs/promises";
import { CODE_LIST, CODES, FAMILIES, familyOf } from "../src/core/codes.ts";

const lines = [
  "# Denial codes",
  "",
  "Every decision that is not allowed carries codes from this table, in the order in which they are judged; the first",
  "names the verdict. `portcullis run` exits with 75 for a code marked *retry*, with 77 for any other, and with 70 for",
  "`internal.*` that is not marked. The page is written by `node scripts/document-codes.ts`.",
];
for (const family of FAMILIES) {
  lines.push("", `## ${family}`, "", "| code | what it means | what to do |", "|---|---|---|");
  for (const code of CODE_LIST.filter((one) => familyOf(one) === family)) {
    const { why, next } = CODES[code];
    lines.push(`| \`${code}\` | ${why} | ${next} |`);
  }
}
const retry = CODE_LIST.filter((code) => "retry" in CODES[code]);
lines.push("", "## Codes marked retry", "", retry.map((code) => `\`${code}\``).join(", "), "");
await writeFile(new URL("../docs/codes.md", import.meta.url), lines.join("\n"));
