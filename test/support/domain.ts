/**
 * The trust domain of world.ts: its keys, and every object as it is by default. Keys and values
 * follow from names, so that fixtures are the same in every run.
 */
import { sha256 } from "../../src/wire/digests.ts";
import { type Signer, thumbprint } from "../../src/wire/keys.ts";
import type {
  Charter,
  Grant,
  Job,
  NodeCredential,
  ReferencePolicy,
  Scope,
  Snapshot,
  StatusList,
} from "../../src/wire/objects.ts";
import type { SignedKind } from "../../src/wire/registry.ts";
import type { ClockState, PcrBanks, SoftwareAk } from "./ak.ts";
import { seeded, type TestSigner, testSigner } from "./keys.ts";

export type Signers = readonly [Signer, ...Signer[]];

export const NOW = 1_900_000_000;
export const HOUR = 3_600;
export const DAY = 86_400;
export const DOMAIN = "example.test";
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const trio = (name: string): readonly [TestSigner, TestSigner, TestSigner] => [
  testSigner(`${name} 1`, "Ed25519"),
  testSigner(`${name} 2`, "P-256"),
  testSigner(`${name} 3`, "P-384"),
];

/** Every key of the domain; each set has one key of each kind. */
function makeSigners() {
  return {
    root: trio("root"),
    authority: trio("authority"),
    policy: trio("policy"),
    enroller: trio("enroller"),
    governance: trio("governance"),
    plane: trio("plane"),
    agent: testSigner("agent", "P-256"),
    nodeLog: testSigner("node log", "Ed25519"),
    /** In no keyset. */
    stranger: testSigner("stranger", "Ed25519"),
  } as const;
}
export type WorldSigners = ReturnType<typeof makeSigners>;

const keysOf = (signers: readonly Signer[]) => signers.map((signer) => signer.key);

/** The job that the default grant allows. */
export const EXECUTABLE = {
  kind: "file",
  algorithm: "sha256",
  digest: sha256(text("the executable")),
} as const;
const ARGV = [text("report"), text("--month"), text("2030-03")];
const ENVIRONMENT = { name: text("LANG"), value: text("C.UTF-8") };
const INPUT = { path: text("/srv/in/ledger.csv"), digest: sha256(text("ledger")) };
export const PCRS: PcrBanks = {
  sha256: new Map([0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => [pcr, seeded(`pcr ${pcr}`)])),
};
export const CLOCK: ClockState = {
  resetCount: 12,
  restartCount: 3,
  clock: 5_000_000n,
  firmwareVersion: 0x0002_0001_0000_0000n,
  safe: true,
};

export const countersOf = ({ resetCount, restartCount, clock, firmwareVersion }: ClockState) => ({
  resetCount,
  restartCount,
  clock,
  firmwareVersion,
});

export class Domain {
  readonly ak: SoftwareAk;
  readonly now = NOW;
  readonly domain = DOMAIN;
  readonly signers = makeSigners();
  readonly ueid = Uint8Array.of(1, ...seeded("ueid", 16));

  constructor(ak: SoftwareAk) {
    this.ak = ak;
  }

  defaultSigners(kind: SignedKind): Signers {
    const { root, policy, governance, authority, enroller, plane, agent, nodeLog } = this.signers;
    const two = ([, b, c]: readonly [Signer, Signer, Signer]): Signers => [b, c];
    switch (kind) {
      case "charter":
        return root;
      case "snapshot":
        return [governance[0], governance[1]];
      case "policy":
        return two(policy);
      case "grant":
        return [authority[0], authority[2]];
      case "node":
        return [enroller[1]];
      case "result":
        return [plane[2]];
      case "receipt":
        return [nodeLog];
      case "link":
      case "proof":
        return [agent];
    }
  }

  charter(overrides: Partial<Charter> = {}): Charter {
    const { root, authority, policy, enroller, governance, plane } = this.signers;
    const any = { labels: null, nodes: null, policies: null };
    const month = 30 * DAY;
    const open = { ...any, lifetimeSeconds: month, depth: 4 };
    const classes = new Map([
      ["standard", { threshold: 2, members: null, ...open, mark: false }],
      ["break-glass", { threshold: 3, members: null, ...open, mark: true }],
      ["single", { threshold: 1, members: [thumbprint(authority[1].key)], ...open, mark: false }],
      [
        "narrow",
        {
          threshold: 2,
          members: null,
          labels: ["web"],
          nodes: [this.ueid],
          policies: ["base"],
          lifetimeSeconds: 2 * HOUR,
          depth: 0,
          mark: false,
        },
      ],
    ]);
    return {
      domain: DOMAIN,
      iat: NOW - DAY,
      exp: NOW + 180 * DAY,
      number: 1,
      predecessor: null,
      keysets: {
        root: { threshold: 2, keys: keysOf(root) },
        authority: { keys: keysOf(authority), classes },
        policy: { threshold: 2, keys: keysOf(policy) },
        enroller: [
          { key: enroller[0].key, labels: null },
          { key: enroller[1].key, labels: ["web", "zone-a"] },
          { key: enroller[2].key, labels: [] },
        ],
        governance: { threshold: 2, keys: keysOf(governance) },
        plane: { threshold: 1, keys: keysOf(plane) },
      },
      bounds: { grantSeconds: month, snapshotSeconds: HOUR, nodeSeconds: 400 * DAY, depth: 4 },
      ...overrides,
    };
  }

  policy(overrides: Partial<ReferencePolicy> = {}): ReferencePolicy {
    const values = [...(PCRS.sha256 ?? [])].map(([pcr, value]) => [pcr, [value]] as const);
    return {
      domain: DOMAIN,
      iat: NOW - HOUR,
      name: "base",
      version: 1,
      pcrs: { sha256: new Map(values) },
      ...overrides,
    };
  }

  snapshot(overrides: Partial<Snapshot> & Pick<Snapshot, "charter" | "status">): Snapshot {
    return {
      domain: DOMAIN,
      iat: NOW - 60,
      exp: NOW - 60 + HOUR,
      version: 7,
      epoch: 3,
      freeze: "none",
      decision: "local",
      policies: new Map(),
      ...overrides,
    };
  }

  statusList(overrides: Partial<StatusList> = {}): StatusList {
    return { grants: new Uint8Array(8), nodes: new Uint8Array(8), elements: [], ...overrides };
  }

  node(overrides: Partial<NodeCredential> = {}): NodeCredential {
    return {
      domain: DOMAIN,
      iat: NOW - 10 * DAY,
      exp: NOW + 100 * DAY,
      ueid: this.ueid,
      publicArea: this.ak.publicArea,
      name: this.ak.name,
      qualifiedName: this.ak.qualifiedName,
      ekCertificate: sha256(text("EK certificate")),
      labels: ["web", "zone-a"],
      counters: { ...countersOf(CLOCK), resetCount: 10, clock: 1_000n },
      logKey: this.signers.nodeLog.key,
      nvIndexName: null,
      statusIndex: 9,
      ...overrides,
    };
  }

  scope(overrides: Partial<Scope> = {}): Scope {
    return {
      image: EXECUTABLE,
      argv: { form: "exact", values: ARGV },
      environment: [{ ...ENVIRONMENT, form: "exact" }],
      cwd: text("/srv"),
      uid: 1000,
      gid: 1000,
      callers: [0, 1000],
      inputs: [INPUT],
      runtimeSeconds: 60,
      uses: 3,
      ...overrides,
    };
  }

  grant(overrides: Partial<Grant> = {}): Grant {
    return {
      iss: "authority@example.test",
      sub: "alice@example.test",
      domain: DOMAIN,
      iat: NOW - 100,
      nbf: NOW - 90,
      exp: NOW + HOUR,
      cti: seeded("cti", 16),
      cnf: { key: this.signers.agent.key },
      scope: this.scope(),
      policies: ["base"],
      maxDepth: 0,
      policyValidation: {
        digest: sha256(text("validation")),
        validator: "validator@example.test",
        result: "pass",
        time: NOW - 120,
      },
      governance: { epoch: 3, keyset: "authority", class: "standard", ticket: "CHG-1" },
      statusIndex: 5,
      audience: [this.ueid],
      ...overrides,
    };
  }

  job(overrides: Partial<Job> = {}): Job {
    return {
      executable: EXECUTABLE,
      interpreter: null,
      argv: ARGV,
      environment: [ENVIRONMENT],
      cwd: text("/srv"),
      stdin: "none",
      uid: 1000,
      gid: 1000,
      callerUid: 1000,
      inputs: [INPUT],
      runtimeSeconds: 60,
      ...overrides,
    };
  }
}

/** The snapshot's active policies: what was made of these claims, by name. */
export function activeOf(
  claims: readonly ReferencePolicy[],
  made: readonly { readonly digest: Uint8Array }[],
) {
  const active = new Map<string, Uint8Array[]>();
  claims.forEach((policy, i) => {
    const digest = made[i]?.digest;
    if (digest) active.set(policy.name, [...(active.get(policy.name) ?? []), digest]);
  });
  return active;
}
