/**
 * Writes the corpus anew: `node scripts/corpus.ts`. The cases of software keys come out the same
 * every time; a fresh software TPM signs the others. What a case must give is declared with it, and
 * compared before anything is written.
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadCore } from "../src/core/index.ts";
import { bootLogCases } from "./corpus/boot-logs.ts";
import { appraisable, type CorpusCase, fileOf } from "./corpus/case.ts";
import { editedCases } from "./corpus/edits.ts";
import { genuineCases } from "./corpus/genuine.ts";
import { imaListCases } from "./corpus/ima-lists.ts";
import { imaRuleCases } from "./corpus/ima-rules.ts";

const folder = join(dirname(fileURLToPath(import.meta.url)), "../corpus/cases");

const cases: readonly CorpusCase[] = [
  ...editedCases(),
  ...bootLogCases(),
  ...imaRuleCases(),
  ...imaListCases(),
  ...(await genuineCases()),
];
const core = await loadCore({ build: "checked" });
const names = new Set(cases.map(({ name }) => name));
if (names.size !== cases.length) throw new Error("two cases have one name");
const wrong = cases.flatMap((one) => {
  const { name, from, codes } = one;
  const found = core.appraiseQuote(appraisable(one)).codes;
  const parent = from === null || names.has(from) ? [] : [`${name}: there is no ${from}`];
  const same = found.join() === codes.join();
  return same ? parent : [...parent, `${name}: ${found.join(", ")}, not ${codes.join(", ")}`];
});
if (wrong.length > 0) throw new Error(`not as declared:\n${wrong.join("\n")}`);

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
for (const one of cases) await writeFile(join(folder, `${one.name}.json`), fileOf(one));
console.log(`${cases.length} cases`);
