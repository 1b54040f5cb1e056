/**
 * Two readers of one format: the registry that writes our objects, and the core that judges them.
 * Whatever the one refuses the other must, and name it malformed; what the one reads, the other
 * must not call malformed.
 */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Code } from "../../src/core/index.ts";
import { loadCore } from "../../src/core/index.ts";
import { decode, encode } from "../../src/wire/cbor.ts";
import type { CborValue } from "../../src/wire/cbor-value.ts";
import { parseCose } from "../../src/wire/cose.ts";
import { WireError } from "../../src/wire/error.ts";
import { parsePlain, parseSigned } from "../../src/wire/objects.ts";
import { chain } from "../support/chains.ts";
import { mutations } from "../support/mutations.ts";
import { type BuiltCase, type Edits, makeWorld } from "../support/world.ts";

const core = await loadCore();
const world = makeWorld();

interface Target {
  readonly malformed: readonly Code[];
  readonly bytesOf: (built: BuiltCase) => Uint8Array | null;
}
const signed = {
  charter: { malformed: ["governance.malformed"], bytesOf: (built) => built.charter.bytes },
  snapshot: { malformed: ["governance.malformed"], bytesOf: (built) => built.snapshot.bytes },
  // That the domain is another and that no PCR is named have no code, or their own one, in the
  // core.
  policy: {
    malformed: ["policy.malformed", "environment.pcr-empty"],
    bytesOf: (built) => built.policies[0]?.bytes ?? null,
  },
  node: { malformed: ["identity.malformed"], bytesOf: (built) => built.node.bytes },
  grant: {
    malformed: ["artifact.malformed", "artifact.unknown-claim", "artifact.oversized"],
    bytesOf: (built) => built.grant.bytes,
  },
  link: {
    malformed: ["artifact.malformed", "artifact.unknown-claim", "artifact.oversized"],
    bytesOf: (built) => built.chain[1]?.bytes ?? null,
  },
  result: { malformed: ["plane.malformed"], bytesOf: (built) => built.result },
} as const satisfies { readonly [kind: string]: Target };
const plain = {
  statusList: { malformed: ["revocation.malformed"], bytesOf: (built) => built.statusList },
  job: { malformed: ["policy.job"], bytesOf: (built) => built.job },
} as const satisfies { readonly [kind: string]: Target };
type Kind = keyof typeof signed | keyof typeof plain;
type Readable = Kind | "case";
const isSigned = (kind: Readable): kind is keyof typeof signed => Object.hasOwn(signed, kind);

/** Why the registry refuses the bytes, null where it reads them. */
function objection(kind: Readable, bytes: Uint8Array): string | null {
  try {
    if (isSigned(kind)) parseSigned(kind, bytes);
    else parsePlain(kind, bytes);
    return null;
  } catch (error) {
    if (error instanceof WireError) return error.message;
    throw error;
  }
}

/** Where the two may differ, each for its reason. */
function mayDiffer(kind: Readable, why: string | null, mutated: CborValue): boolean {
  const domain = mutated instanceof Map ? mutated.get(3) : null;
  return kind === "policy" && why === null && domain !== world.domain;
}

/** A case with every kind of object; the link states all that a link may. */
function build(edit: Edits = {}): Promise<BuiltCase> {
  const { scope, policies, policyValidation, audience } = world.grant();
  const decision = "plane" as const;
  const claims = { scope, policies, policyValidation, audience, decision, attribution: "team" };
  return world.build(chain(world, [{ claims, edit }], { plane: true, edit }));
}
const base = await build();
const kinds = [...Object.keys(signed), ...Object.keys(plain)] as Kind[];
const changed = new Map(
  kinds.map((kind) => {
    const target: Target = isSigned(kind) ? signed[kind] : plain[kind];
    const bytes = target.bytesOf(base) ?? new Uint8Array();
    const value = decode(isSigned(kind) ? parseCose(bytes).payload : bytes);
    return [kind, { target, all: [...mutations(value)] }] as const;
  }),
);

async function compare(kind: Kind, mutated: CborValue, { malformed, bytesOf }: Target) {
  const put = () => encode(mutated);
  const edit: Edits = isSigned(kind) ? { payload: { [kind]: put } } : { [kind]: put };
  const built = await build(edit);
  const why = objection(kind, bytesOf(built) ?? new Uint8Array());
  if (mayDiffer(kind, why, mutated)) return;
  const verdict = core.decide(built.bytes, { explain: true });
  const named = verdict.codes.filter((code) => malformed.includes(code));
  expect({ why, named }).toEqual(
    why === null ? { why, named: [] } : { why, named: [expect.any(String)] },
  );
  expect(why !== null && verdict.allow).toBe(false);
}

test.each(kinds)("core and registry agree on every %s", async (kind) => {
  const { target, all } = changed.get(kind) ?? { target: null, all: [] };
  if (target === null) throw new Error("no such kind");
  await fc.assert(
    fc.asyncProperty(fc.nat(all.length - 1), (i) => compare(kind, all[i] ?? null, target)),
    { numRuns: 40, verbose: fc.VerbosityLevel.None },
  );
});

test("core and registry agree on what is a case at all", async () => {
  const lease = await world.build({ purpose: "lease", run: new Uint8Array(32), holder: "node" });
  const all = [base, lease].flatMap(({ bytes }) => [...mutations(decode(bytes))]);
  fc.assert(
    fc.property(fc.constantFrom(...all), (mutated) => {
      const bytes = encode(mutated);
      const why = objection("case", bytes);
      expect({ why, code: core.decide(bytes).code === "internal.case" }).toEqual({
        why,
        code: why !== null,
      });
    }),
    { numRuns: 300 },
  );
});
