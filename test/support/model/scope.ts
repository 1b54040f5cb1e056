/**
 * The model's part on scopes: which job a scope allows, and whether one scope allows more than
 * those above it.
 */
import type { Code } from "../../../src/core/index.ts";
import { sha256 } from "../../../src/wire/digests.ts";
import type { Image, Job, Link, Scope } from "../../../src/wire/objects.ts";

type LinkScope = NonNullable<Link["scope"]>;
type Variable = NonNullable<Scope["environment"]>[number];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const imageText = ({ kind, algorithm, digest }: Image): string =>
  [kind, algorithm, hex(digest)].join(":");
const stdinText = (stdin: Job["stdin"]): string => (typeof stdin === "string" ? stdin : hex(stdin));
const inputsText = (inputs: Job["inputs"]): string =>
  inputs.map(({ path, digest }) => `${hex(path)}=${hex(digest)}`).join();
const variableText = (one: Variable): string =>
  [hex(one.name), one.form, hex(one.form === "exact" ? one.value : one.digest)].join(":");
const nothing = "nothing";

/** Every argument vector that the scope allows: its whole product. */
function vectors(argv: Scope["argv"]): Set<string> {
  const positions = argv.form === "exact" ? argv.values.map((one) => [one]) : argv.values;
  let all = [""];
  for (const choices of positions) {
    all = all.flatMap((before) => choices.map((choice) => `${before}/${hex(choice)}`));
  }
  return new Set(all);
}

/** LD_PRELOAD stands for its kind: the list of such variables is tested elsewhere. */
const isDangerous = (name: Uint8Array): boolean => hex(name).startsWith(hex(Buffer.from("LD_")));

function environmentCodes(listed: readonly Variable[], job: Job): Code[] {
  const codes: Code[] = [];
  const entryOf = (name: Uint8Array) => listed.find((one) => hex(one.name) === hex(name));
  if (job.environment.some(({ name }) => isDangerous(name) && entryOf(name)?.form !== "exact")) {
    codes.push("policy.variable");
  }
  const fits = job.environment.every(({ name, value }) => {
    const entry = entryOf(name);
    if (entry === undefined) return false;
    return entry.form === "exact"
      ? hex(entry.value) === hex(value)
      : hex(entry.digest) === hex(sha256(value));
  });
  return fits ? codes : [...codes, "policy.environment"];
}

/**
 * Why the scope does not allow the job. A grant that is silent allows nothing; a link leaves it to
 * its parent.
 */
export function scopeCodes(scope: Scope | LinkScope, job: Job, isGrant: boolean): Code[] {
  const codes: Code[] = [];
  const must = (holds: boolean, code: Code): void => {
    if (!holds) codes.push(code);
  };
  /** Whether the field is the parent's to judge. */
  const silent = (value: unknown): boolean => value === undefined && !isGrant;
  const { image, interpreter, argv, environment, stdin, inputs, cwd } = scope;
  must(!image || imageText(image) === imageText(job.executable), "policy.executable");
  const actual = job.interpreter === null ? nothing : imageText(job.interpreter);
  const wanted = interpreter === undefined ? nothing : imageText(interpreter);
  must(silent(interpreter) || actual === wanted, "policy.interpreter");
  const vector = job.argv.map((one) => `/${hex(one)}`).join("");
  must(!argv || vectors(argv).has(vector), "policy.arguments");
  if (!silent(environment)) codes.push(...environmentCodes(environment ?? [], job));
  must(cwd === undefined || hex(cwd) === hex(job.cwd), "policy.cwd");
  must(silent(stdin) || stdinText(stdin ?? "none") === stdinText(job.stdin), "policy.stdin");
  must(scope.uid === undefined || scope.uid === job.uid, "policy.user");
  must(scope.gid === undefined || scope.gid === job.gid, "policy.user");
  must(scope.callers === undefined || scope.callers.includes(job.callerUid), "policy.caller");
  must(silent(inputs) || inputsText(inputs ?? []) === inputsText(job.inputs), "policy.inputs");
  must((scope.runtimeSeconds ?? Infinity) >= job.runtimeSeconds, "policy.runtime");
  return codes;
}

/** Whether the scope allows anything that those above, root first, do not allow together. */
export function widensScope(scope: LinkScope, above: readonly LinkScope[]): boolean {
  const held = <K extends keyof LinkScope>(key: K): LinkScope[K] =>
    above.findLast((one) => one[key] !== undefined)?.[key];
  const differs = <T>(
    own: T | undefined,
    other: T | undefined,
    text: (value: T) => string,
    absent: string,
  ): boolean => own !== undefined && text(own) !== (other === undefined ? absent : text(other));
  const exceeds = <T>(own: Iterable<T>, other: Iterable<T>): boolean => {
    const among = new Set(other);
    return [...own].some((one) => !among.has(one));
  };
  const [argv, callers] = [held("argv"), held("callers")];
  return (
    differs(scope.image, held("image"), imageText, nothing) ||
    differs(scope.cwd, held("cwd"), hex, nothing) ||
    differs(scope.stdin, held("stdin"), stdinText, "none") ||
    differs(scope.uid, held("uid"), String, nothing) ||
    differs(scope.gid, held("gid"), String, nothing) ||
    differs(scope.interpreter, held("interpreter"), imageText, nothing) ||
    differs(scope.inputs, held("inputs"), inputsText, "") ||
    (scope.argv !== undefined && exceeds(vectors(scope.argv), argv ? vectors(argv) : [])) ||
    exceeds(
      (scope.environment ?? []).map(variableText),
      (held("environment") ?? []).map(variableText),
    ) ||
    exceeds(scope.callers ?? [], callers ?? []) ||
    (scope.runtimeSeconds ?? 0) > (held("runtimeSeconds") ?? 0) ||
    (scope.uses ?? 0) > (held("uses") ?? 0)
  );
}
