/**
 * One trial: present what the scenario says, let the gate decide and act, and compare what is left
 * behind (code, outcome, leaves, ledger, receipt) with what must be. Nothing is judged by what was
 * printed.
 */
import { type Code, isAllowed } from "../../core/index.ts";
import type { Decision, Ended, Gate } from "../../gate/gate.ts";
import type { Asked } from "../../gate/hearing.ts";
import { makeReceipt } from "../../gate/receipt.ts";
import { codeOfFailure } from "../../gate/refusal.ts";
import type { Recorded } from "../../log/journal.ts";
import type { Leaf } from "../../log/leaf.ts";
import { signedBytes } from "../../wire/cose.ts";
import { coseKeyOf, verifySignature } from "../../wire/keys.ts";
import { parseSigned } from "../../wire/objects.ts";
import type { Scenario } from "./scenario.ts";
import type { Site } from "./site.ts";

export interface Trial {
  readonly title: string;
  readonly expected: Code | null;
  readonly actual: Code | null;
  /** What differs from what must be; empty where all is right. */
  readonly faults: readonly string[];
}

interface Acted {
  readonly code: Code | null;
  readonly ended: Ended | null;
  readonly recorded: Recorded | null;
}

/** Decides and acts like `portcullis run`. */
async function act(gate: Gate, asked: Asked, between: () => Promise<void>): Promise<Acted> {
  const decision = await gate.decide(asked);
  const { verdict } = decision;
  if (!isAllowed(verdict)) return refuse(gate, asked, decision);
  await between();
  try {
    const admitted = await gate.claim(verdict);
    const ended = await gate.execute(admitted, () => undefined);
    return { code: ended.code, ended, recorded: ended.recorded };
  } catch (error) {
    return refuse(gate, asked, { ...decision, code: codeOfFailure(error) });
  }
}

async function refuse(gate: Gate, asked: Asked, decision: Decision): Promise<Acted> {
  const code = decision.code ?? "internal.undecided";
  try {
    const recorded = await gate.record(asked, { ...decision, code }, "denied");
    return { code, ended: null, recorded };
  } catch (error) {
    return { code: codeOfFailure(error), ended: null, recorded: null };
  }
}

export async function tryOne(site: Site, scenario: Scenario): Promise<Trial> {
  const { policies } = scenario;
  const change = (await scenario.grant?.(site)) ?? {};
  const claims = { ...(policies && { policies }), ...change.claims };
  const grant = await site.grant({ ...change, claims });
  const elements = (await scenario.elements?.(grant, site)) ?? [grant];
  await scenario.before?.(site, async () => {
    await runOnce(site, await site.grant(), () => Promise.resolve());
  });
  const real = site.evidence(policies);
  const plane = scenario.plane?.(site, site.plane.source, grant) ?? null;
  const gate = site.gate(scenario.evidence?.(site, real) ?? real, plane);
  const prepared = await site.prepare(scenario.job);
  const plain = await site.materials(elements, policies);
  const materials = (await scenario.materials?.(site, plain)) ?? plain;
  const before = await site.holdings(grant);
  let others = 0;
  const other = async (): Promise<void> => {
    others += (await runOnce(site, grant, () => Promise.resolve())).code === null ? 1 : 0;
  };
  const asked = { prepared, materials, prover: null, parentRun: null };
  const acted = await act(gate, asked, async () => scenario.between?.(site, other));
  await prepared.close();
  await scenario.after?.(site);
  const faults = await inspect(site, scenario, grant, before, acted, others);
  return { title: scenario.title, expected: scenario.expected, actual: acted.code, faults };
}

async function runOnce(
  site: Site,
  grant: Uint8Array,
  between: () => Promise<void>,
): Promise<Acted> {
  const prepared = await site.prepare({ stdin: "none" });
  const materials = await site.materials([grant]);
  const asked = { prepared, materials, prover: null, parentRun: null };
  try {
    return await act(site.gate(), asked, between);
  } finally {
    await prepared.close();
  }
}

/** Compares what the trial left behind with what must be. */
async function inspect(
  site: Site,
  scenario: Scenario,
  grant: Uint8Array,
  before: { readonly leaves: number; readonly uses: number },
  acted: Acted,
  others: number,
): Promise<string[]> {
  const faults: string[] = [];
  const must = (holds: boolean, what: string): void => {
    if (!holds) faults.push(what);
  };
  const { expected } = scenario;
  must(acted.code === expected, `the code is ${acted.code ?? "none"}`);
  const after = await site.holdings(grant);
  const ran = expected === null ? 1 : 0;
  must(after.uses === before.uses + ran + others, `${after.uses} uses in the ledger`);
  const own = ran ? ["intent", "outcome"] : ["denied"];
  const events = [...Array.from({ length: others }, () => ["intent", "outcome"]).flat(), ...own];
  const leaves = await site.leavesFrom(before.leaves);
  const seen = leaves.map(({ event }) => event);
  must(seen.join() === events.join(), `the log gained ${seen.join(", ") || "nothing"}`);
  const last = leaves.at(-1);
  must(last?.code === expected, `the leaf says ${last?.code ?? "none"}`);
  const marked = leaves.every(({ mark }) => mark === "break-glass");
  must(marked || scenario.marked !== true, "the log does not mark it");
  must((acted.ended !== null) === (expected === null), "the job ran where it must not, or did not");
  if (acted.ended !== null) {
    const { outcome } = acted.ended;
    must(outcome?.kind === "exited" && outcome.code === 0, "the job did not end well");
  }
  if (acted.recorded !== null) must(await receiptHolds(site, acted, last), "the receipt is wrong");
  return faults;
}

/** Makes the receipt, and reads it as its receiver would: signature, code, leaf. */
async function receiptHolds(site: Site, acted: Acted, leaf: Leaf | undefined): Promise<boolean> {
  const { recorded, code } = acted;
  if (recorded === null || leaf === undefined) return false;
  const event = acted.ended === null ? "denied" : "outcome";
  const facts = { event, code, runId: leaf.run, exit: 0, warnings: leaf.warnings } as const;
  const bytes = await makeReceipt(facts, recorded, site.coreDigest, site.signer);
  const { claims, message } = parseSigned("receipt", bytes);
  const [signature] = message.signatures;
  const key = coseKeyOf(site.logKey);
  const signed =
    signature && verifySignature(key, signedBytes(message, signature), signature.signature);
  const says = claims.event === leaf.event && claims.code === leaf.code;
  return signed === true && says && (claims.mark ?? null) === leaf.mark;
}
