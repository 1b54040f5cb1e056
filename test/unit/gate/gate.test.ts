/**
 * The gate's steps with real parts: what it admits runs once, what the host itself cannot do is a
 * denial with its own code, and nothing but a genuine verdict of this gate gets through.
 */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Allowed, Code } from "../../../src/core/index.ts";

import { ExecError } from "../../../src/gate/error.ts";
import type { Materials } from "../../../src/gate/evidence.ts";
import { type Admitted, Gate, type GateParts } from "../../../src/gate/gate.ts";
import type { Asked } from "../../../src/gate/hearing.ts";
import { codeOfFailure } from "../../../src/gate/refusal.ts";
import { parseLeaf } from "../../../src/log/leaf.ts";
import { NOW } from "../../support/domain.ts";
import { type GateWorld, makeGateWorld } from "../../support/gate-world.ts";

let g: GateWorld;
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: NOW * 1000 });
  g = await makeGateWorld();
});
afterEach(async () => {
  await g.dispose();
  vi.useRealTimers();
});

async function ask(overrides: Parameters<GateWorld["materials"]>[1] = {}): Promise<Asked> {
  const prepared = await g.prepare();
  const materials = await g.materials(prepared, overrides);
  return { prepared, materials, prover: g.prover, parentRun: null };
}

async function allowed(asked: Asked, gate = g.gate): Promise<Allowed> {
  const { verdict, failure } = await gate.decide(asked);
  if (!verdict.allow) throw new Error(`${verdict.codes.join()} ${failure}`);
  return verdict;
}

async function eventsOf(world: GateWorld): Promise<string[]> {
  return (await world.store.leaves(0, 100)).map(({ bytes }) => {
    const { event, code } = parseLeaf(bytes);
    return code === null ? event : `${event} ${code}`;
  });
}

async function claimFails(gate: Gate, verdict: Allowed): Promise<Code> {
  const error = await gate.claim(verdict).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).not.toBeNull();
  return codeOfFailure(error);
}

test("a freeze that another decision saw between allow and claim: nothing starts", async () => {
  const verdict = await allowed(await ask());
  const frozen = await ask({ snapshot: { version: 8, freeze: "new" } });
  const decision = await g.gate.decide(frozen);
  expect(decision.code).toBe("governance.frozen");
  await g.gate.record(frozen, decision, "denied");
  expect(await claimFails(g.gate, verdict)).toBe("internal.ledger");
  expect(await eventsOf(g)).toEqual(["denied governance.frozen"]);
});

test("break-glass is marked where it runs, where it is denied, and not by whoever names it", async () => {
  const { authority } = g.world.signers;
  const grant = { governance: { ...g.world.grant().governance, class: "break-glass" } };
  const signers = { grant: authority };
  const admitted = await g.gate.claim(await allowed(await ask({ grant, signers })));
  expect(admitted.intent.mark).toBe("break-glass");
  const ended = await g.gate.execute(admitted, () => undefined);
  expect(ended.recorded.mark).toBe("break-glass");
  const denied = async (overrides: Parameters<typeof ask>[0]) => {
    const asked = await ask(overrides);
    const decision = await g.gate.decide(asked);
    expect(decision.verdict.allow).toBe(false);
    return (await g.gate.record(asked, decision, "denied")).mark;
  };
  const nobody = { audience: [new Uint8Array(17)] };
  expect(await denied({ grant: { ...grant, ...nobody }, signers })).toBe("break-glass");
  expect(await denied({ grant })).toBeNull();
  expect(await denied({ grant: nobody })).toBeNull();
});

test("a job is admitted, runs, and intent and outcome stand in the log", async () => {
  const asked = await ask();
  const verdict = await allowed(asked);
  const admitted = await g.gate.claim(verdict);
  const ended = await g.gate.execute(admitted, () => undefined);
  expect(ended.outcome).toEqual({ kind: "exited", code: 0 });
  expect(await eventsOf(g)).toEqual(["intent", "outcome"]);
  expect(await g.store.uses(verdict.request.elements.map(({ digest }) => digest))).toEqual([1]);
  expect((await g.store.floors())?.snapshotVersion).toBe(7);
});

test("where what comes before the start fails, nothing starts, and the run is over", async () => {
  const admitted = await g.gate.claim(await allowed(await ask()));
  const gone = new ExecError("exec.status", "nobody reads");
  const ended = await g.gate.execute(admitted, () => Promise.reject(gone));
  expect(ended).toMatchObject({ outcome: null, code: "internal.exec", failure: "nobody reads" });
  expect(await eventsOf(g)).toEqual(["intent", "outcome internal.exec"]);
  expect(await g.store.openRuns()).toEqual([]);
});

test("the counter rises before anyone hears of the start, so that a signal until then ends the gate", async () => {
  const said: string[] = [];
  const raise = async (value: bigint): Promise<bigint> => {
    said.push("raised");
    return value + 1n;
  };
  const gate = new Gate({ ...g.parts, counter: { raise } });
  const verdict = await allowed(await ask(), gate);
  // Enrolled again meanwhile, by another process.
  const name = new Uint8Array(34);
  const anchor = { index: 1, name, value: 5n, announced: true, snapshotVersion: 0, size: 0 };
  await g.store.transact((transaction) => transaction.setAnchor(anchor));
  const admitted = await gate.claim(verdict);
  const { outcome } = await gate.execute(admitted, () => void said.push("told"));
  expect([said, outcome]).toEqual([["raised", "told"], { kind: "exited", code: 0 }]);
});

test("a denial is recorded, and raises the floors that were proven", async () => {
  const asked = await ask({ job: { uid: 1 }, snapshot: { freeze: "all" } });
  const decision = await g.gate.decide(asked);
  expect(decision.code).toBe("governance.frozen");
  await g.gate.record(asked, decision, "denied");
  expect(await eventsOf(g)).toEqual(["denied governance.frozen"]);
  expect((await g.store.floors())?.snapshotVersion).toBe(7);
});

describe("types are earned", () => {
  test("an Allowed is claimed once, and by the gate that decided", async () => {
    const verdict = await allowed(await ask());
    await expect(new Gate(g.parts).claim(verdict)).rejects.toThrow(TypeError);
    const admitted = await g.gate.claim(verdict);
    await expect(g.gate.claim(verdict)).rejects.toThrow(TypeError);
    await g.gate.execute(admitted, () => undefined);
    await expect(g.gate.execute(admitted, () => undefined)).rejects.toThrow(TypeError);
  });

  test("look-alikes are refused", async () => {
    const verdict = await allowed(await ask());
    await expect(g.gate.claim({ ...verdict })).rejects.toThrow(TypeError);
    const admitted = { runId: verdict.request.requestDigest } as unknown as Admitted;
    await expect(g.gate.execute(admitted, () => undefined)).rejects.toThrow(TypeError);
    expect(await eventsOf(g)).toEqual([]);
  });
});

describe("what the host cannot do is a denial", () => {
  const decideWith = async (change: Partial<GateParts>, materials: Partial<Materials> = {}) => {
    const asked = await ask();
    const gate = new Gate({ ...g.parts, ...change });
    return gate.decide({ ...asked, materials: { ...asked.materials, ...materials } });
  };

  test("internal.tpm-unavailable", async () => {
    const evidence = { attest: () => Promise.reject(new Error("the TPM is gone")) };
    const decision = await decideWith({ evidence });
    expect(decision).toMatchObject({
      code: "internal.tpm-unavailable",
      failure: "the TPM is gone",
    });
    expect(decision.verdict.allow).toBe(false);
  });

  test("internal.timeout", async () => {
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"], now: NOW * 1000 });
    const evidence = { attest: () => new Promise<never>(() => undefined) };
    const decision = decideWith({ evidence });
    const stop = setInterval(() => vi.advanceTimersByTime(10_000), 20);
    expect((await decision).code).toBe("internal.timeout");
    clearInterval(stop);
  });

  test("internal.evidence: more files than a case can hold", async () => {
    const policies = Array.from({ length: 9 }, () => new Uint8Array(0));
    const decision = await decideWith({}, { policies });
    expect(decision.code).toBe("internal.evidence");
    expect(decision.verdict.allow).toBe(false);
  });

  test("internal.store", async () => {
    await g.store.close();
    const decision = await decideWith({});
    expect(decision.code).toBe("internal.store");
    expect(decision.verdict.allow).toBe(false);
  });

  test("internal.log: the case cannot be kept, and nothing starts", async () => {
    const verdict = await allowed(await ask());
    await rm(join(g.home, "cases"), { recursive: true, force: true });
    await writeFile(join(g.home, "cases"), "in the way");
    expect(await claimFails(g.gate, verdict)).toBe("internal.log");
    expect(await eventsOf(g)).toEqual([]);
  });

  test("internal.ledger: the last use is claimed twice", async () => {
    const asked = await ask();
    const first = { ...asked, materials: await oneUse(asked) };
    const verdicts = [
      await allowed(first),
      await allowed({ ...first, prepared: await g.prepare() }),
    ];
    const [one, two] = verdicts as [Allowed, Allowed];
    await g.gate.execute(await g.gate.claim(one), () => undefined);
    expect(await claimFails(g.gate, two)).toBe("internal.ledger");
    expect(await eventsOf(g)).toEqual(["intent", "outcome"]);
  });

  test("internal.rollback: a counter guards the state, and the evidence does not show it", async () => {
    const anchor = {
      index: 0x01805043,
      name: new Uint8Array(34),
      value: 5n,
      announced: false,
      snapshotVersion: 0,
      size: 0,
    };
    await g.store.transact((transaction) => transaction.setAnchor(anchor));
    const decision = await decideWith({});
    expect(decision.code).toBe("internal.rollback");
    expect(decision.verdict.allow).toBe(false);
  });

  test("internal.tpm-unavailable: the counter must rise before the job, and cannot", async () => {
    const verdict = await allowed(await ask());
    // Enrolled again meanwhile, by another process.
    const name = new Uint8Array(34);
    const anchor = { index: 1, name, value: 5n, announced: true, snapshotVersion: 0, size: 0 };
    await g.store.transact((transaction) => transaction.setAnchor(anchor));
    const ended = await g.gate.execute(await g.gate.claim(verdict), () => undefined);
    expect(ended).toMatchObject({ code: "internal.tpm-unavailable", outcome: null });
    expect(await eventsOf(g)).toEqual(["intent", "outcome internal.tpm-unavailable"]);
  });

  test("internal.clock: since the last run the TPM counted more time than passed here", async () => {
    const verdict = await allowed(await ask());
    const { akName, clock, ...rest } = verdict.counters ?? { akName: new Uint8Array(0), clock: 0n };
    const before = {
      resetCount: 0,
      restartCount: 0,
      firmwareVersion: 0n,
      ...rest,
      clock: clock - 60_000n,
    };
    await g.store.transact((transaction) => transaction.replaceCounters(akName, before, NOW));
    expect(await claimFails(g.gate, verdict)).toBe("internal.clock");
    expect(await eventsOf(g)).toEqual([]);
  });

  test("internal.exec: the job's copy is gone before it is confined", async () => {
    const asked = await ask();
    const verdict = await allowed(asked);
    await asked.prepared.close();
    expect(await claimFails(g.gate, verdict)).toBe("internal.exec");
    expect(await eventsOf(g)).toEqual([]);
  });

  test("internal.deadline: the permission ran out between intent and start", async () => {
    // A grant expires in a tenth of a second: the case, in whole seconds, has one left.
    const asked = await ask();
    vi.setSystemTime(NOW * 1000 + 900);
    const scope = { ...g.world.scope(), ...scopeOf(asked) };
    const materials = await g.materials(asked.prepared, { scope, grant: { exp: NOW + 1 } });
    const verdict = await allowed({ ...asked, materials });
    const admitted = await g.gate.claim(verdict);
    await new Promise((done) => setTimeout(done, 150));
    const ended = await g.gate.execute(admitted, () => undefined);
    expect(ended).toMatchObject({ code: "internal.deadline", outcome: null });
    expect(await eventsOf(g)).toEqual(["intent", "outcome internal.deadline"]);
  });
});

function scopeOf({ prepared: { job } }: Asked) {
  return {
    image: job.executable,
    argv: { form: "exact" as const, values: job.argv },
    environment: [],
    cwd: job.cwd,
    uid: job.uid,
    gid: job.gid,
    callers: [job.callerUid],
    inputs: [],
    runtimeSeconds: job.runtimeSeconds,
  };
}

function oneUse(asked: Asked): Promise<Materials> {
  const scope = { ...g.world.scope(), ...scopeOf(asked), uses: 1 };
  return g.materials(asked.prepared, { scope });
}
