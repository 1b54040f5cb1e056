/**
 * The rules of governance a second time, slow and plain, from the table of checks: which codes a
 * plan earns, in the order in which they are judged. It works on plans and shares nothing with the
 * core but the names of the codes.
 */
import type { Code } from "../../../src/core/index.ts";
import { NOW } from "../domain.ts";
import type {
  CharterPlan,
  Fault,
  GovernancePlan,
  GrantPlan,
  ListPlan,
  SetPlan,
  SnapshotPlan,
} from "./governance-plan.ts";

/** The kids of a pool's keys, in hex, by number: signers stand in the order of their kids. */
export interface Kids {
  readonly root: readonly string[];
  readonly governance: readonly string[];
  readonly authority: readonly string[];
}

interface Judged {
  readonly codes: readonly Code[];
  /** Whether what follows may rely on it. */
  readonly holds: boolean;
}

/** The bits of the grant and of the node: status indexes 5 and 9. */
const GRANT_INDEX = 5;
const NODE_INDEX = 9;
const when = (wrong: boolean, code: Code): Code[] => (wrong ? [code] : []);
const stop = (code: Code): Judged => ({ codes: [code], holds: false });

export function judgeGovernance(plan: GovernancePlan, kids: Kids): Code[] {
  const charters = judgeCharters(plan, kids);
  const last = plan.charters.at(-1);
  const snapshot = charters.holds ? judgeSnapshot(plan, kids) : { codes: [], holds: false };
  const chain = judgeForm(plan.grant.fault);
  const codes = [...charters.codes, ...snapshot.codes, ...chain];
  if (!charters.holds || last === undefined || chain.length > 0) return codes;
  codes.push(...judgeGrant(plan.grant, last, kids.authority));
  if (snapshot.holds) codes.push(...judgeRest(plan, last));
  return [...new Set(codes)];
}

/** What is wrong with the form of a charter or snapshot. */
function malformed(fault: Fault): Code | null {
  if (fault === "absent") return "governance.missing";
  return fault === null || fault === "algorithm" || fault === "damaged"
    ? null
    : "governance.malformed";
}

/** The first signer, in the order of kids, that is not good. */
function flawOf(
  signers: readonly number[],
  fault: Fault,
  listed: readonly number[],
  kids: readonly string[],
): "unknown-key" | "algorithm" | "signature" | null {
  const sorted = signers.toSorted((a, b) => ((kids[a] ?? "") < (kids[b] ?? "") ? -1 : 1));
  for (const [place, signer] of sorted.entries()) {
    if (!listed.includes(signer)) return "unknown-key";
    if (fault === "algorithm" && place === 0) return "algorithm";
    if (fault === "damaged" && place === sorted.length - 1) return "signature";
  }
  return null;
}

const count = (signers: readonly number[], { keys }: SetPlan): number =>
  signers.filter((signer) => keys.includes(signer)).length;

function judgeCharters({ charters, context }: GovernancePlan, kids: Kids): Judged {
  if (charters.length === 0) return stop("governance.missing");
  const codes: Code[] = [];
  for (const [place, charter] of charters.entries()) {
    const wrong = charterFlaw(charter, charters[place - 1], context.pin, kids);
    if (wrong !== null) return { codes: [...codes, wrong], holds: false };
    if (charter.domain !== charters[0]?.domain) {
      return { codes: [...codes, "governance.domain"], holds: false };
    }
    codes.push(...when(NOW >= charter.exp, "governance.expired"));
    codes.push(...when(charter.iat > NOW, "governance.not-yet"));
  }
  return { codes, holds: true };
}

function charterFlaw(
  charter: CharterPlan,
  before: CharterPlan | undefined,
  pin: "first" | "stranger",
  kids: Kids,
): Code | null {
  const form = malformed(charter.fault);
  if (form !== null) return form;
  if (before === undefined && pin === "stranger") return "governance.pin";
  const follows = charter.step === 1 && charter.predecessor === "before";
  if (before !== undefined && !follows) return "governance.chain";
  const old = (before ?? charter).root;
  const flaw = flawOf(
    charter.signers,
    charter.fault,
    [...charter.root.keys, ...old.keys],
    kids.root,
  );
  if (flaw !== null) return `governance.${flaw}`;
  const met = [charter.root, old].every((set) => count(charter.signers, set) >= set.threshold);
  return met ? null : "governance.threshold";
}

/** What charter this is: the first is number 1. */
function numberOf(charters: readonly CharterPlan[]): number {
  return charters.slice(1).reduce((number, { step }) => number + step, 1);
}

function judgeSnapshot(plan: GovernancePlan, kids: Kids): Judged {
  const { snapshot, charters, context } = plan;
  const charter = charters.at(-1);
  const form = malformed(snapshot.fault);
  if (form !== null) return stop(form);
  if (charter === undefined) return stop("governance.missing");
  const { governance, bounds } = charter;
  const flaw = flawOf(snapshot.signers, snapshot.fault, governance.keys, kids.governance);
  if (flaw !== null) return stop(`governance.${flaw}`);
  if (count(snapshot.signers, governance) < governance.threshold) {
    return stop("governance.threshold");
  }
  if (snapshot.domain !== charter.domain) return stop("governance.domain");
  if (!names(snapshot, charters)) return stop("governance.charter");
  const { iat, exp } = snapshot;
  const again = snapshot.version === context.floorVersion && context.floorDigest !== "same";
  const older = numberOf(charters) < context.floorNumber || snapshot.version < context.floorVersion;
  const frozen = snapshot.freeze === "all" || (snapshot.freeze === "new" && isStart(plan));
  return {
    holds: true,
    codes: [
      ...when(older || again, "governance.rollback"),
      ...when(NOW < context.floorTime, "governance.clock"),
      ...when(NOW >= exp, "governance.expired"),
      ...when(iat > NOW, "governance.not-yet"),
      ...when(exp <= iat || exp - iat > bounds.snapshotSeconds, "governance.too-long"),
      ...when(frozen, "governance.frozen"),
    ],
  };
}

const isStart = ({ purpose }: GovernancePlan): boolean => purpose === "start";

function names({ charter }: SnapshotPlan, charters: readonly CharterPlan[]): boolean {
  return charter === "last" || (charter === "first" && charters.length === 1);
}

/** What is wrong with the form of the grant. */
function judgeForm(fault: Fault): Code[] {
  if (fault === "absent") return ["artifact.missing"];
  if (fault === "claim") return ["artifact.unknown-claim"];
  return malformed(fault) === null ? [] : ["artifact.malformed"];
}

function judgeGrant(grant: GrantPlan, charter: CharterPlan, kids: readonly string[]): Code[] {
  const { iat, exp } = grant;
  const nbf = iat;
  return [
    ...signatureCode(grant, charter, kids),
    ...when(nbf >= exp, "window.invalid"),
    ...when(iat > NOW, "window.not-yet"),
    ...when(NOW >= exp, "window.expired"),
    ...when(exp < iat || exp - iat > charter.bounds.grantSeconds, "window.too-long"),
  ];
}

function signatureCode(grant: GrantPlan, charter: CharterPlan, kids: readonly string[]): Code[] {
  const flaw = flawOf(grant.signers, grant.fault, charter.authority, kids);
  if (flaw === "signature") return ["signature.invalid"];
  if (flaw !== null) return [`signature.${flaw}`];
  const { threshold, members, labels, policies, lifetimeSeconds, depth } = charter.class;
  const lifetime = grant.exp - grant.iat;
  const covered =
    grant.class === "standard" &&
    lifetime >= 0 &&
    lifetime <= lifetimeSeconds &&
    grant.maxDepth <= Math.min(depth, charter.bounds.depth) &&
    (grant.audience === "node" || labels === null || labels.includes("web")) &&
    (policies === null || policies.includes("base"));
  if (!covered) return ["signature.class"];
  const keys = charter.authority.filter((key) => members === null || members.includes(key));
  return when(count(grant.signers, { threshold, keys }) < threshold, "signature.threshold");
}

/** The families that need charter, snapshot and chain. */
function judgeRest({ grant, snapshot, list }: GovernancePlan, charter: CharterPlan): Code[] {
  return [
    ...when(grant.domain !== charter.domain, "policy.domain"),
    ...when(!snapshot.active, "policy.inactive"),
    ...judgeList(list, grant.epoch, snapshot.epoch),
    ...when(snapshot.decision === "plane", "plane.missing"),
  ];
}

/** An index beyond the list is revoked. */
function judgeList(list: ListPlan, granted: number, epoch: number): Code[] {
  if (list.form === "absent") return ["revocation.missing"];
  if (list.form !== "fine") return ["revocation.malformed"];
  if (!list.named) return ["revocation.list"];
  const grant = list.grantRevoked || list.grantBytes * 8 <= GRANT_INDEX || list.elementRevoked;
  const node = list.nodeRevoked || list.nodeBytes * 8 <= NODE_INDEX;
  return [
    ...when(grant, "revocation.artifact"),
    ...when(node, "revocation.node"),
    ...when(granted < epoch, "revocation.epoch"),
  ];
}
