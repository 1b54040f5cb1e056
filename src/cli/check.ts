/** `check`: decide without executing. */
import { decideAndAct } from "./run.ts";
import type { Globals } from "./session.ts";

export function main(words: readonly string[], globals: Globals): Promise<number> {
  return decideAndAct("check", words, globals);
}
