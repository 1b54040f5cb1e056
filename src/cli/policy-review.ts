/** `portcullis policy compile | diff | test`: what a policy says, before it is signed or active. */

import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { nowSeconds } from "../clock.ts";
import { loadCore } from "../core/index.ts";
import { loadDomain, loadPolicies } from "../domain/domain.ts";
import { createFile } from "../domain/files.ts";
import { draftPolicy } from "../domain/policies.ts";
import { EXIT } from "../gate/exit-codes.ts";
import { LIMITS } from "../limits.ts";
import { packedCases } from "../log/case-packs.ts";
import { CaseFolder } from "../log/cases.ts";
import { encodePayload, parseSigned, type ReferencePolicy } from "../wire/objects.ts";
import { parseYaml } from "./document.ts";
import { UsageError } from "./error.ts";
import { digestOf } from "./event-facts.ts";
import { readInput } from "./input-file.ts";
import { policyOf } from "./policy-document.ts";
import { differenceLines, differenceOf, policyRows, rowText } from "./policy-text.ts";
import { evidenceOf, type Trial, tryPolicy } from "./policy-trial.ts";
import { denialLines, hex, pairs } from "./print.ts";
import type { Session } from "./session.ts";
import { parseHex } from "./values.ts";
import { defineVerb } from "./verb.ts";

/** Digests take twice as many bytes in YAML as in what is signed. */
const DOCUMENT_BYTES_MAX = 2 * LIMITS.policyBytes;
const SIGNED_TAG = 0xd8;
const DIGEST = /^[0-9a-f]{64}$/i;

/** A policy in YAML, as claims of this domain. */
async function compiled(session: Session, file: string): Promise<ReferencePolicy> {
  const request = policyOf(parseYaml(await readInput(file, DOCUMENT_BYTES_MAX), file));
  return draftPolicy(await loadDomain(session.home().path), request, nowSeconds());
}

/**
 * The policy that a word means: a document or a signed policy in a file, or by its name the highest
 * version of this home.
 */
export async function policyAt(session: Session, word: string): Promise<ReferencePolicy> {
  const isFile = lstatSync(word, { throwIfNoEntry: false }) !== undefined;
  if (!isFile) {
    const all = await loadPolicies(await loadDomain(session.home().path));
    const named = all.filter(({ name }) => name === word);
    const highest = named.map(({ object }) => object.claims);
    const [first] = highest.sort((a, b) => b.version - a.version);
    if (first !== undefined) return first;
    throw new UsageError(`There is no file and no policy ${word}.`);
  }
  const bytes = await readInput(word, DOCUMENT_BYTES_MAX + LIMITS.payloadBytes * LIMITS.signers);
  if (bytes[0] === SIGNED_TAG) return parseSigned("policy", bytes).claims;
  return compiled(session, word);
}

async function compile(session: Session, { out }: { out?: string }, [file = ""]: string[]) {
  const claims = await compiled(session, file);
  const payload = encodePayload("policy", claims);
  if (out !== undefined && !(await createFile(out, payload))) {
    throw new UsageError(`There is something at ${out} already.`);
  }
  const rows = policyRows(claims).map(rowText);
  const sha256 = hex(digestOf("sha256", payload));
  session.tell(
    { name: claims.name, version: claims.version, bytes: payload.length, sha256, rows },
    [
      ...pairs([
        ["policy", `${claims.name}, version ${claims.version}`],
        ["compiled", `${payload.length} bytes, SHA-256 ${sha256}`],
      ]),
      ...rows.map((row) => `  ${row}`),
      `next: portcullis policy sign ${file}`,
    ],
  );
}

async function diff(session: Session, _options: object, [old = "", now = ""]: string[]) {
  const difference = differenceOf(await policyAt(session, old), await policyAt(session, now));
  const { added, removed, changed } = difference;
  const lines = differenceLines(difference);
  session.tell(
    {
      added: added.map(rowText),
      removed: removed.map(rowText),
      changed: changed.map(rowText),
    },
    lines.length > 0 ? lines : ["no difference: both compare the same"],
  );
}

/** Cases by file, by folder, or by their digest in this home. */
async function casesOf(
  session: Session,
  words: readonly string[],
): Promise<[string, Uint8Array][]> {
  const found: [string, Uint8Array][] = [];
  for (const word of words) {
    if (DIGEST.test(word)) {
      const digest = parseHex(word, 32, "the case");
      found.push([word, await new CaseFolder(session.home().cases).read(digest)]);
    } else if (lstatSync(word, { throwIfNoEntry: false })?.isDirectory()) {
      const names = readdirSync(word).filter((name) => name.endsWith(".case"));
      for (const name of names.sort()) {
        const path = join(word, name);
        found.push([path, await readInput(path, LIMITS.caseBytes)]);
      }
      const packed = [...packedCases(word)];
      for (const { digest, bytes } of packed) found.push([hex(digest), bytes]);
      if (names.length + packed.length === 0) {
        throw new UsageError(`${word} holds no case (*.case, *.cases).`);
      }
    } else found.push([word, await readInput(word, LIMITS.caseBytes)]);
  }
  return found;
}

async function test(session: Session, _options: object, [policy = "", ...words]: string[]) {
  const claims = await policyAt(session, policy);
  const core = await loadCore();
  const trials = (await casesOf(session, words)).map(([name, bytes]): readonly [string, Trial] => [
    name,
    tryPolicy(core, claims, evidenceOf(bytes, name)),
  ]);
  const denied = trials.filter(([, { codes }]) => codes.length > 0);
  const lines = trials.flatMap(([name, { codes, reasons }]) =>
    codes.length === 0
      ? [`allowed  ${name}`]
      : [
          `denied   ${name}`,
          ...reasons.map((reason) => `  ${reason}`),
          ...codes.flatMap((code) => denialLines(code).map((line) => `  ${line}`)),
        ],
  );
  const evidence = trials.map(([name, { codes, reasons }]) => ({
    name,
    allowed: codes.length === 0,
    codes: [...codes],
    reasons: [...reasons],
  }));
  session.tell({ policy: claims.name, version: claims.version, evidence }, [
    ...lines,
    `${trials.length - denied.length} of ${trials.length} would be allowed`,
  ]);
  return denied.length === 0 ? 0 : EXIT.denied;
}

const POLICY_WORD = "a document, a signed policy, or the name of one of this home";

export function registerReview(family: Command): void {
  defineVerb<{ out?: string }>(family, {
    name: "compile",
    summary: "check a policy that is written in YAML, and say what it compares",
    examples: ["portcullis policy compile base.yaml"],
    notes: ["JSON: {name, version, bytes, sha256, rows: [text]}"],
    setup: (command) =>
      command
        .argument("<document>", "the policy in YAML (`portcullis policy sign --help`)")
        .option("--out <file>", "write the canonical payload, unsigned"),
    run: compile,
  });
  defineVerb<object>(family, {
    name: "diff",
    summary: "say what one policy compares otherwise than another",
    examples: ["portcullis policy diff base new.yaml"],
    notes: ["JSON: {added: [text], removed: [text], changed: [text]}"],
    setup: (command) =>
      command.argument("<old>", POLICY_WORD).argument("<new>", "the other, likewise"),
    run: diff,
  });
  defineVerb<object>(family, {
    name: "test",
    summary: "say which recorded evidence a policy would deny, and why: exit 77 if any",
    examples: [
      "portcullis policy test new.yaml ~/.portcullis/cases",
      "portcullis policy test new.yaml 3b1f8a...c2   # a case of this home, by its digest",
    ],
    notes: [
      "Quotes, logs and the policy are judged as a decision would; whether a quote is fresh, and " +
        "everything else of a case, is not. `portcullis check` records a case.",
      "JSON: {policy, version, evidence: [{name, allowed, codes, reasons: [text]}]}",
    ],
    setup: (command) =>
      command
        .argument("<policy>", POLICY_WORD)
        .argument("<case...>", "recorded cases: files, folders of them, or digests"),
    run: test,
  });
}
