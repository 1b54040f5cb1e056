/**
 * Compiles modules with asc, one after another: a process of its own for assembly.ts. The argument
 * is a JSON array of {path, args}; each file appears whole or not at all.
 */
import { rename } from "node:fs/promises";
import * as asc from "assemblyscript/asc";

const jobs: { path: string; args: string[] }[] = JSON.parse(process.argv[2] ?? "[]");
for (const { path, args } of jobs) {
  const made = `${path}.${process.pid}`;
  const { error, stderr } = await asc.main([...args, "--outFile", made]);
  if (error !== null) throw new Error(stderr.toString(), { cause: error });
  await rename(made, path);
}
