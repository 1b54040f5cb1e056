/**
 * The document that asks for a grant, and what it leaves out. Flags of `authorize` make the same
 * document, so there is one reading of both:
 *
 *     subject: alice@example.org        # who asked for it; the user's name where absent
 *     executable: /usr/bin/report       # hashed now, or {sha256: ...}
 *     arguments: [--month, 2030-03]     # after argv[0]; an item may be a list of choices
 *     argv0: /usr/bin/report            # the executable's path where absent
 *     interpreter: {sha256: ...}        # derived from #! where absent
 *     environment: {LANG: C.UTF-8, TOKEN: {sha256: ...}}   # nothing where absent
 *     cwd: /srv                         # the current folder where absent
 *     stdin: none                       # none | inherit | {sha256: ...}
 *     uid: 1000                         # with gid and callers: this user where absent
 *     gid: 1000
 *     callers: [1000]
 *     inputs: [/srv/in.csv]             # hashed now, or {/srv/in.csv: <sha256>}
 *     runtime: 60s
 *     uses: 1
 *     policies: [base]                  # the only active one where absent
 *     audience: {nodes: [<ueid>]}       # or {label: web}; this machine where absent
 *     holder: node                      # or {key: agent.pem}
 *     class: standard
 *     not-before: 2030-01-31T08:00:00Z  # now where absent
 *     lifetime: 1h
 *     depth: 0
 *     issuer: example.org
 *     ticket: CHG-1
 *     attribution: team-a
 *     decision: local                   # local | plane
 */
import { userInfo } from "node:os";
import { resolve } from "node:path";
import { compareBytes } from "../bytes.ts";
import type { GrantRequest } from "../domain/grants.ts";
import { LIMITS } from "../limits.ts";
import type { Grant, Scope } from "../wire/objects.ts";
import type { Field } from "./document.ts";
import { readHolderKey } from "./holder.ts";
import { hashInput, hashProgram, sha256Image } from "./image.ts";
import { parseUeid } from "./values.ts";

const SCOPE_NAMES = [
  "executable",
  "arguments",
  "argv0",
  "interpreter",
  "environment",
  "cwd",
  "stdin",
  "uid",
  "gid",
  "callers",
  "inputs",
  "runtime",
  "uses",
] as const;
const GRANT_NAMES = [
  "subject",
  "policies",
  "audience",
  "holder",
  "class",
  "not-before",
  "lifetime",
  "depth",
  "issuer",
  "ticket",
  "attribution",
  "decision",
] as const;
type Fields<N extends string> = { readonly [name in N]?: Field };
type ScopeFields = Fields<(typeof SCOPE_NAMES)[number]>;

/** What a document may leave out, taken from where the command runs. */
export interface Defaults {
  readonly issuer: string;
  /** Names of the active policies. */
  readonly policies: readonly string[];
  /** This machine's UEID, null where it is not enrolled. */
  readonly ueid: Uint8Array | null;
}

const RUNTIME_SECONDS = 60;
const LIFETIME_SECONDS = 3_600;
const ID_MAX = 2 ** 32 - 2;
const COUNT_MAX = Number.MAX_SAFE_INTEGER;

/**
 * Reads the document, hashing the files that it names. Throws UsageError, or ExecError where a file
 * is unfit.
 */
export async function readGrantDocument(
  document: Field,
  defaults: Defaults,
): Promise<Omit<GrantRequest, "validation">> {
  const fields = document.record([...SCOPE_NAMES, ...GRANT_NAMES]);
  const { ticket, attribution, depth, decision } = fields;
  const notBefore = fields["not-before"];
  return {
    issuer: fields.issuer?.text() ?? defaults.issuer,
    subject: fields.subject?.text() ?? userInfo().username,
    class: fields.class?.text() ?? "standard",
    holder: await holderOf(fields.holder),
    scope: await scopeOf(fields, document),
    policies: policiesOf(fields.policies, defaults, document),
    audience: audienceOf(fields.audience, defaults, document),
    lifetimeSeconds: fields.lifetime?.span() ?? LIFETIME_SECONDS,
    ...(notBefore && { notBefore: notBefore.time() }),
    ...(depth && { maxDepth: depth.count(0, LIMITS.elements - 1) }),
    ...(ticket && { ticket: ticket.text() }),
    ...(attribution && { attribution: attribution.text() }),
    ...(decision && { decision: oneOf(decision, ["local", "plane"]) }),
  };
}

function oneOf<const W extends string>(field: Field, words: readonly W[]): W {
  const found = words.find((word) => word === field.value);
  return found ?? field.refuse(`expected one of ${words.join(", ")}`);
}

async function holderOf(field: Field | undefined): Promise<Grant["cnf"]> {
  if (field === undefined || field.value === "node") return { node: "executing" };
  const { key } = field.record(["key"]);
  const path = (key ?? field.refuse("expected node, or {key: <file>}")).text();
  return { key: await readHolderKey(path) };
}

function policiesOf(field: Field | undefined, { policies }: Defaults, document: Field) {
  if (field !== undefined) return field.items().map((item) => item.text());
  if (policies.length === 1) return policies;
  const active = policies.length === 0 ? "none is active" : `active are ${policies.join(", ")}`;
  return document.refuse(`name \`policies\`, for ${active}.`);
}

function audienceOf(field: Field | undefined, { ueid }: Defaults, document: Field) {
  if (field === undefined) {
    if (ueid !== null) return [ueid];
    return document.refuse("name the `audience`, for this machine is not enrolled.");
  }
  const { nodes, label } = field.record(["nodes", "label"]);
  if ((nodes === undefined) === (label === undefined)) field.refuse("expected `nodes` or `label`");
  if (label !== undefined) return label.text();
  const ueids = (nodes?.items() ?? []).map((item) => parseUeid(item.text(), item.at));
  return ueids.toSorted(compareBytes);
}

async function scopeOf(fields: ScopeFields, document: Field): Promise<Scope> {
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const uid = fields.uid?.count(0, ID_MAX) ?? own.uid;
  const callers = fields.callers?.items().map((item) => item.count(0, ID_MAX)) ?? [own.uid];
  const inputs = await inputsOf(fields.inputs);
  const environment = environmentOf(fields.environment);
  return {
    ...(await programOf(fields, document)),
    ...(environment.length > 0 && { environment }),
    cwd: fields.cwd === undefined ? bytesOf(process.cwd()) : absolute(fields.cwd),
    ...(fields.stdin && { stdin: stdinOf(fields.stdin) }),
    uid,
    gid: fields.gid?.count(0, ID_MAX) ?? own.gid,
    callers,
    ...(inputs.length > 0 && { inputs }),
    runtimeSeconds: fields.runtime?.span() ?? RUNTIME_SECONDS,
    uses: fields.uses?.count(1, COUNT_MAX) ?? 1,
  };
}

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"));

function absolute(field: Field): Uint8Array {
  const bytes = field.bytes();
  return bytes[0] === 0x2f ? bytes : field.refuse("expected an absolute path");
}

function digestIn(field: Field): Uint8Array {
  const { sha256 } = field.record(["sha256"]);
  return (sha256 ?? field.refuse("expected {sha256: ...}")).hexBytes(32);
}

type ProgramScope = Pick<Scope, "image" | "interpreter" | "argv">;

async function programOf(fields: ScopeFields, document: Field): Promise<ProgramScope> {
  const { executable, interpreter, argv0 } = fields;
  if (executable === undefined) document.refuse("names no `executable`");
  const stated = interpreter && { interpreter: sha256Image(digestIn(interpreter)) };
  if (executable.isMap && executable.value instanceof Map && executable.value.has("sha256")) {
    const name = argv0?.bytes() ?? document.refuse("name `argv0` where the executable is a digest");
    const image = sha256Image(digestIn(executable));
    return { image, ...stated, argv: argvOf(name, fields.arguments) };
  }
  const path = executable.isMap ? executable.bytes() : bytesOf(resolve(executable.text()));
  const program = await hashProgram(path);
  return {
    image: program.image,
    ...(stated ?? (program.interpreter && { interpreter: program.interpreter })),
    argv: argvOf(argv0?.bytes() ?? path, fields.arguments),
  };
}

function argvOf(name: Uint8Array, field: Field | undefined): Scope["argv"] {
  const items = field?.items() ?? [];
  if (!items.some((item) => item.isList)) {
    return { form: "exact", values: [name, ...items.map((item) => item.bytes())] };
  }
  const choices = items.map((item) =>
    item.isList ? item.items().map((choice) => choice.bytes()) : [item.bytes()],
  );
  return { form: "choices", values: [[name], ...choices] };
}

type Environment = NonNullable<Scope["environment"]>;

function environmentOf(field: Field | undefined): Environment {
  const variables = (field?.members() ?? []).map(([text, value]): Environment[number] => {
    const name = bytesOf(text);
    if (text === "" || text.includes("=") || name.includes(0)) value.refuse("no variable's name");
    if (value.value instanceof Map && value.value.has("sha256")) {
      return { name, form: "digest", digest: digestIn(value) };
    }
    return { name, form: "exact", value: value.bytes() };
  });
  return variables.toSorted((a, b) => compareBytes(a.name, b.name));
}

function stdinOf(field: Field): NonNullable<Scope["stdin"]> {
  return field.isMap ? digestIn(field) : oneOf(field, ["none", "inherit"]);
}

async function inputsOf(field: Field | undefined): Promise<NonNullable<Scope["inputs"]>> {
  if (field === undefined) return [];
  const inputs = field.isMap
    ? field.members().map(([path, digest]) => ({
        path: absolute(field.inner(path, path)),
        digest: digest.hexBytes(32),
      }))
    : await Promise.all(
        field.items().map(async (item) => {
          const path = absolute(item);
          return { path, digest: await hashInput(path) };
        }),
      );
  return inputs.toSorted((a, b) => compareBytes(a.path, b.path));
}
