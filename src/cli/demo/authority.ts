/** The demo's authority: it issues grants for the demo's job on the demo's node. */
import { randomBytes } from "node:crypto";
import { nowSeconds } from "../../clock.ts";
import { loadDomain } from "../../domain/domain.ts";
import type { Layout } from "../../domain/layout.ts";
import { signersAtHand } from "../../domain/signers.ts";
import type { PreparedJob } from "../../gate/job.ts";
import { sha256 } from "../../wire/digests.ts";
import type { Signer } from "../../wire/keys.ts";
import { type Grant, signObject } from "../../wire/objects.ts";

type Signers = readonly [Signer, ...Signer[]];

export interface GrantChange {
  readonly claims?: Partial<Grant>;
  /** Who signs instead of enough authority keys. */
  readonly signers?: Signers;
  readonly uses?: number;
}

export class DemoAuthority {
  readonly #layout: Layout;
  readonly #ueid: Uint8Array;
  readonly #policy: string;
  readonly #keys: Signers;
  #statusIndex = 0;

  private constructor(layout: Layout, ueid: Uint8Array, policy: string, keys: Signers) {
    this.#layout = layout;
    this.#ueid = ueid;
    this.#policy = policy;
    this.#keys = keys;
  }

  /** With the authority keys of the home, for jobs on this node under this policy. */
  static async open(layout: Layout, ueid: Uint8Array, policy: string): Promise<DemoAuthority> {
    const [first, ...rest] = await signersAtHand(layout, "authority");
    if (first === undefined) throw new Error("authority keys are absent");
    return new DemoAuthority(layout, ueid, policy, [first, ...rest]);
  }

  /** One key where two must sign. */
  get oneKey(): Signer {
    return this.#keys[0];
  }

  /** The status index of the grant that was made last. */
  get lastStatusIndex(): number {
    return this.#statusIndex - 1;
  }

  /** A grant for this job on this node, with something about it changed. */
  async grant(prepared: PreparedJob, change: GrantChange = {}): Promise<Uint8Array> {
    const governance = await this.#governance("standard", null);
    const usual = this.#claims(prepared, change.uses ?? 1, nowSeconds());
    const [first, ...rest] = this.#keys;
    const signers: Signers = change.signers ?? [first, ...rest.slice(0, 1)];
    return signObject("grant", { ...usual, governance, ...change.claims }, signers);
  }

  /** Of the class that asks for every authority key, and is marked in the log. */
  async breakGlass(): Promise<GrantChange> {
    const governance = await this.#governance("break-glass", "INC-7");
    return { claims: { governance }, signers: this.#keys };
  }

  async #governance(name: string, ticket: string | null): Promise<Grant["governance"]> {
    const { epoch } = (await loadDomain(this.#layout.path)).snapshot.object.claims;
    return { epoch, keyset: "authority", class: name, ticket };
  }

  #claims({ job }: PreparedJob, uses: number, now: number): Omit<Grant, "governance"> {
    return {
      iss: "authority@example.org",
      sub: "operator@example.org",
      domain: "example.org",
      iat: now,
      nbf: now,
      exp: now + 3_600,
      cti: new Uint8Array(randomBytes(16)),
      cnf: { node: "executing" },
      scope: {
        image: job.executable,
        argv: { form: "exact", values: job.argv },
        cwd: job.cwd,
        uid: job.uid,
        gid: job.gid,
        callers: [job.callerUid],
        runtimeSeconds: 10,
        uses,
      },
      policies: [this.#policy],
      maxDepth: 0,
      policyValidation: {
        digest: sha256(Buffer.from("demo")),
        validator: "validator@example.org",
        result: "pass",
        time: now,
      },
      statusIndex: this.#statusIndex++,
      audience: [this.#ueid],
    };
  }
}
