/**
 * Reads sources without a compiler, because none reads both assembly/ and src/: what is code and
 * what is text, which modules a file imports, and which files there are. It knows as much of the
 * grammar as this needs, and where it cannot tell it reports too much rather than too little.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** The part of `text` where a token of this kind starts; each ends where the pattern ends. */
const TOKENS = [
  { kind: "comment", pattern: /\/\/[^\n]*|\/\*[\s\S]*?\*\//y },
  { kind: "text", pattern: /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/y },
  { kind: "regex", pattern: /\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/y },
] as const;

/** What stands before a `/` that begins a regular expression, and not a division. */
const BEFORE_REGEX = /(?:^|[-=(,:;!&|?{[<>+*%~^}]|\b(?:return|case|typeof|in|of|await|yield))\s*$/;

const blank = (text: string): string => text.replaceAll(/[^\n]/g, " ");

/**
 * Finds where a template ends, with the code inside `${}` kept. `at` is behind the first backtick.
 */
function template(text: string, at: number): { code: string; end: number } {
  let code = "";
  let position = at;
  while (position < text.length) {
    const char = text[position];
    if (char === "`") return { code: `${code}\``, end: position + 1 };
    if (char === "\\") {
      code += blank(text.slice(position, position + 2));
      position += 2;
    } else if (text.startsWith("${", position)) {
      const inner = scan(text, position + 2, true);
      code += `  ${inner.code} `;
      position = inner.end + 1;
    } else {
      code += char === "\n" ? "\n" : " ";
      position += 1;
    }
  }
  return { code, end: position };
}

/** Blanks all that is no code from `start` on; inside a template up to the brace that ends it. */
function scan(text: string, start: number, inTemplate: boolean): { code: string; end: number } {
  let code = "";
  let depth = 0;
  let position = start;
  while (position < text.length) {
    const char = text[position] ?? "";
    if (inTemplate && char === "}" && depth === 0) break;
    if (char === "{") depth += 1;
    if (char === "}") depth -= 1;
    if (char === "`") {
      const { code: inner, end } = template(text, position + 1);
      code += `\`${inner}`;
      position = end;
      continue;
    }
    const token = tokenAt(text, position, code);
    code += token === null ? char : token.code;
    position += token === null ? 1 : token.code.length;
  }
  return { code, end: position };
}

function tokenAt(text: string, at: number, before: string): { code: string } | null {
  for (const { kind, pattern } of TOKENS) {
    if (kind === "regex" && !BEFORE_REGEX.test(before.slice(-40))) continue;
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found === undefined) continue;
    if (kind === "comment") return { code: blank(found) };
    const [quote] = found;
    return { code: `${quote}${blank(found.slice(1, -1))}${quote}` };
  }
  return null;
}

/** The text with comments, regular expressions and the inside of strings blanked, line by line. */
export function codeOf(text: string): string {
  return scan(text, 0, false).code;
}

export interface Import {
  /** The module as it is written, or null where it cannot be read from the source. */
  readonly module: string | null;
  readonly line: number;
  readonly dynamic: boolean;
}

/**
 * Every way to name another module (an ES module has no `require` but by `createRequire`); each
 * match ends right before the name, if there is one.
 */
const IMPORTS = [
  { pattern: /\bfrom\s*(?=["'])/g, dynamic: false },
  { pattern: /\bimport\s*(?=["'])/g, dynamic: false },
  { pattern: /\bimport\s*\(\s*/g, dynamic: true },
  { pattern: /\bcreateRequire\b|\bgetBuiltinModule\b/g, dynamic: true },
] as const;

/** All imports of a source: values, types, re-exports, `import()` in code and in types. */
export function importsOf(text: string): Import[] {
  const code = codeOf(text);
  const found: (Import & { at: number })[] = [];
  for (const { pattern, dynamic } of IMPORTS) {
    for (const match of code.matchAll(pattern)) {
      const at = match.index + match[0].length;
      const name = /^(["'])(.*?)\1(?=\s*[,;)\n]|\s+with\b|\s*$)/.exec(text.slice(at));
      const line = text.slice(0, at).split("\n").length;
      found.push({ module: name?.[2] ?? null, line, dynamic, at });
    }
  }
  return found
    .sort((a, b) => a.at - b.at)
    .map(({ module, line, dynamic }) => ({ module, line, dynamic }));
}

/** What the build makes, and what npm and git keep. */
const NOT_OURS =
  /(?:^|\/)(?:node_modules|dist|wasm)\/|^assembly\/(?:.*\.)?generated\.ts$|package-lock\.json$/;

/** Our files under the folders, as paths from the project's root. */
export function filesUnder(folders: readonly string[]): string[] {
  return folders
    .flatMap((folder) => globSync(`${folder}/**/*`, { cwd: ROOT, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length + 1))
    .filter((path) => !NOT_OURS.test(path))
    .sort();
}

export const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
