/**
 * Chains for the model: mostly sound ones, in which each claim and field may be wrong, rarely, and
 * alone or with others. A field of a link is absent, or the least that every scope here allows, or
 * any value that a scope can have.
 */
import * as fc from "fast-check";
import { sha256 } from "../../../src/wire/digests.ts";
import type { Grant, Job, Link, Scope } from "../../../src/wire/objects.ts";
import { type Domain, EXECUTABLE, HOUR, NOW, text } from "../domain.ts";
import { seeded } from "../keys.ts";

/** What stands in for a digest of the element before it, or for its holder's key. */
export interface LinkPlan {
  readonly claims: Omit<Link, "parent" | "cnf">;
  readonly holder: number | null;
  /** Number of a key; absent: the parent's holder. */
  readonly signedBy?: number;
  readonly parent: "before" | "grandparent" | "stranger";
  readonly damaged: boolean;
  readonly revoked: boolean;
  readonly uses: number;
}

export interface ChainPlan {
  readonly grant: Omit<Grant, "cnf">;
  readonly holder: number | null;
  readonly damaged: boolean;
  /** By status index, or by digest. */
  readonly revoked: "index" | "digest" | null;
  readonly uses: number;
  readonly links: readonly LinkPlan[];
  readonly job: Job;
  /** Number of a key; absent: the leaf's holder, whichever it is. */
  readonly provedBy?: number | null;
}

/** Keys are numbered: one for each place of a chain, and a stranger's. */
export const STRANGER = 5;
const USUAL_WEIGHT = 45;
/** For what is judged late, and seldom comes first otherwise. */
const SOMETIMES_WEIGHT = 12;

/** The first value almost always. */
export function usually<T>(usual: T, ...odd: readonly T[]): fc.Arbitrary<T> {
  return weighted(USUAL_WEIGHT, usual, odd);
}

/** The first value mostly. */
function mostly<T>(usual: T, ...odd: readonly T[]): fc.Arbitrary<T> {
  return weighted(SOMETIMES_WEIGHT, usual, odd);
}

function weighted<T>(weight: number, usual: T, odd: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(usual, ...odd) },
  );
}

/** For a link's claim or field: absent, the least, or one of all. */
function perhaps<T>(least: T, ...others: readonly T[]): fc.Arbitrary<T | undefined> {
  return fc.oneof(
    { weight: 24, arbitrary: fc.constant(undefined) },
    { weight: 12, arbitrary: fc.constant(least) },
    { weight: 1, arbitrary: fc.constantFrom(least, ...others) },
  );
}

/** Without the members that are undefined. */
function stated<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const present = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(present) as { [K in keyof T]: Exclude<T[K], undefined> };
}

type Environment = NonNullable<Scope["environment"]>;
const REPORT = text("report");
const MONTH = text("--month");
const ARGV = [REPORT, MONTH];
const choices = (...values: Uint8Array[][]): Scope["argv"] => ({ form: "choices", values });
const ARGVS: readonly Scope["argv"][] = [
  { form: "exact", values: ARGV },
  choices([REPORT], [MONTH, text("--year")]),
  choices([REPORT, text("delete")], [text("--year"), MONTH]),
  choices([REPORT, REPORT], [MONTH]),
  { form: "exact", values: [REPORT, text("--year")] },
  { form: "exact", values: [...ARGV, text("")] },
  choices([REPORT]),
];
const LANG = { name: text("LANG"), value: text("C") };
const LANG_EXACT = { ...LANG, form: "exact" } as const;
const LANG_DIGEST = { name: LANG.name, form: "digest", digest: sha256(LANG.value) } as const;
const PRELOAD = { name: text("LD_PRELOAD"), value: text("/x.so") };
const PRELOAD_EXACT = { ...PRELOAD, form: "exact" } as const;
const PRELOAD_DIGEST = {
  name: PRELOAD.name,
  form: "digest",
  digest: sha256(PRELOAD.value),
} as const;
const TZ_EXACT = { name: text("TZ"), form: "exact", value: text("UTC") } as const;
const ENVIRONMENTS: readonly Environment[] = [
  [LANG_EXACT],
  [LANG_EXACT, TZ_EXACT],
  [],
  [LANG_DIGEST],
  [{ ...LANG_EXACT, value: text("de") }, TZ_EXACT],
  [LANG_EXACT, PRELOAD_EXACT],
  [LANG_EXACT, PRELOAD_DIGEST, TZ_EXACT],
];
const INPUT = { path: text("/in"), digest: seeded("in") };
const INPUTS: readonly Job["inputs"][] = [
  [INPUT],
  [],
  [{ ...INPUT, digest: seeded("x") }],
  [INPUT, { ...INPUT, path: text("/in2") }],
];
const OTHER_IMAGE = { ...EXECUTABLE, digest: seeded("other image") };
const STDINS: readonly Job["stdin"][] = ["none", "inherit", seeded("stdin"), seeded("other stdin")];
const CALLERS = [[1000], [0, 1000], [1000, 0, 1000], [0], [1001, 1000]];

const job: fc.Arbitrary<Job> = fc.record({
  executable: usually<Job["executable"]>(EXECUTABLE, OTHER_IMAGE, {
    ...EXECUTABLE,
    kind: "oci" as const,
  }),
  interpreter: usually(null, EXECUTABLE),
  argv: usually(ARGV, [REPORT], [REPORT, text("--year")], [...ARGV, text("")]),
  environment: usually([LANG], [], [LANG, PRELOAD], [PRELOAD]),
  cwd: usually(text("/srv"), text("/")),
  stdin: usually<Job["stdin"]>("none", ...STDINS),
  uid: usually(1000, 0),
  gid: usually(1000, 0),
  callerUid: usually(1000, 0, 1001),
  inputs: usually<Job["inputs"]>([INPUT], ...INPUTS),
  runtimeSeconds: usually(60, 59, 61),
});

const grantScope: fc.Arbitrary<Scope> = fc
  .record({
    image: usually(EXECUTABLE, OTHER_IMAGE),
    argv: fc.constantFrom(...ARGVS.slice(0, 4)),
    environment: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...ENVIRONMENTS.slice(0, 2)) },
      { weight: 1, arbitrary: fc.constantFrom(undefined, ...ENVIRONMENTS) },
    ),
    cwd: usually(text("/srv"), text("/")),
    stdin: usually<Scope["stdin"]>(undefined, ...STDINS),
    uid: usually(1000, 0),
    gid: usually(1000, 0),
    callers: fc.constantFrom(...CALLERS.slice(0, 3)),
    interpreter: usually<Scope["interpreter"]>(undefined, EXECUTABLE),
    inputs: usually<Scope["inputs"]>([INPUT], undefined, ...INPUTS),
    runtimeSeconds: fc.constantFrom(60, 61, 600),
    uses: fc.constantFrom(2, 3, 4),
  })
  .map(stated) as fc.Arbitrary<Scope>;

const linkScope: fc.Arbitrary<Link["scope"]> = fc.option(
  fc
    .record({
      image: perhaps(EXECUTABLE, OTHER_IMAGE),
      argv: perhaps(...(ARGVS as [Scope["argv"]])),
      environment: perhaps(...(ENVIRONMENTS as [Environment])),
      cwd: perhaps(text("/srv"), text("/")),
      stdin: perhaps<Job["stdin"]>("none", ...STDINS),
      uid: perhaps(1000, 0),
      gid: perhaps(1000, 0),
      callers: perhaps(...(CALLERS as [number[]])),
      interpreter: usually<Scope["interpreter"]>(undefined, EXECUTABLE, OTHER_IMAGE),
      inputs: perhaps(...(INPUTS as [Job["inputs"]])),
      runtimeSeconds: perhaps(60, 59, 61, 601),
      uses: perhaps(2, 1, 3, 4, 5),
    })
    .map(stated),
  { nil: undefined },
) as fc.Arbitrary<Link["scope"]>;

const policyNames = [["base"], ["base", "other"], ["other", "base"], ["other"]];
const validation = { digest: seeded("validation"), validator: "validator", time: NOW };
const passed = { ...validation, result: "pass" } as const;
const failed = { ...validation, result: "fail" } as const;
const governance = fc.record({
  epoch: usually(3, 2, 4),
  keyset: fc.constant("authority" as const),
  class: usually("standard", "narrow", "absent"),
  ticket: fc.constantFrom(null, "CHG-1"),
});

/** Steps of a window's bounds against the parent's: inward, not at all, or one second outward. */
const inward = usually(0, 1, -1, 4_000, -4_000);

function audiences({ ueid }: Domain): readonly Grant["audience"][] {
  const other = Uint8Array.of(1, ...seeded("other node", 16));
  return [[ueid], [ueid, other].sort(Buffer.compare), "web", "zone-a", [other], "elsewhere"];
}

const common = {
  iss: fc.constantFrom("iss", "agent"),
  sub: usually("alice", "mallory"),
  domain: usually("example.test", "other.example"),
  cti: fc.integer({ min: 0, max: 2 ** 31 }).map((n) => seeded(`cti ${n}`, 16)),
  governance,
};
type Unplaced = Omit<LinkPlan["claims"], "depth" | "exp" | "nbf" | "iat">;

function link(domain: Domain, place: number) {
  return fc.record({
    claims: fc
      .record({
        ...common,
        scope: linkScope,
        policies: perhaps(...([["base", "other"], ...policyNames] as [string[]])),
        maxDepth: fc.oneof(
          { weight: 20, arbitrary: fc.constant(4) },
          { weight: 3, arbitrary: fc.constant(undefined) },
          { weight: 2, arbitrary: fc.constantFrom(0, place, 3) },
        ),
        policyValidation: usually<Link["policyValidation"]>(undefined, passed, failed),
        audience: mostly(undefined, ...audiences(domain)),
        decision: perhaps<Link["decision"]>("local", "plane"),
      })
      .map(stated) as fc.Arbitrary<Unplaced>,
    depth: usually(place, Math.max(1, place - 1), Math.min(4, place + 1)),
    steps: fc.record({ iat: inward, nbf: inward, exp: inward }),
    holder: usually<number | null>(place, null, 0),
    signedBy: usually<number | undefined>(undefined, 0, 1, STRANGER),
    parent: usually<LinkPlan["parent"]>("before", "grandparent", "stranger"),
    damaged: usually(false, true),
    revoked: mostly(false, true),
    uses: mostly(0, 1, 2, 3, 4),
  });
}

/** A grant, up to four links, and a job. */
export function chainPlans(domain: Domain): fc.Arbitrary<ChainPlan> {
  const grant = fc
    .record({
      ...common,
      scope: grantScope,
      policies: fc.constantFrom(...policyNames.slice(0, 2)),
      maxDepth: usually(4, 0, 1, 2),
      policyValidation: usually<Grant["policyValidation"]>(passed, failed),
      statusIndex: fc.constant(5),
      audience: fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom(...audiences(domain).slice(0, 3)) },
        { weight: 1, arbitrary: fc.constantFrom(...audiences(domain)) },
      ),
      decision: fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom<Grant["decision"]>(undefined, "local") },
        { weight: 1, arbitrary: fc.constant("plane" as const) },
      ),
      iat: usually(NOW - 100, NOW - 99, NOW + 1, NOW),
      nbf: usually(NOW - 90, NOW - 101, NOW, NOW + 1),
      exp: usually(NOW + HOUR, NOW, NOW + 1, NOW + 31 * 24 * HOUR),
    })
    .map(stated) as fc.Arbitrary<ChainPlan["grant"]>;
  const links = fc
    .integer({ min: 0, max: 4 })
    .chain((count) => fc.tuple(...[1, 2, 3, 4].slice(0, count).map((at) => link(domain, at))));
  const rest = fc.record({
    grant,
    holder: usually<number | null>(0, null),
    damaged: usually(false, true),
    revoked: mostly<ChainPlan["revoked"]>(null, "index", "digest"),
    uses: mostly(0, 1, 2, 3, 4),
    job,
    provedBy: usually<number | null | undefined>(undefined, null, 0, STRANGER),
  });
  return fc.tuple(rest, links).map(([plan, made]) => ({
    ...stated(plan),
    // Null is a value here, and stays.
    links: placed(plan.grant, made),
  })) as fc.Arbitrary<ChainPlan>;
}

type Made = ReturnType<typeof link> extends fc.Arbitrary<infer T> ? T : never;

/** Gives the links their times, each from its parent's. */
function placed(grant: ChainPlan["grant"], links: readonly Made[]): LinkPlan[] {
  let { iat, nbf, exp } = grant;
  return links.map(({ claims, depth, steps, signedBy, ...rest }) => {
    iat += steps.iat;
    nbf += steps.nbf;
    exp -= steps.exp;
    return {
      ...rest,
      ...(signedBy !== undefined && { signedBy }),
      claims: { ...claims, depth, iat, nbf, exp },
    };
  });
}
