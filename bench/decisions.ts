/**
 * Whole decisions, against node:crypto verifying the signatures of grant, links, proof and quote
 * alone. Charter, snapshot, policy and credential are the same throughout. There are more cases than
 * the core keeps anything of, so that each is new whenever its turn comes.
 */
import { verify } from "node:crypto";
import type { Core } from "../src/core/index.ts";
import type { Curve } from "../src/wire/keys.ts";
import { type DecisionCase, decisionCases } from "./cases.ts";
import type { Scale, Subject, Suite } from "./measure.ts";
import { insist, pick, turns } from "./signatures.ts";

/** Twice as many objects as the core keeps. */
const OBJECTS = { full: 4500, quick: 4500, once: 64 * 3 };

function nativeChecks(cases: readonly DecisionCase[]): Subject {
  const turn = turns(cases.length);
  const run = (): void => {
    for (const { hash, message, key, signature } of pick(cases, turn()).checks) {
      insist(verify(hash, message, key, signature));
    }
  };
  return { name: "node:crypto, its signatures alone", operations: 1, run };
}

/**
 * Cases in turn for all subjects together: none meets a case that another has had decided a moment
 * ago, which the core would still know.
 */
function dealer(cases: readonly DecisionCase[]): (size: number) => Uint8Array[] {
  const turn = turns(cases.length);
  return (size) => Array.from({ length: size }, () => pick(cases, turn()).bytes);
}

function decisions(core: Core, deal: (size: number) => Uint8Array[], size: number): Subject {
  const run = (): void => {
    const group = deal(size);
    if (size === 1) insist(core.decide(pick(group, 0)).allow);
    else insist(core.decideBatch(group).every(({ allow }) => allow));
  };
  const name = size === 1 ? "decide" : `decideBatch of ${size}`;
  return { name, operations: size, run, budget: size === 1 ? 2 : 5 };
}

export async function decisionSuites(core: Core, scale: Scale): Promise<Suite[]> {
  const curves: Curve[] = ["Ed25519", "P-256"];
  const suites: Suite[] = [];
  for (const curve of curves) {
    for (const elements of scale === "quick" ? [1] : [1, 3, 5]) {
      const count = Math.max(64, Math.ceil(OBJECTS[scale] / (elements + 2)));
      const cases = await decisionCases({ curve, elements, cases: count });
      // The core takes the keys in, and the engine's better compiler has its turn.
      if (scale !== "once") core.decideBatch(cases.map(({ bytes }) => bytes));
      const sizes = scale === "full" ? [64, 16, 4, 1] : [64, 1];
      const deal = dealer(cases);
      const subjects = sizes.map((size) => decisions(core, deal, size));
      const name = `Decision, ${curve}, chain of ${elements}, P-256 quote`;
      suites.push({ name, subjects: [nativeChecks(cases), ...subjects] });
    }
  }
  const [again] = await decisionCases({ curve: "Ed25519", elements: 1, cases: 1 });
  if (again !== undefined) {
    const one = { ...decisions(core, dealer([again]), 1), name: "decide, everything seen before" };
    const { budget: _none, ...seen } = one;
    suites.push({ name: "Decision, repeated", subjects: [nativeChecks([again]), seen] });
  }
  return suites;
}
