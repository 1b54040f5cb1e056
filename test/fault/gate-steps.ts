/**
 * A gate that kills itself (SIGKILL) at one step between collecting evidence and recording the
 * outcome. The step is reached inside the real parts, by wrapping them; production code has no hook
 * for it. Prints its home first.
 *
 * The job writes a file when it starts, then sleeps, with a child that left its session.
 */
import { existsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Gate, type GateParts } from "../../src/gate/gate.ts";
import { Journal } from "../../src/log/journal.ts";
import { noteSigner } from "../../src/log/note.ts";
import type { Store, Transaction } from "../../src/store/contract.ts";
import { NOW } from "../support/domain.ts";
import { makeGateWorld } from "../support/gate-world.ts";
import { nodeKey } from "../support/keys.ts";

export const STEPS = [
  "before the evidence",
  "after the evidence",
  "before the case is kept",
  "after the case is kept",
  "inside the claim's transaction",
  "after the claim is durable",
  "before the release",
  "while the job runs",
  "inside the outcome's transaction",
  "after the outcome is durable",
  "never",
] as const;
export type Step = (typeof STEPS)[number];

const wanted = process.argv[2];
const marker = process.argv[3] ?? "";

/** What the clock would say in the fixture's world. */
Date.now = () => NOW * 1000;

function reach(step: Step): void {
  if (step === wanted) process.kill(process.pid, "SIGKILL");
}

/**
 * Dies inside a transaction that appends this kind of leaf, before it commits; or right after the
 * commit.
 */
function dying(store: Store): Store {
  let outcomes = 0;
  return new Proxy(store, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (name !== "transact") return typeof member === "function" ? member.bind(target) : member;
      return async (work: (transaction: Transaction) => Promise<unknown>) => {
        const kind = outcomes++ === 0 ? "claim" : "outcome";
        const result = await target.transact(async (transaction) => {
          const done = await work(transaction);
          reach(
            kind === "claim"
              ? "inside the claim's transaction"
              : "inside the outcome's transaction",
          );
          return done;
        });
        reach(kind === "claim" ? "after the claim is durable" : "after the outcome is durable");
        return result;
      };
    },
  });
}

const g = await makeGateWorld();
writeSync(1, `${g.home}\n`);
const store = dying(g.store);
const origin = "example.org/gate";
const signer = noteSigner(origin, nodeKey(g.world.signers.nodeLog));
const { cases, evidence } = g.parts;
const parts: GateParts = {
  ...g.parts,
  store,
  journal: new Journal({ store, origin, signer }),
  cases: Object.assign(Object.create(cases), {
    write: async (bytes: Uint8Array) => {
      reach("before the case is kept");
      const digest = await cases.write(bytes);
      reach("after the case is kept");
      return digest;
    },
  }),
  evidence: {
    attest: async (request) => {
      reach("before the evidence");
      const attested = await evidence.attest(request);
      reach("after the evidence");
      return attested;
    },
  },
};
const started = join(g.home, "started");
const script = `setsid sleep 987 & echo > '${started}'; sleep ${marker}`;
const long = wanted === "while the job runs";
const prepared = await g.prepare({
  executable: "/bin/sh",
  argv: ["sh", "-c", long ? script : `echo > '${started}'`],
});
const gate = new Gate(parts);
const materials = await g.materials(prepared);
const { verdict } = await gate.decide({ prepared, materials, prover: g.prover, parentRun: null });
if (!verdict.allow) throw new Error(verdict.codes.join());
const admitted = await gate.claim(verdict);
if (long) {
  const watch = setInterval(() => {
    if (existsSync(started)) {
      clearInterval(watch);
      reach("while the job runs");
    }
  }, 5);
}
await gate.execute(admitted, () => reach("before the release"));
await g.store.close();
