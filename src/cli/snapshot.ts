/** `portcullis snapshot renew` */
import type { Command } from "commander";
import { renewSnapshot } from "../domain/publication.ts";
import {
  addSignerOption,
  PUBLISHED_NOTE,
  publicationOf,
  publishedLines,
  publishedShape,
} from "./publishing.ts";
import { spanOption } from "./values.ts";
import { defineFamily, defineVerb } from "./verb.ts";

interface Options {
  readonly lifetime?: number;
}

export function register(program: Command): void {
  const family = defineFamily(program, "snapshot", "renew the governance snapshot");
  defineVerb<Options>(family, {
    name: "renew",
    summary: "publish the snapshot anew, with the next version and a later expiry",
    examples: ["portcullis snapshot renew", "portcullis snapshot renew --lifetime 10m"],
    notes: [PUBLISHED_NOTE],
    setup: (command) =>
      addSignerOption(command, "governance").option(
        "--lifetime <span>",
        "until it expires (default: the charter's bound)",
        spanOption("--lifetime"),
      ),
    run: async (session, options) => {
      const home = session.home();
      const publication = await publicationOf(home, options);
      const domain = await renewSnapshot(home.path, publication);
      session.tell(publishedShape(domain), publishedLines(domain));
    },
  });
}
