/** `portcullis snapshot renew` */
import type { Command } from "commander";
import { renewSnapshot } from "../domain/publication.ts";
import {
  addPublishOptions,
  PUBLISHED_NOTE,
  type PublishOptions,
  publishAndTell,
} from "./publishing.ts";
import { spanOption } from "./values.ts";
import { defineFamily, defineVerb } from "./verb.ts";

export function register(program: Command): void {
  const family = defineFamily(program, "snapshot", "renew the governance snapshot");
  defineVerb<PublishOptions>(family, {
    name: "renew",
    summary: "publish the snapshot anew, with the next version and a later expiry",
    examples: ["portcullis snapshot renew", "portcullis snapshot renew --lifetime 10m"],
    notes: [PUBLISHED_NOTE],
    setup: (command) =>
      addPublishOptions(command)
        .option(
          "--lifetime <span>",
          "until it expires (default: the charter's bound)",
          spanOption("--lifetime"),
        )
        .option("--under <charter>", "with --for-signing: the proposed charter that it will name"),
    run: (session, options) => publishAndTell(session, options, renewSnapshot),
  });
}
