/** `portcullis inspect` */
import type { Command } from "commander";
import { LogError } from "../log/error.ts";
import { parseLeaf, showLeaf } from "../log/leaf.ts";
import { splitCose } from "../wire/cose.ts";
import { WireError } from "../wire/error.ts";
import { type Inspection, inspect, type Recognizer } from "../wire/inspect.ts";
import { UsageError } from "./error.ts";
import { readInput } from "./input-file.ts";
import { type Json, oneLine, pairs } from "./print.ts";
import { defineVerb } from "./verb.ts";

const LEAF: Recognizer = {
  kind: "leaf",
  what: "A leaf of the audit log: what was decided, or what came of it.",
  unverified: ["whether any log holds it (`portcullis audit verify`)"],
  read(bytes) {
    try {
      return showLeaf(parseLeaf(bytes)) as Json & ReturnType<Recognizer["read"]>;
    } catch (error) {
      if (error instanceof LogError) return null;
      throw error;
    }
  },
};

/** Whether the file holds several signed objects, one after another. */
function isChain(bytes: Uint8Array): boolean {
  try {
    return splitCose(bytes).length > 1;
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}

function recognized(bytes: Uint8Array, file: string): Inspection {
  try {
    return inspect(bytes, [LEAF]);
  } catch (cause) {
    if (!(cause instanceof WireError)) throw cause;
    if (isChain(bytes)) {
      throw new UsageError(`${file} is a chain: \`portcullis lineage show\` shows it.`, { cause });
    }
    throw new UsageError(`${file} is no object of ours, or is damaged: ${cause.message}.`, {
      cause,
    });
  }
}

/**
 * Nested content as indented lines: `name: value`. Text from the object cannot break out of its
 * line.
 */
function contentLines(value: Json | undefined, indent: string): string[] {
  if (value === null || value === undefined || typeof value !== "object") {
    return [`${indent}${oneLine(String(value))}`];
  }
  const entries: (readonly [string, Json | undefined])[] = Array.isArray(value)
    ? value.map((item: Json, i) => [`[${i}]`, item] as const)
    : Object.entries(value);
  if (entries.length === 0) return [`${indent}(none)`];
  return entries.flatMap(([name, inner]) => {
    if (inner !== null && typeof inner === "object") {
      return [`${indent}${oneLine(name)}:`, ...contentLines(inner, `${indent}  `)];
    }
    return [`${indent}${oneLine(name)}: ${oneLine(String(inner))}`];
  });
}

export function register(program: Command): void {
  defineVerb<object>(program, {
    name: "inspect",
    summary: "show any object of ours, and what is not verified about it",
    examples: ["portcullis inspect report.grant", "portcullis inspect --json 7.snapshot"],
    notes: [
      "Nothing is verified: this shows what the bytes claim.",
      "JSON: {kind, what, digest, signatures: [{kid, algorithm}], content, unverified: [text]}",
    ],
    setup: (command) => command.argument("<file>", "a charter, grant, snapshot, case, ..."),
    run: async (session, _options, [file = ""]) => {
      const found = recognized(await readInput(file), file);
      const signers = found.signatures.map(({ kid, algorithm }) => `${kid} (${algorithm})`);
      const rows: [string, string][] = [["kind", found.kind]];
      if (found.digest !== null) rows.push(["digest", found.digest]);
      for (const signer of signers) rows.push(["signer", signer]);
      const shape: Json = { ...found, signatures: found.signatures.map((one) => ({ ...one })) };
      session.tell(shape, [
        found.what,
        ...pairs(rows),
        "content:",
        ...contentLines(found.content, "  "),
        "NOT verified:",
        ...found.unverified.map((what) => `  - ${what}`),
      ]);
    },
  });
}
