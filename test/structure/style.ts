/** The project's style where a linter does not see it: sizes, names, and words that stay out. */
import { basename } from "node:path";
import { codeOf } from "./source.ts";

export const LINES_PER_FILE = 400;
export const LINES_PER_FUNCTION = 70;
export const COLUMNS = 100;

/** Tables: one row after the other, nothing to divide. */
const TABLES: Readonly<Record<string, number>> = {
  "src/core/codes.ts": 700,
  "src/wire/registry.ts": 500,
};

const KEBAB_CASE = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+)*$/;
const OTHER_NAMES = /^(?:README\.md|\.npmrc|\.gitignore)$/;

/** Somebody's own directories: a checkout works anywhere. */
const MACHINE = /(?<![\w.~})])\/(?:home|Users|work)\/[\w.-]+/;
const UNFINISHED = /\b(?:TO(?:)DO|FIX(?:)ME)\b/;
/** The compiler's switch that takes the core's assertions away. */
const NO_ASSERT = /no-?assert/i;

/** A line that holds one long text, or an address, cannot be broken. */
const UNBREAKABLE = /^\s*(?:[\w.]+[:=] ?)?["'`][^"'`]*["'`]\)?[,;]?$|https?:\/\/\S{60}/;

/** A block that is no function: a type, a class, an object; or one that only groups tests. */
const NO_FUNCTION = [
  /\b(?:class|interface|namespace|enum)\s+\w/,
  /^\s*(?:export\s+)?(?:declare\s+)?type\s/,
  /(?:[:,?([]|[^=]=|\breturn|\bsatisfies\s.*)\s*\{$/,
  /\bdescribe\w*(?:\.\w+)*\(.*=>\s*\{$/,
];

/** The functions of a source that are longer than a page, as lines "from-to". */
export function longFunctions(text: string, longest = LINES_PER_FUNCTION): string[] {
  const lines = codeOf(text).split("\n");
  const open: { line: number; column: number }[] = [];
  const found: string[] = [];
  for (const [line, code] of lines.entries()) {
    for (let column = 0; column < code.length; column += 1) {
      if (code[column] === "{") open.push({ line, column });
      const start = code[column] === "}" ? open.pop() : undefined;
      if (start === undefined || line - start.line + 1 <= longest) continue;
      const head = (lines[start.line] ?? "").slice(0, start.column + 1);
      if (!NO_FUNCTION.some((pattern) => pattern.test(head))) {
        found.push(`${start.line + 1}-${line + 1}`);
      }
    }
  }
  return found;
}

/** What is wrong with the style of a file: one line each. */
export function blemishes(path: string, text: string): string[] {
  const problems: string[] = [];
  const name = basename(path);
  if (!KEBAB_CASE.test(name) && !OTHER_NAMES.test(name)) problems.push(`${path}: its name`);
  const lines = text.replace(/\n$/, "").split("\n");
  if (path.endsWith(".ts")) {
    const longest = TABLES[path] ?? LINES_PER_FILE;
    if (lines.length > longest) problems.push(`${path}: ${lines.length} lines`);
    for (const place of longFunctions(text)) problems.push(`${path}:${place}: a long function`);
  }
  for (const [index, line] of lines.entries()) {
    problems.push(...forbidden(`${path}:${index + 1}`, line));
  }
  return problems;
}

/** The lines of a file that are wider than the page. */
export function wideLines(path: string, text: string): string[] {
  return text.split("\n").flatMap((line, index) => {
    const fits = [...line].length <= COLUMNS || UNBREAKABLE.test(line);
    return fits ? [] : [`${path}:${index + 1}: too wide`];
  });
}

/** Words that no file of ours holds, in code, scripts or prose. */
export function forbidden(place: string, line: string): string[] {
  const problems: string[] = [];
  if (MACHINE.test(line)) problems.push(`${place}: a path of one machine`);
  if (UNFINISHED.test(line)) problems.push(`${place}: unfinished`);
  if (NO_ASSERT.test(line) && !place.startsWith("test/structure/")) {
    problems.push(`${place}: assertions stay in every build`);
  }
  return problems;
}
