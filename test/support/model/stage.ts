/**
 * Builds cases for the model fast: governance, node and policies are signed once, elements and
 * proofs by OpenSSL, and one quote serves a whole batch of cases (its qualifyingData is the Merkle
 * root over their requests).
 */
import { parseCose } from "../../../src/wire/cose.ts";
import { jobDigest, objectDigest, requestDigest, statusDigest } from "../../../src/wire/digests.ts";
import { type Signer, signerOf } from "../../../src/wire/keys.ts";
import { auditPath, merkleRoot } from "../../../src/wire/merkle.ts";
import { type Context, encodePlain, type Grant, signObject } from "../../../src/wire/objects.ts";
import { CLOCK, countersOf, NOW, PCRS } from "../domain.ts";
import { nodeKey, seeded, testSigner } from "../keys.ts";
import { type Made, makeWorld, type World } from "../world.ts";
import type { ChainPlan, LinkPlan } from "./arbitrary.ts";
import type { Circumstances, Presented, PresentedElement } from "./chain.ts";

const fast = (name: string): Signer => signerOf(nodeKey(testSigner(name, "Ed25519")));
const KEYS = [0, 1, 2, 3, 4, 5].map((number) => fast(`model ${number}`));
const SIGNERS = { root: fast("root"), authority: fast("authority"), other: fast("other") };

function keyAt(number: number): Signer {
  const key = KEYS[number];
  if (key === undefined) throw new Error(`no key ${number}`);
  return key;
}

const cnfOf = (holder: number | null): Grant["cnf"] =>
  holder === null ? { node: "executing" } : { key: keyAt(holder).key };

/** The last byte is the signature's. */
function damage(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1;
  return copy;
}

interface Signed {
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
}

/** One case before its quote is there. */
interface Draft {
  readonly request: Uint8Array;
  encode(quote: Quote): Uint8Array;
}
interface Quote {
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  readonly pcrs: readonly Uint8Array[];
  readonly place: {
    readonly index: number;
    readonly size: number;
    readonly path: readonly Uint8Array[];
  };
}

export class Stage {
  readonly world: World;
  readonly circumstances: Circumstances;
  readonly #charter: Made;
  readonly #node: Made;
  readonly #policies: ReadonlyMap<string, Made>;

  private constructor(
    world: World,
    circumstances: Circumstances,
    [charter, node, ...policies]: readonly [Made, Made, Made, Made],
  ) {
    this.world = world;
    this.circumstances = circumstances;
    this.#charter = charter;
    this.#node = node;
    this.#policies = new Map(policies.map((made, i) => [i === 0 ? "base" : "other", made]));
  }

  static async build(): Promise<Stage> {
    const world = makeWorld();
    const one = ({ key }: Signer) => ({ threshold: 1, keys: [key] as const });
    const usual = world.charter();
    const standard = usual.keysets.authority.classes.get("standard");
    const narrow = usual.keysets.authority.classes.get("narrow");
    if (standard === undefined || narrow === undefined) throw new Error("the classes are absent");
    const charter = world.charter({
      keysets: {
        root: one(SIGNERS.root),
        authority: {
          keys: [SIGNERS.authority.key],
          classes: new Map([
            ["standard", { ...standard, threshold: 1 }],
            ["narrow", { ...narrow, threshold: 1, depth: 2 }],
          ]),
        },
        policy: one(SIGNERS.other),
        enroller: [{ key: SIGNERS.other.key, labels: null }],
        governance: one(SIGNERS.other),
      },
    });
    const node = world.node();
    const signers = [SIGNERS.other] as const;
    const made = await Promise.all([
      world.make("charter", charter, { signers: [SIGNERS.root] }),
      world.make("node", node, { signers }),
      world.make("policy", world.policy(), { signers }),
      world.make("policy", world.policy({ name: "other" }), { signers }),
    ]);
    const { ueid, labels } = node;
    return new Stage(world, { now: NOW, charter, epoch: 3, ueid, labels }, made);
  }

  /** The case of each plan, and what the model is to judge. */
  async cases(plans: readonly ChainPlan[]) {
    const drafts = await Promise.all(plans.map((plan) => this.#draft(plan)));
    const requests = drafts.map(({ draft }) => draft.request);
    const quoted = this.world.ak.quote({
      extraData: merkleRoot(requests),
      pcrs: PCRS,
      clock: CLOCK,
    });
    const quote = { attest: quoted.attest, signature: quoted.signature, pcrs: quoted.values };
    return drafts.map(({ draft, presented }, i) => ({
      presented,
      bytes: draft.encode({ ...quote, place: auditPath(requests, i) }),
    }));
  }

  async #draft(plan: ChainPlan) {
    const made = await this.#chain(plan);
    const places: readonly (ChainPlan | LinkPlan)[] = [plan, ...plan.links];
    const elements = made.map(({ claims }, i): PresentedElement => {
      const place = places[i] ?? plan;
      const link = "parent" in place ? place : null;
      return {
        claims,
        holder: place.holder,
        signedBy: link?.signedBy ?? places[i - 1]?.holder ?? 0,
        damaged: place.damaged,
        namesParent: link === null || link.parent === "before",
        revoked: place.revoked !== null && place.revoked !== false,
        uses: place.uses,
      };
    });
    const leaf = elements.at(-1);
    const provedBy = plan.provedBy === undefined ? (leaf?.holder ?? null) : plan.provedBy;
    const presented: Presented = { elements, job: plan.job, provedBy };
    return { presented, draft: await this.#finish(plan, made, provedBy) };
  }

  /** Signs the chain; claims are as they were signed. */
  async #chain(plan: ChainPlan) {
    const grant = { ...plan.grant, cnf: cnfOf(plan.holder) };
    const bytes = await signObject("grant", grant, [SIGNERS.authority]);
    const made: (Signed & { readonly claims: PresentedElement["claims"] })[] = [
      { ...signed("grant", bytes, plan.damaged), claims: grant },
    ];
    let holder = plan.holder;
    for (const link of plan.links) {
      const named =
        link.parent === "stranger" ? undefined : made.at(link.parent === "before" ? -1 : -2);
      const parent = named?.digest ?? seeded("no element");
      const claims = { ...link.claims, cnf: cnfOf(link.holder), parent };
      const signer = keyAt(link.signedBy ?? holder ?? 0);
      const linkBytes = await signObject("link", claims, [signer]);
      made.push({ ...signed("link", linkBytes, link.damaged), claims });
      holder = link.holder;
    }
    return made;
  }

  async #finish(plan: ChainPlan, made: readonly Signed[], provedBy: number | null): Promise<Draft> {
    const { world } = this;
    const names = new Set(
      [plan.grant, ...plan.links.map(({ claims }) => claims)].flatMap((c) => c.policies ?? []),
    );
    const revoked = [plan.revoked === "digest", ...plan.links.map((link) => link.revoked)];
    const grants = Uint8Array.of(plan.revoked === "index" ? 1 << 5 : 0);
    const status = encodePlain("statusList", {
      grants,
      nodes: new Uint8Array(2),
      elements: made
        .filter((_, i) => revoked[i])
        .map(({ digest }) => digest)
        .sort(Buffer.compare),
    });
    const snapshot = await world.make(
      "snapshot",
      world.snapshot({
        charter: this.#charter.digest,
        status: statusDigest(status),
        policies: new Map([...this.#policies].map(([name, { digest }]) => [name, [digest]])),
      }),
      { signers: [SIGNERS.other] },
    );
    const job = encodePlain("job", plan.job);
    const request = requestDigest({
      purpose: "start",
      domain: world.domain,
      akName: world.ak.name,
      gateNonce: world.gateNonce,
      planeNonce: null,
      job: jobDigest(job),
      chain: made.at(-1)?.digest ?? seeded("no element"),
      snapshot: snapshot.digest,
      run: null,
    });
    const proof =
      provedBy === null ? null : await signObject("proof", { request }, [keyAt(provedBy)]);
    const uses = [plan, ...plan.links].map((place) => place.uses);
    const context = this.#context(made, uses);
    const fixed = {
      charters: [this.#charter.bytes],
      snapshot: snapshot.bytes,
      statusList: status,
      elements: made.map(({ bytes }) => bytes),
      proof,
      node: this.#node.bytes,
      job,
      policies: [...names].flatMap((name) => this.#policies.get(name)?.bytes ?? []),
      purpose: "start",
      run: null,
      gateNonce: world.gateNonce,
      planeNonce: null,
    } as const;
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

  #context(made: readonly Signed[], uses: readonly number[]): Context {
    return {
      role: "gate",
      charter: this.#charter.digest,
      now: NOW,
      floors: { charterNumber: 1, snapshotVersion: 0, snapshotDigest: null, time: 0 },
      nonce: this.world.gateNonce,
      node: { name: this.world.ak.name, counters: countersOf(CLOCK) },
      uses: made.map(({ digest }, i) => ({ element: digest, count: uses[i] ?? 0 })),
      ima: null,
      purpose: { kind: "start", parentRun: null },
    };
  }
}

function signed(kind: "grant" | "link", bytes: Uint8Array, damaged: boolean): Signed {
  return { bytes: damaged ? damage(bytes) : bytes, digest: objectDigest(kind, parseCose(bytes)) };
}
