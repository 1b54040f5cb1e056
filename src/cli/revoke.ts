/** `portcullis revoke` */
import type { Command } from "commander";
import { loadDomain } from "../domain/domain.ts";
import { type Revocation, revoke } from "../domain/publication.ts";
import { parseCose, splitCose } from "../wire/cose.ts";
import { kindOf, parseSigned } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import { aboutFile, readInput } from "./input-file.ts";
import { hex, type Json } from "./print.ts";
import { addPublishOptions, type PublishOptions, publishAndTell } from "./publishing.ts";
import { collect, parseCount, parseHex } from "./values.ts";
import { defineVerb } from "./verb.ts";

interface Options extends PublishOptions {
  readonly grant?: readonly string[];
  readonly node?: readonly string[];
  readonly digest?: readonly string[];
}

const INDEX_MAX = 2 ** 48;

/**
 * What revokes the object in this file. Its signatures are not verified: revoking too much is safe.
 */
async function fromFile(path: string, domain: string): Promise<Revocation> {
  const file = await readInput(path);
  return aboutFile(path, () => revocationBy(file, path, domain));
}

function revocationBy(file: Uint8Array, path: string, domain: string): Revocation {
  // Of a chain, its end: what stands above it may have other children.
  const bytes = splitCose(file).at(-1) ?? file;
  const kind = kindOf(parseCose(bytes));
  if (kind !== "grant" && kind !== "node" && kind !== "link") {
    throw new UsageError(
      `${path} holds a ${kind ?? "message of another kind"}, which nobody revokes.`,
    );
  }
  const { claims, digest } = parseSigned(kind, bytes);
  if (claims.domain !== domain) {
    throw new UsageError(`${path} belongs to the domain ${claims.domain}, not to ${domain}.`);
  }
  if ("publicArea" in claims) return { kind: "nodes", index: claims.statusIndex };
  if ("parent" in claims && digest !== null) return { kind: "element", digest };
  if ("statusIndex" in claims) return { kind: "grants", index: claims.statusIndex };
  throw new UsageError(`${path} bears no status index.`);
}

async function revocationsOf(
  files: readonly string[],
  { grant = [], node = [], digest = [] }: Options,
  domain: string,
): Promise<Revocation[]> {
  const index = (flag: string, kind: "grants" | "nodes") => (text: string) =>
    ({ kind, index: parseCount(text, 0, INDEX_MAX, flag) }) as const;
  const named = await Promise.all(files.map((file) => fromFile(file, domain)));
  const all: Revocation[] = [
    ...named,
    ...grant.map(index("--grant", "grants")),
    ...node.map(index("--node", "nodes")),
    ...digest.map((text) => ({ kind: "element", digest: parseHex(text, 32, "--digest") }) as const),
  ];
  if (all.length > 0) return all;
  throw new UsageError("Nothing to revoke: name a file, --grant, --node or --digest.");
}

const shapeOf = (revocation: Revocation): Json =>
  revocation.kind === "element"
    ? { kind: "element", digest: hex(revocation.digest) }
    : { kind: revocation.kind === "grants" ? "grant" : "node", index: revocation.index };

export function register(program: Command): void {
  defineVerb<Options>(program, {
    name: "revoke",
    summary: "publish a snapshot under which these are revoked",
    examples: ["portcullis revoke report.grant", "portcullis revoke --grant 12 --node 3"],
    notes: [
      "A gate that still holds an earlier snapshot honours it until that expires.",
      "JSON: {revoked: [{kind: grant | node, index} | {kind: element, digest}], snapshot: {...}}",
    ],
    setup: (command) =>
      addPublishOptions(command)
        .argument("[files...]", "grants, chains (their last link) or node credentials")
        .option("--grant <index>", "a grant by its status index; again for others", collect)
        .option("--node <index>", "a node by its status index; again for others", collect)
        .option("--digest <hex>", "any element by its digest; again for others", collect),
    run: async (session, options, files) => {
      const home = session.home();
      const { name } = await loadDomain(home.path);
      const revocations = await revocationsOf(files, options, name);
      await publishAndTell(
        session,
        options,
        (path, publication) => revoke(path, publication, revocations),
        {
          shape: (snapshot) => ({ revoked: revocations.map(shapeOf), snapshot }),
          lines: [`revoked   ${revocations.length}`],
        },
      );
    },
  });
}
