/**
 * A gate process in small, for faults that need a real one: claims uses and records outcomes, one
 * line a step. Arguments: the store's file, the first request's number, how many, the element's
 * number, its maximum, and "start" to wait for a line on standard input first.
 */
import { once } from "node:events";
import { type Store, StoreError } from "../../src/store/contract.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { claimOf, digest, journalOf, outcome, PROVEN } from "./journal.ts";

const [file = "", first = "", count = "", element = "", max = "", wait] = process.argv.slice(2);
const journal = journalOf(open());
if (wait === "start") {
  process.stdout.write("ready\n");
  await once(process.stdin, "data");
}
for (let request = Number(first); request < Number(first) + Number(count); request++) {
  try {
    const { index } = await journal.claim(claimOf(request, Number(element), Number(max)));
    process.stdout.write(`claimed ${request} ${index}\n`);
    if (request % 2 === 0) await journal.record({ proven: PROVEN, leaf: outcome(digest(request)) });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : String(error);
    const cause = error instanceof Error ? error.cause : null;
    const beneath = cause instanceof Error && "code" in cause ? cause.code : "";
    process.stdout.write(`refused ${request} ${code} ${beneath}\n`);
  }
}
process.exit(0);

function open(): Store {
  try {
    return openSqliteStore(file);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    process.stdout.write(`unopened ${error.code}\n`);
    return process.exit(0);
  }
}
