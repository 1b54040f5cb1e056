/**
 * From words to what the gate is asked: the job, filled from the grant where the words are silent,
 * and the files.
 */
import { heldBy, parseChain, policiesOf, splitChain } from "../domain/chains.ts";
import { readBounded } from "../domain/files.ts";
import { Layout } from "../domain/layout.ts";
import { gatherGovernance } from "../domain/materials.ts";
import type { Asked } from "../gate/hearing.ts";
import { type JobRequest, prepareJob } from "../gate/job.ts";
import { LIMITS } from "../limits.ts";
import { readKeyFile } from "../wire/key-files.ts";
import { signerOf } from "../wire/keys.ts";
import { type ReferencePolicy, type Scope, signObject } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import type { Home } from "./home.ts";
import { readInput } from "./input-file.ts";
import type { JobWords } from "./job-words.ts";
import { nodeFiles } from "./node-files.ts";
import { requireUtf8 } from "./utf8.ts";
import { parseHex } from "./values.ts";

const EMPTY = new Uint8Array(0);
/** Longest run time asked for where neither words nor grant say. */
const RUNTIME_SECONDS = 60;

export interface Question {
  readonly asked: Asked;
  readonly unverifiedPolicies: readonly ReferencePolicy[];
}

interface Authorization {
  /** Root first. */
  readonly elements: readonly Uint8Array[];
  readonly policies: readonly string[];
  /** The scope of all elements together; null where one does not parse: the core will say so. */
  readonly scope: Scope | null;
}

/** Reads the grant, or the chain. */
async function readAuthorization(path: string | undefined): Promise<Authorization> {
  if (path === undefined) return { elements: [], policies: [], scope: null };
  // One byte more than a chain may have: the core names what is too long.
  const file = await readInput(path, LIMITS.chainBytes + 1);
  try {
    const chain = parseChain(file);
    const { elements } = chain;
    return { elements, policies: policiesOf(chain), scope: heldBy(chain).scope };
  } catch {
    // Denied as malformed by the core, which judges the same bytes.
    return { elements: elementsOf(file), policies: [], scope: null };
  }
}

/**
 * As many elements as a case holds; where the file is no sequence of messages, all of it is the
 * first.
 */
function elementsOf(file: Uint8Array): readonly Uint8Array[] {
  try {
    const elements = splitChain(file);
    return elements.length > LIMITS.elements ? [file] : elements;
  } catch {
    // A cut or damaged file travels as it is.
    return [file];
  }
}

/** Builds the question. Throws UsageError or ExecError where a named file is missing or unfit. */
export async function askFor(home: Home, words: JobWords, pinnedNumber: number): Promise<Question> {
  const { elements, policies, scope } = await readAuthorization(words.grant);
  const layout = new Layout(home.path);
  const governance = await gatherGovernance(layout, pinnedNumber, policies);
  const node = await readBounded(nodeFiles(home).credential, LIMITS.policyBytes);
  const { key } = words;
  const prover = key === undefined ? null : await proverOf(key);
  const parentRun = parentRunOf(words);
  const prepared = await prepareJob(jobOf(home, words, scope));
  const { unverifiedPolicies, ...files } = governance;
  const materials = { ...files, elements, node: node ?? EMPTY };
  return { asked: { prepared, materials, prover, parentRun }, unverifiedPolicies };
}

/** @throws UsageError */
export function parentRunOf({ parentRun }: JobWords): Uint8Array | null {
  return parentRun === undefined ? null : parseHex(parentRun, 32, "--parent");
}

/** Signs with the holder's key. */
async function proverOf(file: string): Promise<NonNullable<Asked["prover"]>> {
  const signer = signerOf(await readKeyFile(file));
  return (request) => signObject("proof", { request }, [signer]);
}

function jobOf(home: Home, words: JobWords, scope: Scope | null): JobRequest {
  const [executable] = words.command;
  if (executable === undefined) throw new UsageError("no command: name it after `--`.");
  const stdin = scope?.stdin instanceof Uint8Array ? "content" : (scope?.stdin ?? "none");
  return {
    executable,
    argv: words.command,
    environment: environmentOf(words, scope),
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
function hashesOf(scope: Scope | null) {
  return {
    ...(scope && { hash: scope.image.algorithm }),
    ...(scope?.interpreter && { interpreterHash: scope.interpreter.algorithm }),
  };
}

function environmentOf(words: JobWords, scope: Scope | null): JobRequest["environment"] {
  if (words.env === undefined) {
    const listed = scope?.environment ?? [];
    return listed.flatMap((one) =>
      one.form === "exact" ? [{ name: one.name, value: one.value }] : [],
    );
  }
  return words.env.map((word) => {
    const at = word.indexOf("=");
    if (at > 0) return { name: word.slice(0, at), value: word.slice(at + 1) };
    const value = process.env[word];
    if (at < 0 && value !== undefined) {
      requireUtf8([value], "environ");
      return { name: word, value };
    }
    throw new UsageError(`--env ${word}: write NAME=VALUE, or the name of a variable that is set.`);
  });
}
