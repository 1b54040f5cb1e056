/** A plane with a real store, log and core, in the trust domain of world.ts at its own time. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { loadCore } from "../../src/core/index.ts";
import { CaseFolder } from "../../src/log/cases.ts";
import { Journal } from "../../src/log/journal.ts";
import { noteSigner } from "../../src/log/note.ts";
import {
  type GovernanceChange,
  makeToken,
  Plane,
  type PlaneParts,
  PlaneService,
  type Published,
  type RegisteredNode,
  type Role,
  type TokenRecord,
} from "../../src/plane/index.ts";
import { createSqliteStore, openSqliteStore, type SqliteStore } from "../../src/store/sqlite.ts";
import { NOW } from "./domain.ts";
import { nodeKey } from "./keys.ts";
import { quickFolder } from "./quick-folder.ts";
import { type CaseOverrides, makeWorld, type World } from "./world.ts";

export interface PlaneWorld {
  readonly world: World;
  readonly store: SqliteStore;
  readonly parts: PlaneParts;
  readonly plane: Plane;
  readonly service: PlaneService;
  /** Every change that was asked for. */
  readonly changes: GovernanceChange[];
  /** What the plane publishes; a test may exchange it. */
  published: Published;
  /** The nodes that are enrolled, each at its status index. */
  nodes: RegisteredNode[];
  /** Evidence over a nonce, a fresh one by default. */
  evidence(overrides?: CaseOverrides, nonce?: Uint8Array): Promise<Uint8Array>;
  token(role: Role): string;
  revoke(token: string): void;
  dispose(): Promise<void>;
}

async function publishedOf(world: World, overrides: CaseOverrides): Promise<Published> {
  const { charter, snapshot, statusList } = await world.build(overrides);
  const { version, iat, exp, freeze, decision } = world.snapshot({
    charter: charter.digest,
    status: new Uint8Array(32),
    ...overrides.snapshot,
  });
  return {
    domain: "example.test",
    charters: [charter.bytes],
    charterDigests: [charter.digest],
    snapshot: snapshot.bytes,
    statusList,
    version,
    digest: snapshot.digest,
    issued: iat,
    expires: exp,
    freeze,
    decision,
    policies: new Map(),
  };
}

/** `base` is how every piece of evidence is made, unless told otherwise. */
export async function makePlaneWorld(change: Partial<PlaneParts> = {}): Promise<PlaneWorld> {
  const world = makeWorld();
  const base: CaseOverrides = { plane: true };
  const home = quickFolder("portcullis plane ");
  const path = join(home, "state.db");
  createSqliteStore(path);
  const store = openSqliteStore(path);
  const { charter } = await world.build(base);
  await store.transact((transaction) => transaction.pinCharter(charter.digest, 1));
  const core = await loadCore();
  const signer = noteSigner("example.org/plane", nodeKey(world.signers.nodeLog));
  const changes: GovernanceChange[] = [];
  const tokens = new Map<string, TokenRecord>();
  const parts: PlaneParts = {
    judge: { decide: async (bytes) => core.decide(bytes) },
    store,
    journal: new Journal({ store, origin: "example.org/plane", signer }),
    cases: new CaseFolder(join(home, "cases")),
    governance: {
      current: async () => made.published,
      change: async (asked) => {
        changes.push(asked);
        return made.published;
      },
      nodes: async (from, count) => made.nodes.slice(from, from + count),
    },
    signer: world.signers.plane[0],
    coreDigest: core.wasmDigest ?? new Uint8Array(32),
    clockSeconds: () => NOW,
    ...change,
  };
  const plane = new Plane(parts);
  const find = async (id: string) => tokens.get(id) ?? null;
  const service = new PlaneService({ plane, enrollment: null, tokens: { find } });
  const made: PlaneWorld = {
    world,
    store,
    parts,
    plane,
    service,
    changes,
    published: await publishedOf(world, base),
    nodes: [{ claims: world.node(), revoked: false }],
    evidence: async (overrides = {}, nonce = plane.nonce()) => {
      const evidence = { planeNonce: nonce, ...overrides.evidence };
      return (await world.build({ ...base, ...overrides, evidence })).evidenceBytes;
    },
    token: (role) => {
      const terms = { role, labels: [], replace: false, expires: 2 ** 40 };
      const { text, record } = makeToken(terms);
      tokens.set(record.id, record);
      return text;
    },
    revoke: (token) => {
      for (const id of tokens.keys()) if (token.includes(id)) tokens.delete(id);
    },
    dispose: async () => {
      await parts.cases?.close();
      await store.close();
      await rm(home, { recursive: true, force: true });
    },
  };
  return made;
}
