/** `portcullis snapshot renew` */
import { type Command, Option } from "commander";
import { loadDomain } from "../domain/domain.ts";
import { publish } from "../domain/publication.ts";
import { fetchGovernance, openClient } from "./plane-client.ts";
import {
  addPublishOptions,
  PUBLISHED_NOTE,
  type PublishOptions,
  publishAndTell,
  publishedLines,
  publishedShape,
} from "./publishing.ts";
import { spanOption } from "./values.ts";
import { defineFamily, defineVerb } from "./verb.ts";

interface FetchOptions {
  readonly plane: string;
  readonly planeCa?: string;
}

type RenewOptions = PublishOptions & { readonly decision?: "local" | "plane" };

export function register(program: Command): void {
  const family = defineFamily(program, "snapshot", "renew the governance snapshot");
  defineVerb<RenewOptions>(family, {
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
        .option("--under <charter>", "with --for-signing: the proposed charter that it will name")
        .addOption(
          new Option("--decision <who>", "who must decide from now on").choices(["local", "plane"]),
        ),
    run: (session, options) => {
      const { decision } = options;
      const change = decision === undefined ? {} : { decision };
      return publishAndTell(session, options, (path, publication) =>
        publish(path, publication, () => change),
      );
    },
  });
  defineVerb<FetchOptions>(family, {
    name: "fetch",
    summary: "take charters, snapshot, status list and policies from a plane",
    examples: ["portcullis snapshot fetch --plane https://plane.example.org:8404"],
    notes: [PUBLISHED_NOTE],
    setup: (command) =>
      command
        .requiredOption("--plane <url>", "the plane")
        .option("--plane-ca <file>", "authorities of its certificate (PEM); else the system's"),
    run: async (session, { plane, planeCa }) => {
      const home = session.home();
      const client = await openClient(plane, planeCa);
      await fetchGovernance(home, client).finally(() => client.close());
      const domain = await loadDomain(home.path);
      session.tell(publishedShape(domain), publishedLines(domain));
    },
  });
}
