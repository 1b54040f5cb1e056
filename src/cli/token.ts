/** `portcullis token create | list | revoke`: who may operate this plane. */
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { TokenFolder } from "../domain/tokens.ts";
import { makeToken, ROLES, type Role } from "../plane/index.ts";
import { UsageError } from "./error.ts";
import { isoTime, pairs } from "./print.ts";
import { collect, spanOption } from "./values.ts";
import { defineFamily, defineVerb } from "./verb.ts";

interface CreateOptions {
  readonly label?: readonly string[];
  readonly lifetime: number;
  readonly replace?: true;
}

const DAY = 86_400;

function roleOf(text: string | undefined): Role {
  const role = ROLES.find((one) => one === text);
  if (role !== undefined) return role;
  throw new UsageError(`"${text}" is no role: ${ROLES.join(", ")}.`);
}

export function register(program: Command): void {
  const family = defineFamily(program, "token", "create, list and revoke tokens of a plane");
  defineVerb<CreateOptions>(family, {
    name: "create",
    summary: "make a token, and print it this once",
    examples: ["portcullis token create enroll --label web", "portcullis token create view"],
    notes: [
      "view: see state, nodes and decisions. operate: also renew, freeze, revoke. enroll: have nodes enrolled.",
      "JSON: {token, id, role, labels, expires}",
    ],
    setup: (command) =>
      command
        .argument("<role>", ROLES.join(", "))
        .option("--label <label>", "a label of nodes enrolled with it; again for others", collect)
        .option("--replace", "it may give a known node another key")
        .option("--lifetime <span>", "until it expires", spanOption("--lifetime"), DAY),
    run: async (session, options, [role]) => {
      const labels = [...new Set(options.label ?? [])].sort();
      const terms = {
        role: roleOf(role),
        labels,
        replace: options.replace === true,
        expires: nowSeconds() + options.lifetime,
      };
      if (terms.role !== "enroll" && (labels.length > 0 || terms.replace)) {
        throw new UsageError("--label and --replace belong to tokens of the role enroll.");
      }
      const { text, record } = makeToken(terms);
      await new TokenFolder(session.home().path).add(record);
      const expires = isoTime(record.expires);
      session.tell({ token: text, id: record.id, role: record.role, labels, expires }, [text]);
    },
  });
  defineVerb(family, {
    name: "list",
    summary: "list tokens; secrets are kept nowhere",
    examples: ["portcullis token list"],
    notes: ["JSON: [{id, role, labels, expires}]"],
    run: async (session) => {
      const all = await new TokenFolder(session.home().path).all();
      const shown = all.map(({ id, role, labels, expires }) => ({
        id,
        role,
        labels,
        expires: isoTime(expires),
      }));
      session.tell(
        shown,
        pairs(shown.map((one) => [one.id, `${one.role}, until ${one.expires} ${one.labels}`])),
      );
    },
  });
  defineVerb(family, {
    name: "revoke",
    summary: "make a token useless",
    examples: ["portcullis token revoke 0123456789abcdef"],
    notes: ["JSON: {id}"],
    setup: (command) =>
      command.argument("<id>", "as `list` shows it: the second part of the token"),
    run: async (session, _options, [id = ""]) => {
      if (!(await new TokenFolder(session.home().path).remove(id))) {
        throw new UsageError(`There is no token ${id}: \`portcullis token list\` shows them.`);
      }
      session.tell({ id }, [`Revoked ${id}.`]);
    },
  });
}
