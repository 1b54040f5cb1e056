/** `portcullis freeze` and `portcullis unfreeze` */
import type { Command } from "commander";
import { setFreeze } from "../domain/publication.ts";
import type { Snapshot } from "../wire/objects.ts";
import {
  addPublishOptions,
  PUBLISHED_NOTE,
  type PublishOptions,
  publishAndTell,
} from "./publishing.ts";
import type { Session } from "./session.ts";
import { defineVerb } from "./verb.ts";

interface Options extends PublishOptions {
  readonly all?: true;
}

function publishFreeze(
  session: Session,
  options: Options,
  freeze: Snapshot["freeze"],
): Promise<void> {
  return publishAndTell(session, options, (path, publication) =>
    setFreeze(path, publication, freeze),
  );
}

export function register(program: Command): void {
  defineVerb<Options>(program, {
    name: "freeze",
    summary: "publish a snapshot under which no job starts",
    examples: ["portcullis freeze", "portcullis freeze --all"],
    notes: [PUBLISHED_NOTE],
    setup: (command) => addPublishOptions(command).option("--all", "end running leases as well"),
    run: (session, options) => publishFreeze(session, options, options.all ? "all" : "new"),
  });
  defineVerb<Options>(program, {
    name: "unfreeze",
    summary: "publish a snapshot under which jobs start again",
    examples: ["portcullis unfreeze"],
    notes: [PUBLISHED_NOTE],
    setup: (command) => addPublishOptions(command),
    run: (session, options) => publishFreeze(session, options, "none"),
  });
}
