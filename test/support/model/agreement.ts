/** Asks core and model about the same chains and governance, and compares all their codes. */
import * as fc from "fast-check";
import { expect } from "vitest";
import { CODE_LIST, type Code, loadCore } from "../../../src/core/index.ts";
import { chainPlans } from "./arbitrary.ts";
import { judge } from "./chain.ts";
import { judgeGovernance } from "./governance.ts";
import { governancePlans } from "./governance-plan.ts";
import { GovernanceStage, KIDS } from "./governance-stage.ts";
import { Stage } from "./stage.ts";

const BATCH = 40;

/** How often each code came first, "allowed" among them. */
type Seen = Map<Code | "allowed", number>;

interface Judged {
  readonly bytes: Uint8Array;
  /** The codes that the model gives, in the order of judging. */
  readonly expected: readonly Code[];
}

/** Of the generated cases: the SEED of the environment, or another one in each run. */
export const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);

/** Runs at least so many generated chains. */
export async function expectAgreement(cases: number): Promise<Seen> {
  const stage = await Stage.build();
  return agree(cases, chainPlans(stage.world), async (plans) =>
    (await stage.cases(plans)).map(({ presented, bytes }) => ({
      bytes,
      expected: judge(presented, stage.circumstances),
    })),
  );
}

/** The same about governance: charters, snapshots, lists, grants and classes, floors and bytes. */
export async function expectGovernanceAgreement(cases: number): Promise<Seen> {
  const stage = new GovernanceStage();
  return agree(cases, governancePlans, async (plans) => {
    const made = await stage.cases(plans);
    return plans.map((plan, i) => ({
      bytes: made[i] ?? new Uint8Array(0),
      expected: judgeGovernance(plan, KIDS),
    }));
  });
}

async function agree<Plan>(
  cases: number,
  plans: fc.Arbitrary<Plan>,
  make: (plans: Plan[]) => Promise<readonly Judged[]>,
): Promise<Seen> {
  const core = await loadCore();
  const seen: Seen = new Map();
  const batches = fc.array(plans, { minLength: BATCH, maxLength: BATCH });
  await fc.assert(
    fc.asyncProperty(batches, async (batch) => {
      for (const [i, { bytes, expected }] of (await make(batch)).entries()) {
        const verdict = core.decide(bytes, { explain: true });
        const first = expected[0] ?? null;
        expect({ code: verdict.code, codes: verdict.codes }).toEqual({
          code: first,
          codes: CODE_LIST.filter((code) => expected.includes(code)),
        });
        expect(verdict.allow).toBe(first === null);
        if (i % 8 === 0) expect(core.decide(bytes).code).toBe(first);
        seen.set(first ?? "allowed", (seen.get(first ?? "allowed") ?? 0) + 1);
      }
    }),
    { seed, numRuns: Math.ceil(cases / BATCH) },
  );
  return seen;
}
