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

/** Runs at least so many cases; gives how often each code came first, "allowed" among them. */
export async function expectAgreement(cases: number): Promise<Map<Code | "allowed", number>> {
  const core = await loadCore();
  const stage = await Stage.build();
  const seen = new Map<Code | "allowed", number>();
  const batches = fc.array(chainPlans(stage.world), { minLength: BATCH, maxLength: BATCH });
  await fc.assert(
    fc.asyncProperty(batches, async (plans) => {
      for (const { presented, bytes } of await stage.cases(plans)) {
        const expected = judge(presented, stage.circumstances);
        const verdict = core.decide(bytes, { explain: true });
        const first = expected[0] ?? null;
        expect({ code: verdict.code, codes: verdict.codes }).toEqual({
          code: first,
          codes: CODE_LIST.filter((code) => expected.includes(code)),
        });
        expect(verdict.allow).toBe(first === null);
        seen.set(first ?? "allowed", (seen.get(first ?? "allowed") ?? 0) + 1);
      }
    }),
    { numRuns: Math.ceil(cases / BATCH) },
  );
  return seen;
}

/** The same about governance: charters, snapshots, lists, grants and classes, floors and bytes. */
export async function expectGovernanceAgreement(
  cases: number,
): Promise<Map<Code | "allowed", number>> {
  const core = await loadCore();
  const stage = new GovernanceStage();
  const seen = new Map<Code | "allowed", number>();
  const batches = fc.array(governancePlans, { minLength: BATCH, maxLength: BATCH });
  await fc.assert(
    fc.asyncProperty(batches, async (plans) => {
      const made = await stage.cases(plans);
      for (const [i, plan] of plans.entries()) {
        const bytes = made[i] ?? new Uint8Array(0);
        const expected = judgeGovernance(plan, KIDS);
        const verdict = core.decide(bytes, { explain: true });
        const first = expected[0] ?? null;
        expect({ code: verdict.code, codes: verdict.codes }).toEqual({
          code: first,
          codes: CODE_LIST.filter((code) => expected.includes(code)),
        });
        if (i % 8 === 0) expect(core.decide(bytes).code).toBe(first);
        seen.set(first ?? "allowed", (seen.get(first ?? "allowed") ?? 0) + 1);
      }
    }),
    { numRuns: Math.ceil(cases / BATCH) },
  );
  return seen;
}
