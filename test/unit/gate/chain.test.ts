/**
 * Chains through the gate with real parts: every element's use is claimed, and the leaf's holder
 * proves.
 */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Asked } from "../../../src/gate/hearing.ts";
import { loggedRuns, runTree } from "../../../src/log/runs.ts";
import { parseSigned } from "../../../src/wire/objects.ts";
import { chain, holderAt, type LinkChange } from "../../support/chains.ts";
import { NOW } from "../../support/domain.ts";
import { type GateWorld, makeGateWorld } from "../../support/gate-world.ts";
import { seeded } from "../../support/keys.ts";

let g: GateWorld;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW * 1000 });
  g = await makeGateWorld();
});
afterEach(async () => {
  await g.dispose();
  vi.useRealTimers();
});

/** Asks with a grant of one use (or so many) for the gate's job, and these links. */
async function ask(links: readonly LinkChange[], uses = 1): Promise<Asked> {
  const prepared = await g.prepare();
  const { job } = prepared;
  const scope = g.world.scope({
    image: job.executable,
    argv: { form: "exact", values: job.argv },
    environment: [],
    cwd: job.cwd,
    uid: job.uid,
    gid: job.gid,
    callers: [job.callerUid],
    inputs: [],
    runtimeSeconds: job.runtimeSeconds,
    uses,
  });
  const materials = await g.materials(prepared, { ...chain(g.world, links), scope });
  const signers = [holderAt(g.world, links.length)] as const;
  const prover = async (request: Uint8Array) =>
    (await g.world.make("proof", { request }, { signers })).bytes;
  return { prepared, materials, prover, parentRun: null };
}

const digests = ({ materials }: Asked): Uint8Array[] =>
  materials.elements.map(
    (bytes, i) => parseSigned(i === 0 ? "grant" : "link", bytes).digest ?? bytes,
  );

async function run(asked: Asked) {
  const { verdict, code } = await g.gate.decide(asked);
  if (!verdict.allow) return code;
  const ended = await g.gate.execute(await g.gate.claim(verdict), () => undefined);
  return ended.outcome;
}

test("one use of every element is claimed", async () => {
  const asked = await ask([{}, {}]);
  expect(await run(asked)).toEqual({ kind: "exited", code: 0 });
  expect(await g.store.uses(digests(asked))).toEqual([1, 1, 1]);
});

test("a delegate cannot mint uses by minting links", async () => {
  expect(await run(await ask([{}]))).toEqual({ kind: "exited", code: 0 });
  const minted = await ask([{ claims: { cti: seeded("minted", 16) } }]);
  expect(await run(minted)).toBe("replay.use");
  expect(await g.store.uses(digests(minted))).toEqual([1, 0]);
});

test("two links of one grant at once: the grant's one use is claimed once", async () => {
  const [first, second] = [await ask([{}]), await ask([{ claims: { cti: seeded("other", 16) } }])];
  const [one, other] = [await g.gate.decide(first), await g.gate.decide(second)];
  if (!one.verdict.allow || !other.verdict.allow) throw new Error("denied");
  await g.gate.execute(await g.gate.claim(one.verdict), () => undefined);
  await expect(g.gate.claim(other.verdict)).rejects.toThrow();
  expect(await g.store.uses(digests(second))).toEqual([1, 0]);
});

test("at the executing node's, no key is asked", async () => {
  const asked = await ask([{ claims: { cnf: { node: "executing" } } }]);
  const prover = vi.fn(asked.prover ?? undefined);
  expect(await run({ ...asked, prover })).toEqual({ kind: "exited", code: 0 });
  expect(prover).not.toHaveBeenCalled();
});

test("the grant's holder cannot run what its delegate holds", async () => {
  expect(await run({ ...(await ask([{}])), prover: g.prover })).toBe("identity.proof");
});

test("elements in another order, cut off or damaged are denied for what they are", async () => {
  const asked = await ask([{}, {}]);
  const { elements } = asked.materials;
  const presented = (changed: readonly Uint8Array[]) =>
    run({ ...asked, materials: { ...asked.materials, elements: changed } });
  const [grant, first, second] = elements;
  if (!grant || !first || !second) throw new Error("no chain");
  expect(await presented([grant, second, first])).toBe("signature.unknown-key");
  expect(await presented([grant, second])).toBe("signature.unknown-key");
  expect(await presented([grant, first])).toBe("identity.proof");
  expect(await presented([first, second])).toBe("artifact.malformed");
  expect(await presented([grant, first.subarray(0, -1)])).toBe("artifact.malformed");
});

test("a sub-job is connected to the run under way that started it, and to no other", async () => {
  const started = await g.gate.decide(await ask([], 2));
  if (!started.verdict.allow) throw new Error("denied");
  const parent = await g.gate.claim(started.verdict);
  const sub = { ...(await ask([{}], 2)), parentRun: parent.runId };
  expect((await g.gate.decide({ ...sub, parentRun: seeded("no run") })).code).toBe("replay.run");
  expect(await run(sub)).toEqual({ kind: "exited", code: 0 });
  await g.gate.execute(parent, () => undefined);
  expect((await g.gate.decide(sub)).code).toBe("replay.run");

  const runs = await loggedRuns(g.store);
  const child = runs.find(({ parentRun }) => parentRun !== null);
  expect(child?.parentRun).toEqual(parent.runId);
  expect(runTree(runs).map(({ depth, run: { runId } }) => [depth, runId])).toEqual([
    [0, parent.runId],
    [1, child?.runId],
  ]);
});
