/** `portcullis freeze` and `portcullis unfreeze` */
import type { Command } from "commander";
import { setFreeze } from "../domain/publication.ts";
import type { Snapshot } from "../wire/objects.ts";
import {
  addSignerOption,
  PUBLISHED_NOTE,
  publicationOf,
  publishedLines,
  publishedShape,
  type SignerOptions,
} from "./publishing.ts";
import type { Session } from "./session.ts";
import { defineVerb } from "./verb.ts";

interface Options extends SignerOptions {
  readonly all?: true;
}

async function publishFreeze(
  session: Session,
  options: Options,
  freeze: Snapshot["freeze"],
): Promise<void> {
  const home = session.home();
  const domain = await setFreeze(home.path, await publicationOf(home, options), freeze);
  session.tell(publishedShape(domain), publishedLines(domain));
}

export function register(program: Command): void {
  defineVerb<Options>(program, {
    name: "freeze",
    summary: "publish a snapshot under which no job starts",
    examples: ["portcullis freeze", "portcullis freeze --all"],
    notes: [PUBLISHED_NOTE],
    setup: (command) =>
      addSignerOption(command, "governance").option("--all", "end running leases as well"),
    run: (session, options) => publishFreeze(session, options, options.all ? "all" : "new"),
  });
  defineVerb<Options>(program, {
    name: "unfreeze",
    summary: "publish a snapshot under which jobs start again",
    examples: ["portcullis unfreeze"],
    notes: [PUBLISHED_NOTE],
    setup: (command) => addSignerOption(command, "governance"),
    run: (session, options) => publishFreeze(session, options, "none"),
  });
}
