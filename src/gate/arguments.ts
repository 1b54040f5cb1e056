import { readFileSync } from "node:fs";
import { ExecError } from "./error.ts";

/**
 * The last `count` arguments of this process, byte for byte. process.argv replaces what is not
 * UTF-8, so that two different commands would look the same; /proc/self/cmdline does not.
 *
 * @throws ExecError exec.request where the two do not belong together, as after a change of
 * process.title.
 */
export function exactArguments(count: number): Buffer[] {
  const text = process.argv.slice(process.argv.length - count);
  const all = readFileSync("/proc/self/cmdline").toString("latin1").split("\0").slice(0, -1);
  const exact = all.slice(all.length - count).map((argument) => Buffer.from(argument, "latin1"));
  const same = exact.length === count && exact.every((bytes, i) => bytes.toString() === text[i]);
  if (!same) throw new ExecError("exec.request", "this process's own arguments cannot be read");
  return exact;
}
