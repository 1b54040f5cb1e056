/**
 * Builds the cases of governance plans fast: objects are signed by OpenSSL, each once however many
 * plans hold it, and one quote serves a whole batch.
 */
import { decode, decodeTagged, encode, encodeTagged } from "../../../src/wire/cbor.ts";
import type { CborMap, CborValue } from "../../../src/wire/cbor-value.ts";
import { COSE_SIGN, COSE_SIGN1, parseCose } from "../../../src/wire/cose.ts";
import {
  type DigestedKind,
  jobDigest,
  objectDigest,
  requestDigest,
  statusDigest,
} from "../../../src/wire/digests.ts";
import { type Signer, signerOf, thumbprint } from "../../../src/wire/keys.ts";
import { auditPath, merkleRoot } from "../../../src/wire/merkle.ts";
import {
  type Charter,
  type Context,
  type CoseKey,
  encodePlain,
  signObject,
} from "../../../src/wire/objects.ts";
import type { Claims } from "../../../src/wire/registry.ts";
import { CLOCK, countersOf, DAY, NOW, PCRS } from "../domain.ts";
import { nodeKey, seeded, testSigner } from "../keys.ts";
import { type Made, makeWorld, type World } from "../world.ts";
import type { Kids } from "./governance.ts";
import type { CharterPlan, Fault, GovernancePlan, ListPlan, SetPlan } from "./governance-plan.ts";

const pool = (name: string): readonly Signer[] =>
  [0, 1, 2, 3, 4].map((n) => signerOf(nodeKey(testSigner(`model ${name} ${n}`, "Ed25519"))));
const POOLS = { root: pool("root"), governance: pool("governance"), authority: pool("authority") };
const OTHER = signerOf(nodeKey(testSigner("other", "Ed25519")));
const RUN = seeded("a run of the model");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function chosen(set: keyof typeof POOLS, numbers: readonly number[]): [Signer, ...Signer[]] {
  const [first, ...rest] = numbers.flatMap((n) => POOLS[set][n] ?? []);
  if (first === undefined) throw new Error("no signer");
  return [first, ...rest];
}

export const KIDS: Kids = {
  root: POOLS.root.map(({ key }) => hex(thumbprint(key))),
  governance: POOLS.governance.map(({ key }) => hex(thumbprint(key))),
  authority: POOLS.authority.map(({ key }) => hex(thumbprint(key))),
};

type Row = readonly [Uint8Array, CborMap, Uint8Array];

/** The object with this done to its bytes. */
function faulty(bytes: Uint8Array, fault: Fault): Uint8Array {
  if (fault === null) return bytes;
  if (fault === "absent") return new Uint8Array(0);
  if (fault === "trailing") return new Uint8Array([...bytes, 0]);
  const { value } = decodeTagged(bytes, [COSE_SIGN]);
  const [body, none, payload, rows] = value as readonly [Uint8Array, CborMap, Uint8Array, Row[]];
  const made = (parts: readonly CborValue[]) => encodeTagged(COSE_SIGN, parts);
  const [first = rows[0], ...rest] = rows;
  if (first === undefined) throw new Error("nobody signed");
  switch (fault) {
    case "tag":
      return encodeTagged(COSE_SIGN1, value as readonly CborValue[]);
    case "typ":
      return made([encode(new Map([[16, "portcullis-node+cwt"]])), none, payload, rows]);
    case "unprotected":
      return made([body, new Map([[4, new Uint8Array(32)]]), payload, rows]);
    case "unsigned":
      return made([body, none, payload, []]);
    case "twice":
      return made([body, none, payload, [first, first, ...rest]]);
    case "claim":
      return made([body, none, encode(new Map([...(decode(payload) as CborMap), [99, 0]])), rows]);
    case "indefinite":
      return made([body, none, new Uint8Array([0xbf, ...payload.subarray(1), 0xff]), rows]);
    case "algorithm": {
      const header = encode(new Map([...(decode(first[0]) as CborMap), [1, -9]]));
      return made([body, none, payload, [[header, none, first[2]], ...rest]]);
    }
    case "damaged": {
      const copy = bytes.slice();
      return copy.with(-1, (copy.at(-1) ?? 0) ^ 1);
    }
  }
}

interface Draft {
  readonly request: Uint8Array;
  readonly encode: (quote: Quote) => Uint8Array;
}
interface Quote {
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  readonly pcrs: readonly Uint8Array[];
  readonly place: ReturnType<typeof auditPath>;
}

export class GovernanceStage {
  readonly #world: World = makeWorld();
  readonly #made = new Map<string, Promise<Made>>();

  /** The bytes of each plan's case. */
  async cases(plans: readonly GovernancePlan[]): Promise<Uint8Array[]> {
    const drafts = await Promise.all(plans.map((plan) => this.#draft(plan)));
    const requests = drafts.map(({ request }) => request);
    const extraData = merkleRoot(requests);
    const { attest, signature, values } = this.#world.ak.quote({
      extraData,
      pcrs: PCRS,
      clock: CLOCK,
    });
    return drafts.map((draft, i) =>
      draft.encode({ attest, signature, pcrs: values, place: auditPath(requests, i) }),
    );
  }

  /** Signs, unless these claims were signed by these keys before. */
  #sign<K extends DigestedKind & ("charter" | "snapshot" | "policy" | "grant")>(
    kind: K,
    name: string,
    claims: () => Claims<K>,
    signers: readonly [Signer, ...Signer[]],
    fault: Fault = null,
  ): Promise<Made> {
    const known = this.#made.get(name);
    if (known !== undefined) return known;
    const make = async (): Promise<Made> => {
      const bytes = await signObject(kind, claims(), signers);
      return { bytes: faulty(bytes, fault), digest: objectDigest(kind, parseCose(bytes)) };
    };
    const made = make();
    this.#made.set(name, made);
    return made;
  }

  async #charters(plans: readonly CharterPlan[]): Promise<Made[]> {
    const made: Made[] = [];
    let number = 0;
    for (const plan of plans) {
      number = made.length === 0 ? 1 : number + plan.step;
      const before = made.at(-1);
      const named = plan.predecessor === "before" ? before?.digest : seeded("a stranger");
      const predecessor = number === 1 ? null : (named ?? seeded("a stranger"));
      const name = JSON.stringify(["charter", plan, number, predecessor && hex(predecessor)]);
      const claims = () => this.#charter(plan, number, predecessor);
      made.push(
        await this.#sign("charter", name, claims, chosen("root", plan.signers), plan.fault),
      );
    }
    return made;
  }

  #charter(plan: CharterPlan, number: number, predecessor: Uint8Array | null): Charter {
    const keys = (set: keyof typeof POOLS, numbers: readonly number[]): CoseKey[] =>
      chosen(set, numbers).map(({ key }) => key);
    const keyset = (set: "root" | "governance", { threshold, keys: numbers }: SetPlan) => ({
      threshold,
      keys: keys(set, numbers),
    });
    const members = plan.class.members?.flatMap((n) => {
      const member = POOLS.authority[n];
      return member === undefined ? [] : [thumbprint(member.key)];
    });
    const standard = {
      ...plan.class,
      members: members?.sort(Buffer.compare) ?? null,
      nodes: null,
      mark: false,
    };
    const other = { threshold: 1, keys: [OTHER.key] };
    return this.#world.charter({
      domain: plan.domain,
      iat: plan.iat,
      exp: plan.exp,
      number,
      predecessor,
      keysets: {
        root: keyset("root", plan.root),
        authority: {
          keys: keys("authority", plan.authority),
          classes: new Map([["standard", standard]]),
        },
        policy: other,
        enroller: [{ key: OTHER.key, labels: null }],
        governance: keyset("governance", plan.governance),
      },
      bounds: { ...plan.bounds, nodeSeconds: 400 * DAY },
    });
  }

  #grant({ fault, signers, ...plan }: GovernancePlan["grant"]): Promise<Made> {
    const { class: name, epoch, audience, ...claims } = plan;
    const make = () =>
      this.#world.grant({
        ...claims,
        nbf: claims.iat,
        cnf: { node: "executing" },
        audience: audience === "web" ? "web" : [this.#world.ueid],
        governance: { epoch, keyset: "authority", class: name, ticket: null },
      });
    const key = JSON.stringify(["grant", plan, signers, fault]);
    return this.#sign("grant", key, make, chosen("authority", signers), fault);
  }

  async #snapshot(
    plan: GovernancePlan,
    charters: readonly Made[],
    policy: Made,
    list: Uint8Array,
  ): Promise<Made> {
    const status = plan.list.named ? statusDigest(list) : seeded("another list");
    const { signers, fault, active, charter: named, ...claims } = plan.snapshot;
    const charter = named === "stranger" ? undefined : charters.at(named === "last" ? -1 : 0);
    const under = charter?.digest ?? seeded("no charter");
    const name = JSON.stringify(["snapshot", plan.snapshot, hex(under), hex(status)]);
    const policies = new Map(active ? [["base", [policy.digest]]] : []);
    const make = () => this.#world.snapshot({ ...claims, charter: under, status, policies });
    return this.#sign("snapshot", name, make, chosen("governance", signers), fault);
  }

  #context(
    { context, purpose }: GovernancePlan,
    first: Made | undefined,
    snapshot: Made,
    grant: Made,
    job: Uint8Array,
  ): Context {
    const seen = context.floorDigest === "same" ? snapshot.digest : seeded("another snapshot");
    return {
      role: "gate",
      charter: (context.pin === "first" ? first?.digest : undefined) ?? seeded("no pin"),
      now: NOW,
      floors: {
        charterNumber: context.floorNumber,
        snapshotVersion: context.floorVersion,
        snapshotDigest: context.floorVersion === 0 ? null : seen,
        time: context.floorTime,
      },
      nonce: this.#world.gateNonce,
      node: { name: this.#world.ak.name, counters: countersOf(CLOCK) },
      uses: [{ element: grant.digest, count: 0 }],
      ima: null,
      purpose:
        purpose === "start"
          ? { kind: "start", parentRun: null }
          : { kind: "lease", run: RUN, job: jobDigest(job), chain: grant.digest },
    };
  }

  async #draft(plan: GovernancePlan): Promise<Draft> {
    const world = this.#world;
    const charters = await this.#charters(plan.charters);
    const grant = await this.#grant(plan.grant);
    const policy = await this.#sign("policy", "policy", () => world.policy(), [OTHER]);
    const node = await this.#node();
    const list = listOf(plan.list, grant.digest);
    const snapshot = await this.#snapshot(plan, charters, policy, list);
    const job = encodePlain("job", world.job());
    const run = plan.purpose === "lease" ? RUN : null;
    const request = requestDigest({
      purpose: plan.purpose,
      domain: world.domain,
      akName: world.ak.name,
      gateNonce: world.gateNonce,
      planeNonce: null,
      job: jobDigest(job),
      chain: grant.digest,
      snapshot: snapshot.digest,
      run,
    });
    const context = this.#context(plan, charters[0], snapshot, grant, job);
    const fixed = {
      charters: charters.map(({ bytes }) => bytes),
      snapshot: snapshot.bytes,
      statusList: list,
      elements: [grant.bytes],
      proof: null,
      node: node.bytes,
      job,
      policies: [policy.bytes],
      purpose: plan.purpose,
      run,
      gateNonce: world.gateNonce,
      planeNonce: null,
    };
    return {
      request,
      encode: ({ attest, signature, pcrs, place }) => {
        const slot = { attest, signature, ...place };
        const tpm = { type: "tpm2", slot, pcrs, eventLog: null, ima: null } as const;
        const evidence = { ...fixed, tpm };
        return encodePlain("case", { version: 1, context, evidence, result: null });
      },
    };
  }

  #node(): Promise<Made> {
    const known = this.#made.get("node");
    if (known !== undefined) return known;
    const made = this.#world.make("node", this.#world.node(), { signers: [OTHER] });
    this.#made.set("node", made);
    return made;
  }
}

/** Status indexes 5 (grant) and 9 (node), least significant bit first. */
function listOf(plan: ListPlan, grant: Uint8Array): Uint8Array {
  const bits = (bytes: number, index: number, revoked: boolean): Uint8Array => {
    const array = new Uint8Array(bytes);
    const place = index >> 3;
    if (revoked && place < bytes) array[place] = 1 << (index & 7);
    return array;
  };
  const [low, high] = [new Uint8Array(32), new Uint8Array(32).fill(255)];
  const elements = plan.elementRevoked ? [low, grant, high] : [low, high];
  const arrays = [
    bits(plan.grantBytes, 5, plan.grantRevoked),
    bits(plan.nodeBytes, 9, plan.nodeRevoked),
  ];
  switch (plan.form) {
    case "fine":
      return encode([...arrays, elements]);
    case "absent":
      return new Uint8Array(0);
    case "trailing":
      return new Uint8Array([...encode([...arrays, elements]), 0]);
    case "descending":
      return encode([...arrays, elements.toReversed()]);
    case "oversized":
      return encode([new Uint8Array(262_145), new Uint8Array(0), elements]);
  }
}
