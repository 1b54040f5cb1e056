import { isUtf8 } from "node:buffer";
import { readFileSync } from "node:fs";
import { UsageError } from "./error.ts";

/** What Node reads in the place of bytes that are not UTF-8. */
const REPLACED = "\ufffd";

/**
 * Refuses text of the command line, or of the environment, that is not what was given: it would
 * name another job. Text that does hold the character itself is let be.
 *
 * @throws UsageError
 */
export function requireUtf8(texts: readonly string[], where: "cmdline" | "environ"): void {
  if (!texts.some((text) => text.includes(REPLACED))) return;
  if (isUtf8(readFileSync(`/proc/self/${where}`))) return;
  const what = where === "cmdline" ? "The command line" : "A variable that --env names";
  throw new UsageError(
    `${what} is not UTF-8: such bytes can be had in a program of your own alone.`,
  );
}
