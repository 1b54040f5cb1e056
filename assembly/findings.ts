/**
 * What a decision found: the codes of all failed checks, the first of them apart. Checks only add;
 * only verdict.ts reads.
 */
import { CODES, Code } from "./generated";

/** The code recorded first: families, elements and codes are judged in the documented order. */
export let first: Code = Code.NONE;

/** One byte a code, 1 where it was recorded. */
export const FOUND: usize = memory.data(256);

export function clearFindings(): void {
  first = Code.NONE;
  memory.fill(FOUND, 0, 256);
}

/** Records a failed check. */
export function deny(code: Code): void {
  assert(code != Code.NONE && <u32>code <= CODES, "a code of the table");
  if (first == Code.NONE) first = code;
  store<u8>(FOUND + <u32>code, 1);
}

/** Records the code unless the condition holds; gives the condition back. */
export function check(holds: bool, code: Code): bool {
  if (!holds) deny(code);
  return holds;
}
