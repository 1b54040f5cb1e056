/**
 * Governance for the model: mostly sound charters, snapshots, lists and grants, in which each claim,
 * signer, byte or floor may be wrong, rarely, and alone or with others.
 */
import * as fc from "fast-check";
import { HOUR, NOW } from "../domain.ts";
import { usually } from "./arbitrary.ts";

/** What is done to an object's bytes after it was signed. */
export const FAULTS = [
  "absent",
  "trailing",
  "tag",
  "typ",
  "unprotected",
  "unsigned",
  "twice",
  "claim",
  "indefinite",
  "algorithm",
  "damaged",
] as const;
export type Fault = (typeof FAULTS)[number] | null;

/** Keys by their number in the pool of their set. */
export interface SetPlan {
  readonly threshold: number;
  readonly keys: readonly number[];
}

export interface CharterPlan {
  readonly step: number;
  readonly predecessor: "before" | "stranger";
  readonly domain: string;
  readonly iat: number;
  readonly exp: number;
  readonly root: SetPlan;
  readonly governance: SetPlan;
  readonly authority: readonly number[];
  readonly class: {
    readonly threshold: number;
    readonly members: readonly number[] | null;
    readonly labels: readonly string[] | null;
    readonly policies: readonly string[] | null;
    readonly lifetimeSeconds: number;
    readonly depth: number;
  };
  readonly bounds: {
    readonly grantSeconds: number;
    readonly snapshotSeconds: number;
    readonly depth: number;
  };
  readonly signers: readonly number[];
  readonly fault: Fault;
}

export interface SnapshotPlan {
  readonly domain: string;
  readonly charter: "last" | "first" | "stranger";
  readonly version: number;
  readonly epoch: number;
  readonly freeze: "none" | "new" | "all";
  readonly decision: "local" | "plane";
  readonly iat: number;
  readonly exp: number;
  readonly active: boolean;
  readonly signers: readonly number[];
  readonly fault: Fault;
}

export interface ListPlan {
  /** Bytes of either array. */
  readonly grantBytes: number;
  readonly nodeBytes: number;
  readonly grantRevoked: boolean;
  readonly nodeRevoked: boolean;
  readonly elementRevoked: boolean;
  readonly form: "fine" | "absent" | "trailing" | "descending" | "oversized";
  /** Whether the snapshot names this very list. */
  readonly named: boolean;
}

export interface GrantPlan {
  readonly class: string;
  readonly domain: string;
  readonly epoch: number;
  readonly iat: number;
  readonly exp: number;
  readonly maxDepth: number;
  readonly audience: "node" | "web";
  readonly signers: readonly number[];
  readonly fault: Fault;
}

export interface GovernancePlan {
  readonly charters: readonly CharterPlan[];
  readonly snapshot: SnapshotPlan;
  readonly list: ListPlan;
  readonly grant: GrantPlan;
  readonly purpose: "start" | "lease";
  readonly context: {
    readonly pin: "first" | "stranger";
    readonly floorNumber: number;
    readonly floorVersion: number;
    /** Absent where the version is 0: nothing was seen yet. */
    readonly floorDigest: "same" | "other";
    readonly floorTime: number;
  };
}

const fault: fc.Arbitrary<Fault> = usually<Fault>(null, ...FAULTS);
const domain = usually("example.test", "other.example");
const set = usually<SetPlan>(
  { threshold: 2, keys: [0, 1, 2] },
  { threshold: 1, keys: [0] },
  { threshold: 3, keys: [0, 1, 2] },
  { threshold: 2, keys: [1, 2, 3] },
  { threshold: 2, keys: [2, 3, 4] },
);
const signers = usually<readonly number[]>(
  [0, 1, 2],
  [0, 1],
  [1, 2],
  [0],
  [2],
  [0, 1, 2, 3],
  [1, 2, 3, 4],
  [2, 3, 4],
);

const charter: fc.Arbitrary<CharterPlan> = fc.record({
  step: usually(1, 0, 2),
  predecessor: usually<CharterPlan["predecessor"]>("before", "stranger"),
  domain,
  iat: usually(NOW - HOUR, NOW, NOW + 1),
  exp: usually(NOW + HOUR, NOW, NOW + 1),
  root: set,
  governance: set,
  authority: usually<readonly number[]>([0, 1, 2], [0], [1, 2, 3]),
  class: fc.record({
    threshold: usually(2, 1, 3),
    members: usually<readonly number[] | null>(null, [0, 1], [2], [0, 1, 2]),
    labels: usually<readonly string[] | null>(null, [], ["web"], ["zone-a"]),
    policies: usually<readonly string[] | null>(null, ["base"], ["other"]),
    lifetimeSeconds: usually(2 * HOUR, HOUR + 100, HOUR + 99),
    depth: usually(4, 0),
  }),
  bounds: fc.record({
    grantSeconds: usually(2 * HOUR, HOUR + 100, HOUR + 99),
    snapshotSeconds: usually(HOUR, 600, 599),
    depth: usually(4, 0),
  }),
  signers,
  fault,
});

const snapshot: fc.Arbitrary<SnapshotPlan> = fc.record({
  domain,
  charter: usually<SnapshotPlan["charter"]>("last", "first", "stranger"),
  version: usually(7, 6, 8, 1),
  epoch: usually(3, 2, 4),
  freeze: usually<SnapshotPlan["freeze"]>("none", "new", "all"),
  decision: usually<SnapshotPlan["decision"]>("local", "plane"),
  iat: usually(NOW - 60, NOW, NOW + 1, NOW - HOUR),
  exp: usually(NOW + 540, NOW, NOW + 1, NOW + 541, NOW + HOUR),
  active: usually(true, false),
  signers,
  fault,
});

/** The first charter is of the domain that all else belongs to: a gate pins no other. */
function atHome([first, ...rest]: readonly CharterPlan[]): CharterPlan[] {
  return first === undefined ? [] : [{ ...first, domain: "example.test" }, ...rest];
}

/** Up to four charters, mostly one or two. */
export const governancePlans: fc.Arbitrary<GovernancePlan> = fc.record({
  charters: fc
    .oneof(
      { weight: 4, arbitrary: fc.array(charter, { minLength: 1, maxLength: 1 }) },
      { weight: 3, arbitrary: fc.array(charter, { minLength: 2, maxLength: 2 }) },
      { weight: 2, arbitrary: fc.array(charter, { minLength: 0, maxLength: 4 }) },
    )
    .map(atHome),
  snapshot,
  list: fc.record({
    grantBytes: usually(8, 0, 1, 2),
    nodeBytes: usually(8, 0, 1, 2),
    grantRevoked: usually(false, true),
    nodeRevoked: usually(false, true),
    elementRevoked: usually(false, true),
    form: usually<ListPlan["form"]>("fine", "absent", "trailing", "descending", "oversized"),
    named: usually(true, false),
  }),
  grant: fc.record({
    class: usually("standard", "absent"),
    domain,
    epoch: usually(3, 2, 4),
    iat: usually(NOW - 100, NOW, NOW + 1),
    exp: usually(NOW + HOUR, NOW, NOW + 1, NOW + 2 * HOUR),
    maxDepth: usually(0, 1, 4),
    audience: fc.constantFrom("node", "web"),
    signers,
    fault,
  }),
  purpose: fc.constantFrom("start", "lease"),
  context: fc.record({
    pin: usually<"first" | "stranger">("first", "stranger"),
    floorNumber: usually(1, 0, 2, 3),
    floorVersion: usually(6, 7, 8, 0),
    floorDigest: usually<"same" | "other">("same", "other"),
    floorTime: usually(NOW - 10, NOW, NOW + 1),
  }),
});
