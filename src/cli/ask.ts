/** From words to what the gate is asked: the job, filled from the grant where the words are silent, and the files. */
import { readBounded } from "../domain/files.ts";
import { Layout } from "../domain/layout.ts";
import { gatherGovernance } from "../domain/materials.ts";
import type { Asked } from "../gate/gate.ts";
import { type JobRequest, prepareJob } from "../gate/job.ts";
import { LIMITS } from "../limits.ts";
import { readKeyFile } from "../wire/key-files.ts";
import { signerOf } from "../wire/keys.ts";
import { type Grant, parseSigned, type ReferencePolicy, signObject } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";
import type { JobWords } from "./job-words.ts";
import { nodeFiles } from "./node-files.ts";
import { parseHex } from "./values.ts";

const EMPTY = new Uint8Array(0);
/** Longest run time asked for where neither words nor grant say. */
const RUNTIME_SECONDS = 60;

export interface Question {
  readonly asked: Asked;
  readonly unverifiedPolicies: readonly ReferencePolicy[];
}

/** Reads the grant; null without one. Its claims are null where it does not parse: the core will say so. */
async function readGrant(path: string | undefined) {
  if (path === undefined) return null;
  const bytes = await readBounded(path, LIMITS.chainBytes + 1);
  if (bytes === null) throw new UsageError(`There is no grant at ${path}.`);
  try {
    return { bytes, claims: parseSigned("grant", bytes).claims };
  } catch {
    // Denied as malformed by the core, which judges the same bytes.
    return { bytes, claims: null };
  }
}

/** Builds the question. Throws UsageError or ExecError where a named file is missing or unfit. */
export async function askFor(home: Home, words: JobWords, pinnedNumber: number): Promise<Question> {
  const grant = await readGrant(words.grant);
  const claims = grant?.claims ?? null;
  const layout = new Layout(home.path);
  const governance = await gatherGovernance(layout, pinnedNumber, claims?.policies ?? []);
  const node = await readBounded(nodeFiles(home).credential, LIMITS.policyBytes);
  const { key, parentRun } = words;
  const prover = key === undefined ? null : await proverOf(key);
  const parent = parentRun === undefined ? null : parseHex(parentRun, 32, "--parent");
  const prepared = await prepareJob(jobOf(home, words, claims));
  const { unverifiedPolicies, ...files } = governance;
  const elements = grant === null ? [] : [grant.bytes];
  const materials = { ...files, elements, node: node ?? EMPTY };
  return { asked: { prepared, materials, prover, parentRun: parent }, unverifiedPolicies };
}

/** Signs with the holder's key. */
async function proverOf(file: string): Promise<NonNullable<Asked["prover"]>> {
  const signer = signerOf(await readKeyFile(file));
  return (request) => signObject("proof", { request }, [signer]);
}

function jobOf(home: Home, words: JobWords, grant: Grant | null): JobRequest {
  const [executable] = words.command;
  if (executable === undefined) throw new UsageError("no command: name it after `--`.");
  const scope = grant?.scope;
  const stdin = scope?.stdin instanceof Uint8Array ? "content" : (scope?.stdin ?? "none");
  return {
    executable,
    argv: words.command,
    environment: environmentOf(words, grant),
    cwd: words.cwd ?? scope?.cwd ?? process.cwd(),
    stdin: words.stdin ?? stdin,
    uid: words.uid ?? scope?.uid ?? process.getuid?.() ?? 0,
    gid: words.gid ?? scope?.gid ?? process.getgid?.() ?? 0,
    inputs: words.inputs ?? scope?.inputs?.map(({ path }) => path) ?? [],
    runtimeSeconds: words.runtimeSeconds ?? scope?.runtimeSeconds ?? RUNTIME_SECONDS,
    ...hashesOf(scope),
    place: { kind: "memory", directory: home.path },
  };
}

/** The algorithms that the grant names its images by. */
function hashesOf(scope: Grant["scope"] | undefined) {
  return {
    ...(scope && { hash: scope.image.algorithm }),
    ...(scope?.interpreter && { interpreterHash: scope.interpreter.algorithm }),
  };
}

function environmentOf(words: JobWords, grant: Grant | null): JobRequest["environment"] {
  if (words.env === undefined) {
    const listed = grant?.scope.environment ?? [];
    return listed.flatMap((one) =>
      one.form === "exact" ? [{ name: one.name, value: one.value }] : [],
    );
  }
  return words.env.map((word) => {
    const at = word.indexOf("=");
    if (at > 0) return { name: word.slice(0, at), value: word.slice(at + 1) };
    const value = process.env[word];
    if (at < 0 && value !== undefined) return { name: word, value };
    throw new UsageError(`--env ${word}: write NAME=VALUE, or the name of a variable that is set.`);
  });
}
