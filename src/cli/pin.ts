/**
 * `portcullis governance pin`: another charter as the one that this gate goes on from, by the
 * operator's word. For a gate that can follow no more: it slept through too many rotations, or the
 * charter that it has pinned has expired.
 */
import type { Command } from "commander";
import { compareBytes } from "../bytes.ts";
import { loadDomain } from "../domain/domain.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { UsageError } from "./error.ts";
import { hex, pairs } from "./print.ts";
import type { Session } from "./session.ts";
import { parseHex } from "./values.ts";
import { defineVerb } from "./verb.ts";

interface Options {
  readonly digest: string;
}

/** Floors, ledger and log stay: only where the way through the charters begins is another. */
async function pin(session: Session, options: Options): Promise<void> {
  const home = session.home();
  const digest = parseHex(options.digest, 32, "--digest");
  const { charters, name } = await loadDomain(home.path);
  const chosen = charters.find((charter) => compareBytes(charter.digest, digest) === 0);
  if (chosen === undefined) {
    throw new UsageError(
      `--digest: none of the ${charters.length} charters of ${name} in this home has that digest: ` +
        "fetch or copy them first, or look at the digest again.",
    );
  }
  const { number } = chosen.object.claims;
  const store = openSqliteStore(home.state);
  const before = await store
    .transact(async (transaction) => {
      const held = await transaction.floors();
      if (held === null) throw new UsageError("No charter is pinned: `portcullis init` does it.");
      if (number <= held.charterNumber) {
        throw new UsageError(
          `Charter ${held.charterNumber} is pinned: the pin moves forward only, not to ${number}.`,
        );
      }
      await transaction.raiseFloors({ ...held, charterDigest: digest, charterNumber: number });
      return held.charterNumber;
    })
    .finally(() => store.close());
  session.tell({ domain: name, pinned: number, digest: hex(digest), before }, [
    ...pairs([
      ["domain", name],
      ["pinned", `charter ${number}, before it ${before}`],
      ["digest", hex(digest)],
    ]),
    "next: portcullis doctor",
  ]);
}

export function registerPin(family: Command): void {
  defineVerb<Options>(family, {
    name: "pin",
    summary: "go on from a later charter, by your word, where this gate can follow no more",
    examples: ["portcullis governance pin --digest 5f1c...9e"],
    notes: [
      "A gate follows rotations by itself, over at most 16 charters, all unexpired. Only one that",
      "slept longer needs this. The digest is your word for who governs: take it from `portcullis",
      "status` on the machine that publishes, not from the files beside this gate.",
      "JSON: {domain, pinned, digest, before}: the charters' numbers, and the new one's digest",
    ],
    setup: (command) =>
      command.requiredOption("--digest <hex>", "of the charter, which lies in this home"),
    run: pin,
  });
}
