/**
 * A complete small trust domain, and cases in it. By default world.caseBytes() is a case that is allowed; every
 * override changes one thing and everything that follows from it (digests, signatures, the quote) is made anew, so that
 * a test breaks exactly what it means to break. `edit` reaches below the types, down to raw bytes.
 *
 *     const world = makeWorld();
 *     const denied = await world.caseBytes({ grant: { exp: world.now } });
 *
 * Keys, ECDSA signatures and values follow from names: the same world gives the same bytes in every run.
 */
import { decode, encode } from "../../src/wire/cbor.ts";
import { type CborKey, type CborMap, type CborValue, isMap } from "../../src/wire/cbor-value.ts";
import { parseCose } from "../../src/wire/cose.ts";
import {
  type DigestedKind,
  evidenceDigest,
  isDigested,
  jobDigest,
  objectDigest,
  requestDigest,
  statusDigest,
} from "../../src/wire/digests.ts";
import { auditPath, merkleRoot } from "../../src/wire/merkle.ts";
import {
  type Charter,
  type Context,
  type Evidence,
  encodePayload,
  encodePlain,
  type Grant,
  type Job,
  type NodeCredential,
  type Proof,
  type ReferencePolicy,
  type Result,
  type Scope,
  type Snapshot,
  type StatusList,
  signPayload,
} from "../../src/wire/objects.ts";
import type { Claims, SignedKind } from "../../src/wire/registry.ts";
import {
  type AkType,
  type ClockState,
  type PcrBanks,
  type Quoted,
  type QuoteFaults,
  type SoftwareAk,
  softwareAk,
} from "./ak.ts";
import { activeOf, CLOCK, countersOf, DOMAIN, Domain, NOW, PCRS, type Signers } from "./domain.ts";
import { seeded } from "./keys.ts";

type BytesEdit = (bytes: Uint8Array) => Uint8Array;
type MapEdit = (map: Map<CborKey, CborValue>) => void;

/** Changes below the types. Each runs on what the step before it made. */
export interface Edits {
  /** The claims as CBOR, before they become a payload: delete one, add one, change a type. */
  readonly claims?: { readonly [K in SignedKind]?: MapEdit };
  /** The payload's bytes, before they are signed. */
  readonly payload?: { readonly [K in SignedKind]?: BytesEdit };
  /** The finished COSE bytes, after they are signed. */
  readonly object?: { readonly [K in SignedKind]?: BytesEdit };
  readonly job?: BytesEdit;
  readonly statusList?: BytesEdit;
  readonly attest?: BytesEdit;
  readonly signature?: BytesEdit;
  /** After the request was made and quoted. */
  readonly evidence?: MapEdit;
  readonly context?: MapEdit;
  readonly case?: BytesEdit;
}

export interface CaseOverrides {
  readonly charter?: Partial<Charter>;
  readonly snapshot?: Partial<Snapshot>;
  readonly statusList?: Partial<StatusList>;
  /** One for each policy that is presented; the grant names them all and the snapshot lists them as active. */
  readonly policies?: readonly Partial<ReferencePolicy>[];
  readonly node?: Partial<NodeCredential>;
  readonly grant?: Partial<Grant>;
  readonly scope?: Partial<Scope>;
  readonly job?: Partial<Job>;
  readonly proof?: Partial<Proof>;
  readonly result?: Partial<Result>;
  readonly context?: Partial<Context>;
  readonly evidence?: Partial<Evidence>;
  /** What the TPM reports; `pcrs` are its true values. */
  readonly clock?: Partial<ClockState>;
  readonly pcrs?: PcrBanks;
  /** What the TPM signs instead; the signature is good. */
  readonly attest?: QuoteFaults & { readonly extraData?: Uint8Array };
  /** Replaces the whole quote: a function of the request digest. */
  readonly quote?: (request: Uint8Array) => Quoted;
  /** Requests that share the quote with this one, and this one's place among them. */
  readonly shared?: { readonly others: readonly Uint8Array[]; readonly index: number };
  /** Who signs what instead. */
  readonly signers?: { readonly [K in SignedKind]?: Signers };
  /** Whose proof the grant asks for: the agent's key (the default), or the executing node's quote. */
  readonly holder?: "key" | "node";
  /** Makes the links, each under the element before it. See chains.ts. */
  readonly links?: readonly ((parent: Made) => Promise<Made>)[];
  /** Who decides: the gate (the default) or the plane. */
  readonly role?: "gate" | "plane";
  /** Whether the snapshot demands the plane's result too. */
  readonly plane?: boolean;
  readonly purpose?: "start" | "lease";
  /** Start: the parent's run. Lease: the run. */
  readonly run?: Uint8Array | null;
  readonly ima?: Uint8Array | null;
  /** What the IMA list continues: of this boot and these policies unless told. */
  readonly imaPrefix?: Partial<NonNullable<Context["ima"]>> &
    Pick<NonNullable<Context["ima"]>, "entries" | "values">;
  /** Uses claimed so far. */
  readonly uses?: number;
  readonly edit?: Edits;
}

/** A case and everything that it was made of. */
export interface BuiltCase {
  readonly bytes: Uint8Array;
  readonly charter: Made;
  readonly snapshot: Made;
  readonly grant: Made;
  /** The grant and its links. */
  readonly chain: readonly Made[];
  readonly node: Made;
  readonly policies: readonly Made[];
  readonly statusList: Uint8Array;
  readonly job: Uint8Array;
  readonly jobDigest: Uint8Array;
  readonly request: Uint8Array;
  readonly quote: Quoted;
  readonly context: Context;
  readonly evidence: Evidence;
  readonly evidenceBytes: Uint8Array;
  readonly result: Uint8Array | null;
}

interface MakeOptions {
  readonly signers?: Signers | undefined;
  readonly edit?: Edits | undefined;
}

/** A signed object and its digest (of what was signed, whatever an edit did to it afterwards). */
export interface Made {
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
}

/** See the top of this file. The attestation key may be of any type of AK_TYPES. */
export function makeWorld(ak: AkType | SoftwareAk = "ecdsa-p256"): World {
  return new World(typeof ak === "string" ? softwareAk(ak) : ak);
}

export class World extends Domain {
  readonly gateNonce = seeded("gate nonce");
  readonly planeNonce = seeded("plane nonce");

  async caseBytes(overrides: CaseOverrides = {}): Promise<Uint8Array> {
    return (await this.build(overrides)).bytes;
  }

  /** Signs claims as an object of this kind, with the default signers of its kind unless told. */
  async make<K extends SignedKind>(
    kind: K,
    claims: Claims<K>,
    { signers, edit }: MakeOptions = {},
  ): Promise<Made> {
    const map = new Map(decode(encodePayload(kind, claims)) as CborMap);
    edit?.claims?.[kind]?.(map);
    const payload = edit?.payload?.[kind]?.(encode(map)) ?? encode(map);
    const bytes = await signPayload(kind, payload, signers ?? this.defaultSigners(kind));
    const { body } = parseCose(bytes);
    const digested: DigestedKind = isDigested(kind) ? kind : "grant";
    return {
      bytes: edit?.object?.[kind]?.(bytes) ?? bytes,
      digest: objectDigest(digested, { body, payload }),
    };
  }

  /** Builds a case from the outside in: governance, authorization, request, quote, evidence, result, context. */
  async build(o: CaseOverrides = {}): Promise<BuiltCase> {
    const parts = await this.parts(o);
    const request = requestDigest({
      purpose: o.purpose ?? "start",
      domain: DOMAIN,
      akName: this.ak.name,
      gateNonce: o.evidence?.gateNonce ?? this.gateNonce,
      planeNonce: o.evidence?.planeNonce ?? this.planeNonceOf(o),
      job: jobDigest(parts.job),
      chain: parts.leaf.digest,
      snapshot: parts.snapshot.digest,
      run: o.run ?? null,
    });
    const quote = this.quote(request, o);
    const evidence = await this.evidence(parts, request, quote, o);
    const evidenceMap = mapOf("evidence", evidence);
    o.edit?.evidence?.(evidenceMap);
    const evidenceBytes = encode(evidenceMap);
    const result = await this.result(request, evidenceDigest(evidenceBytes), o);
    const context = this.context(parts, o);
    const contextMap = mapOf("context", context);
    o.edit?.context?.(contextMap);
    const whole = encode([1, contextMap, evidenceMap, result]);
    return {
      ...parts,
      bytes: o.edit?.case?.(whole) ?? whole,
      jobDigest: jobDigest(parts.job),
      request,
      quote,
      context,
      evidence,
      evidenceBytes,
      result,
    };
  }

  /** The case with its result replaced; null for none. */
  async withResult(
    o: CaseOverrides,
    change: (result: Uint8Array) => Uint8Array | null,
  ): Promise<Uint8Array> {
    const { context, evidenceBytes, result } = await this.build(o);
    const changed = change(result ?? new Uint8Array(0));
    return encode([1, mapOf("context", context), decode(evidenceBytes), changed]);
  }

  /** The default context's floors, but for these. */
  floors(overrides: Partial<Context["floors"]>): { readonly floors: Context["floors"] } {
    const unseen = { charterNumber: 1, snapshotVersion: 0, snapshotDigest: null, time: 0 };
    return { floors: { ...unseen, ...overrides } };
  }

  private async parts(o: CaseOverrides) {
    const signed = <K extends SignedKind>(kind: K, claims: Claims<K>): Promise<Made> =>
      this.make(kind, claims, { signers: o.signers?.[kind], edit: o.edit });
    const charter = await signed("charter", this.charter(o.charter));
    const claims = (o.policies ?? [{}]).map((policy) => this.policy(policy));
    const policies = await Promise.all(claims.map((policy) => signed("policy", policy)));
    const status = encodePlain("statusList", this.statusList(o.statusList));
    const statusList = o.edit?.statusList?.(status) ?? status;
    const snapshot = this.snapshot({
      charter: charter.digest,
      status: statusDigest(statusList),
      decision: o.plane === true ? "plane" : "local",
      policies: activeOf(claims, policies),
      ...o.snapshot,
    });
    const names = [...new Set(claims.map((policy) => policy.name))];
    const grant = this.grant({
      ...(names.length > 0 ? { policies: names } : {}),
      ...(o.holder === "node" ? { cnf: { node: "executing" } } : {}),
      scope: this.scope(o.scope),
      ...o.grant,
    });
    const job = encodePlain("job", this.job(o.job));
    const chain = [await signed("grant", grant)] as [Made, ...Made[]];
    for (const link of o.links ?? []) chain.push(await link(chain.at(-1) ?? chain[0]));
    return {
      charter,
      snapshot: await signed("snapshot", snapshot),
      policies,
      statusList,
      grant: chain[0],
      chain,
      leaf: chain.at(-1) ?? chain[0],
      node: await signed("node", this.node(o.node)),
      job: o.edit?.job?.(job) ?? job,
      version: snapshot.version,
    };
  }

  private planeNonceOf(o: CaseOverrides): Uint8Array | null {
    return o.plane === true || o.role === "plane" ? this.planeNonce : null;
  }

  private quote(request: Uint8Array, o: CaseOverrides): Quoted {
    const made =
      o.quote?.(request) ??
      this.ak.quote({
        extraData: merkleRoot(sharedBy(request, o)),
        pcrs: o.pcrs ?? PCRS,
        clock: { ...CLOCK, ...o.clock },
        ...o.attest,
      });
    return {
      attest: o.edit?.attest?.(made.attest) ?? made.attest,
      signature: o.edit?.signature?.(made.signature) ?? made.signature,
      values: made.values,
    };
  }

  private async evidence(
    parts: Awaited<ReturnType<World["parts"]>>,
    request: Uint8Array,
    quote: Quoted,
    o: CaseOverrides,
  ): Promise<Evidence> {
    const options = { signers: o.signers?.proof, edit: o.edit };
    const proof =
      o.holder === "node" ? null : await this.make("proof", { request, ...o.proof }, options);
    return {
      charters: [parts.charter.bytes],
      snapshot: parts.snapshot.bytes,
      statusList: parts.statusList,
      elements: parts.chain.map(({ bytes }) => bytes),
      proof: proof?.bytes ?? null,
      node: parts.node.bytes,
      job: parts.job,
      policies: parts.policies.map((policy) => policy.bytes),
      tpm: {
        type: "tpm2",
        slot: {
          attest: quote.attest,
          signature: quote.signature,
          ...auditPath(sharedBy(request, o), o.shared?.index ?? 0),
        },
        pcrs: quote.values,
        eventLog: null,
        ima: o.ima ?? null,
      },
      purpose: o.purpose ?? "start",
      run: o.run ?? null,
      gateNonce: this.gateNonce,
      planeNonce: this.planeNonceOf(o),
      ...o.evidence,
    };
  }

  private async result(
    request: Uint8Array,
    evidence: Uint8Array,
    o: CaseOverrides,
  ): Promise<Uint8Array | null> {
    if (o.plane !== true || o.role === "plane") return null;
    const claims: Result = { iat: NOW, exp: NOW + 60, request, evidence, verdict: "allow" };
    const options = { signers: o.signers?.result, edit: o.edit };
    return (await this.make("result", { ...claims, ...o.result }, options)).bytes;
  }

  private context(parts: Awaited<ReturnType<World["parts"]>>, o: CaseOverrides): Context {
    const role = o.role ?? "gate";
    const run = o.run ?? null;
    return {
      role,
      charter: parts.charter.digest,
      now: NOW,
      floors: {
        charterNumber: 1,
        snapshotVersion: parts.version,
        snapshotDigest: parts.snapshot.digest,
        time: NOW - 10,
      },
      nonce: role === "plane" ? this.planeNonce : this.gateNonce,
      node: { name: this.ak.name, counters: { ...countersOf(CLOCK), clock: CLOCK.clock - 500n } },
      uses: parts.chain.map(({ digest }) => ({ element: digest, count: o.uses ?? 0 })),
      ima: o.imaPrefix
        ? {
            ...countersOf(CLOCK),
            policies: parts.policies.map(({ digest }) => digest),
            ...o.imaPrefix,
          }
        : null,
      purpose:
        o.purpose === "lease"
          ? {
              kind: "lease",
              run: run ?? new Uint8Array(32),
              job: jobDigest(parts.job),
              chain: parts.leaf.digest,
            }
          : { kind: "start", parentRun: run },
      ...o.context,
    };
  }
}

/** The requests under one quote, in order, this one among them. */
function sharedBy(request: Uint8Array, { shared }: CaseOverrides): readonly Uint8Array[] {
  return (shared?.others ?? []).toSpliced(shared?.index ?? 0, 0, request);
}

function mapOf<K extends "evidence" | "context">(kind: K, value: Claims<K>) {
  const map = decode(encodePlain(kind, value));
  if (!isMap(map)) throw new Error(`${kind} is no map`);
  return new Map(map);
}
