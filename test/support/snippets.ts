/** The pages, and the code in them. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** The pages that speak of the whole project; tests execute or compare what they say. */
export const PAGES = [
  "README.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "docs/abi.md",
  "docs/architecture.md",
  "docs/policies.md",
] as const;

/** Every page there is. */
export const ALL_PAGES: readonly string[] = globSync("{*,docs/*}.md", { cwd: root }).sort();

export interface Snippet {
  readonly language: string;
  readonly text: string;
  /** Of the fence, from 1 on. */
  readonly line: number;
}

export function page(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** The fenced blocks of a page. */
export function snippetsOf(path: string): Snippet[] {
  const text = page(path);
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map((found) => ({
    language: found[1] ?? "",
    text: found[2] ?? "",
    line: text.slice(0, found.index).split("\n").length,
  }));
}

/** The only block of a language on a page. */
export function snippetOf(path: string, language: string): string {
  const found = snippetsOf(path).filter((snippet) => snippet.language === language);
  const [only] = found;
  if (only === undefined || found.length > 1) {
    throw new Error(`${path} has ${found.length} blocks of ${language}`);
  }
  return only.text;
}

/** The rows of the table under this head, cell by cell. */
export function tableOf(path: string, head: string): string[][] {
  const lines = page(path).split("\n");
  const start = lines.indexOf(head);
  if (start < 0) throw new Error(`${path} has no table ${head}`);
  const rows = lines.slice(start + 2);
  return rows
    .slice(
      0,
      rows.findIndex((line) => !line.startsWith("|")),
    )
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}
