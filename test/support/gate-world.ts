/**
 * A gate with a real store, log, cases and executor, in the trust domain of world.ts at its own
 * time.
 */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadCore } from "../../src/core/index.ts";
import type { EvidenceSource, Materials, Prover } from "../../src/gate/evidence.ts";
import { Gate, type GateParts } from "../../src/gate/gate.ts";
import { type JobRequest, type PreparedJob, prepareJob } from "../../src/gate/job.ts";
import { CaseFolder } from "../../src/log/cases.ts";
import { Journal } from "../../src/log/journal.ts";
import { noteSigner } from "../../src/log/note.ts";
import { createSqliteStore, openSqliteStore, type SqliteStore } from "../../src/store/sqlite.ts";
import { merkleRoot } from "../../src/wire/merkle.ts";
import { CLOCK, PCRS } from "./domain.ts";
import { nodeKey } from "./keys.ts";
import { type BuiltCase, type CaseOverrides, makeWorld, type World } from "./world.ts";

export interface GateWorld {
  readonly world: World;
  readonly store: SqliteStore;
  readonly parts: GateParts;
  readonly gate: Gate;
  readonly home: string;
  readonly prover: Prover;
  prepare(overrides?: Partial<JobRequest>): Promise<PreparedJob>;
  /** Governance and a grant for exactly this job. */
  materials(prepared: PreparedJob, overrides?: CaseOverrides): Promise<Materials>;
  dispose(): Promise<void>;
}

/** Quotes by the world's attestation key in software. */
export function softwareEvidence(world: World): EvidenceSource {
  return {
    attest: async (request) => {
      const quote = world.ak.quote({ extraData: merkleRoot([request]), pcrs: PCRS, clock: CLOCK });
      const { attest, signature, values } = quote;
      return { attest, signature, index: 0, size: 1, path: [], pcrs: values };
    },
  };
}

function materialsOf(built: BuiltCase): Materials {
  return {
    charters: [built.charter.bytes],
    snapshot: built.snapshot.bytes,
    statusList: built.statusList,
    elements: built.chain.map(({ bytes }) => bytes),
    node: built.node.bytes,
    policies: built.policies.map((policy) => policy.bytes),
  };
}

export async function makeGateWorld(change: Partial<GateParts> = {}): Promise<GateWorld> {
  const world = makeWorld();
  const home = mkdtempSync(join(tmpdir(), "portcullis gate "));
  const path = join(home, "state.db");
  createSqliteStore(path);
  const store = openSqliteStore(path);
  const { charter } = await world.build();
  await store.transact((transaction) => transaction.pinCharter(charter.digest, 1));
  const core = await loadCore();
  const parts: GateParts = {
    core,
    store,
    journal: new Journal({
      store,
      origin: "example.org/gate",
      signer: noteSigner("example.org/gate", nodeKey(world.signers.nodeLog)),
    }),
    cases: new CaseFolder(join(home, "cases")),
    evidence: softwareEvidence(world),
    coreDigest: core.wasmDigest ?? new Uint8Array(32),
    ...change,
  };
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return {
    world,
    store,
    parts,
    gate: new Gate(parts),
    home,
    prover: async (request) => (await world.make("proof", { request })).bytes,
    prepare: (overrides = {}) =>
      prepareJob({
        executable: "/bin/true",
        argv: ["true"],
        environment: [],
        cwd: "/",
        stdin: "none",
        ...own,
        runtimeSeconds: 10,
        place: { kind: "memory", directory: null },
        ...overrides,
      }),
    materials: async ({ job }, overrides = {}) =>
      materialsOf(
        await world.build({
          scope: {
            image: job.executable,
            argv: { form: "exact", values: job.argv },
            environment: job.environment.map((variable) => ({ ...variable, form: "exact" })),
            cwd: job.cwd,
            uid: job.uid,
            gid: job.gid,
            callers: [job.callerUid],
            inputs: [],
            runtimeSeconds: job.runtimeSeconds,
          },
          ...overrides,
        }),
      ),
    dispose: async () => {
      await store.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}
