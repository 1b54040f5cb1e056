/**
 * Scope against job: the core's judgement beside a slow opinion, written from docs/wire-format.md
 * alone.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Code, loadCore } from "../../../src/core/index.ts";
import { sha256 } from "../../../src/wire/digests.ts";
import type { Job, Scope } from "../../../src/wire/objects.ts";
import { text } from "../../support/domain.ts";
import { seeded } from "../../support/keys.ts";
import { makeWorld } from "../../support/world.ts";

const core = await loadCore();
const world = makeWorld();

type Variable = NonNullable<Scope["environment"]>[number];
type Image = Job["executable"];

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
/** Few values, so that they meet often; one is a prefix of another. */
const word = fc.constantFrom("", "a", "ab", "b").map(text);
const name = fc.constantFrom("A", "AB", "B", "LD_PRELOAD", "PYTHONPATH").map(text);
const image = fc
  .record({
    kind: fc.constantFrom("file", "oci", "sealed"),
    algorithm: fc.constantFrom("sha256", "sha384"),
    seed: fc.constantFrom("x", "y"),
  })
  .map(({ kind, algorithm, seed }) => {
    const digest = seeded(seed, algorithm === "sha256" ? 32 : 48);
    return { kind, algorithm, digest } as Image;
  });
const byName = <T extends { readonly name: Uint8Array }>(list: readonly T[]): T[] =>
  list.toSorted((a, b) => Buffer.compare(a.name, b.name));
const key = ({ name }: { readonly name: Uint8Array }): string => Buffer.from(name).toString();
const input = fc.record({ path: word, digest: fc.constantFrom(seeded("1"), seeded("2")) });
const inputs = fc
  .uniqueArray(input, { maxLength: 2, selector: ({ path }) => Buffer.from(path).toString() })
  .map((list) => list.toSorted((a, b) => Buffer.compare(a.path, b.path)));
const stdin = fc.constantFrom("none" as const, "inherit" as const, seeded("stdin"));
const number = fc.constantFrom(0, 1, 1000);

const variable: fc.Arbitrary<Variable> = fc.oneof(
  fc.record({ name, form: fc.constant("exact" as const), value: word }),
  fc.record({ name, form: fc.constant("digest" as const), digest: word.map(sha256) }),
);
const argv: fc.Arbitrary<Scope["argv"]> = fc.oneof(
  fc.record({
    form: fc.constant("exact" as const),
    values: fc.array(word, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    form: fc.constant("choices" as const),
    values: fc.array(fc.array(word, { minLength: 1, maxLength: 3 }), {
      minLength: 1,
      maxLength: 3,
    }),
  }),
);

const scopes: fc.Arbitrary<Scope> = fc.record(
  {
    image,
    argv,
    environment: fc.uniqueArray(variable, { maxLength: 3, selector: key }).map(byName),
    cwd: word,
    stdin,
    uid: number,
    gid: number,
    callers: fc.array(number, { minLength: 1, maxLength: 2 }),
    interpreter: image,
    inputs,
    runtimeSeconds: fc.constantFrom(1, 2, 60),
    uses: fc.constant(1),
  },
  {
    requiredKeys: ["image", "argv", "cwd", "uid", "gid", "callers", "runtimeSeconds", "uses"],
  },
);
const jobs: fc.Arbitrary<Job> = fc.record({
  executable: image,
  interpreter: fc.option(image),
  argv: fc.array(word, { minLength: 1, maxLength: 3 }),
  environment: fc
    .uniqueArray(fc.record({ name, value: word }), { maxLength: 2, selector: key })
    .map(byName),
  cwd: word,
  stdin,
  uid: number,
  gid: number,
  callerUid: number,
  inputs,
  runtimeSeconds: fc.constantFrom(1, 2, 60),
});

/** The job that a scope allows, for half of the runs: one field of it is then another job's. */
function allowedJob(scope: Scope): Job {
  const argument = (choice: Uint8Array | readonly Uint8Array[]): Uint8Array =>
    choice instanceof Uint8Array ? choice : (choice[0] ?? new Uint8Array());
  const exact = (scope.environment ?? []).flatMap((variable) =>
    variable.form === "exact" ? [{ name: variable.name, value: variable.value }] : [],
  );
  return {
    executable: scope.image,
    interpreter: scope.interpreter ?? null,
    argv: scope.argv.values.map(argument),
    environment: exact,
    cwd: scope.cwd,
    stdin: scope.stdin ?? "none",
    uid: scope.uid,
    gid: scope.gid,
    callerUid: scope.callers[0] ?? 0,
    inputs: scope.inputs ?? [],
    runtimeSeconds: scope.runtimeSeconds,
  };
}

const sameImage = (a: Image | null | undefined, b: Image | null | undefined): boolean => {
  if (!a || !b) return !a && !b;
  return a.kind === b.kind && a.algorithm === b.algorithm && equal(a.digest, b.digest);
};

function argvHolds(allowed: Scope["argv"], actual: Job["argv"]): boolean {
  if (allowed.values.length !== actual.length) return false;
  return actual.every((argument, i) => {
    const here = allowed.values[i];
    if (here === undefined) return false;
    const choices = here instanceof Uint8Array ? [here] : here;
    return choices.some((choice) => equal(choice, argument));
  });
}

function variableHolds(list: Scope["environment"], one: Job["environment"][number]): boolean {
  const found = list?.find(({ name }) => equal(name, one.name));
  if (!found) return false;
  return found.form === "exact"
    ? equal(found.value, one.value)
    : equal(found.digest, sha256(one.value));
}

function isPinned(list: Scope["environment"], { name }: Job["environment"][number]): boolean {
  const found = list?.find((variable) => equal(variable.name, name));
  return !/^(LD_|PYTHON)/.test(Buffer.from(name).toString()) || found?.form === "exact";
}

function sameInputs(a: Job["inputs"], b: Job["inputs"]): boolean {
  const plain = (list: Job["inputs"]) =>
    list.map(({ path, digest }) => [Buffer.from(path), Buffer.from(digest)]);
  return JSON.stringify(plain(a)) === JSON.stringify(plain(b));
}

const sameStdin = (a: Job["stdin"], b: Job["stdin"]): boolean =>
  a instanceof Uint8Array && b instanceof Uint8Array ? equal(a, b) : a === b;

/** What of the job lies outside of the scope. */
function opinion(scope: Scope, job: Job): Code[] {
  const rows: readonly (readonly [Code, boolean])[] = [
    ["policy.executable", sameImage(scope.image, job.executable)],
    ["policy.interpreter", sameImage(scope.interpreter, job.interpreter)],
    ["policy.arguments", argvHolds(scope.argv, job.argv)],
    ["policy.variable", job.environment.every((one) => isPinned(scope.environment, one))],
    ["policy.environment", job.environment.every((one) => variableHolds(scope.environment, one))],
    ["policy.cwd", equal(scope.cwd, job.cwd)],
    ["policy.stdin", sameStdin(scope.stdin ?? "none", job.stdin)],
    ["policy.user", scope.uid === job.uid && scope.gid === job.gid],
    ["policy.caller", scope.callers.includes(job.callerUid)],
    ["policy.inputs", sameInputs(scope.inputs ?? [], job.inputs)],
    ["policy.runtime", job.runtimeSeconds <= scope.runtimeSeconds],
  ];
  return rows.filter(([, holds]) => !holds).map(([code]) => code);
}

async function compare(scope: Scope, job: Job): Promise<void> {
  const verdict = core.decide(await world.caseBytes({ grant: { scope }, job, holder: "node" }), {
    explain: true,
  });
  expect(verdict.codes).toEqual(opinion(scope, job));
  expect(verdict.allow).toBe(verdict.codes.length === 0);
}

describe("the core and a slow opinion agree", () => {
  test("on any scope and any job", async () => {
    await fc.assert(fc.asyncProperty(scopes, jobs, compare), { numRuns: 60 });
  });

  test("on a job that the scope allows, with one field of another", async () => {
    const fields = fc.constantFrom<(keyof Job)[]>(...(Object.keys(world.job()) as (keyof Job)[]));
    const property = fc.asyncProperty(scopes, jobs, fields, async (scope, job, field) => {
      const allowed = allowedJob(scope);
      expect(opinion(scope, allowed)).toEqual([]);
      await compare(scope, allowed);
      await compare(scope, { ...allowed, [field]: job[field] });
    });
    await fc.assert(property, { numRuns: 50 });
  });
});

describe("variables that steer a loader or an interpreter", () => {
  const steering = [
    ...["LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES", "GLIBC_TUNABLES", "NIX_LD"],
    ...["BASH_ENV", "ENV", "IFS", "PS4", "SHELLOPTS", "BASH_FUNC_ls%%", "ZDOTDIR"],
    ...["NODE_OPTIONS", "NODE_PATH", "DENO_DIR", "BUN_INSTALL", "npm_config_node_options"],
    ...["PYTHONPATH", "PYTHONSTARTUP", "PERL5OPT", "RUBYOPT", "GEM_PATH", "R_PROFILE"],
    ...["JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH", "MONO_PATH", "JULIA_LOAD_PATH"],
    ...["GUILE_LOAD_COMPILED_PATH", "ERL_FLAGS", "LUA_INIT", "GIT_SSH_COMMAND", "LESSOPEN"],
  ];
  test.each(steering)("%s needs its exact value in the grant", async (variable) => {
    const one = { name: text(variable), value: text("x") };
    const job = { environment: [one] };
    const scope = (form: Variable) => ({ scope: { environment: [form] }, job });
    const digest = { name: one.name, form: "digest", digest: sha256(one.value) } as const;
    expect(core.decide(await world.caseBytes(scope(digest))).code).toBe("policy.variable");
    const exact = { ...one, form: "exact" } as const;
    expect(core.decide(await world.caseBytes(scope(exact))).code).toBeNull();
  });

  test("others may be named by digest", async () => {
    for (const variable of ["LANG", "HOME", "TOKEN", "L", "LD", "ENVIRONMENT", "xLD_PRELOAD"]) {
      const environment = [{ name: text(variable), value: text("x") }];
      const digest = { name: text(variable), form: "digest", digest: sha256(text("x")) } as const;
      const bytes = await world.caseBytes({
        scope: { environment: [digest] },
        job: { environment },
      });
      expect(core.decide(bytes).code).toBeNull();
    }
  });
});
