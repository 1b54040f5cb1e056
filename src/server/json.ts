/** JSON at the edge: one value, no member twice (two readers must never see two requests). */
import { RequestError } from "./problems.ts";

/** A string, or a mark of structure. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;

/** @throws RequestError `request.malformed`, `request.duplicate` */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says would quote what was sent.
    throw new RequestError("request.malformed", "The body is no JSON.");
  }
  refuseDuplicates(text);
  return value;
}

function refuseDuplicates(text: string): void {
  const open: Set<string>[] = [];
  let before = "";
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === "{" || token === "[") open.push(new Set());
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      // As it is read, so that an escaped letter hides nothing.
      const name: string = JSON.parse(before);
      const names = open.at(-1);
      if (names?.has(name)) throw new RequestError("request.duplicate", "A member stands twice.");
      names?.add(name);
    }
    before = token;
  }
}
