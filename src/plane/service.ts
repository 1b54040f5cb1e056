/**
 * The plane as a server offers it: bytes and plain values in and out. Every refusal is a
 * PortcullisError with a code.
 */
import { encodeRemote } from "../wire/remote.ts";
import { type EnrollmentParts, Enrollments } from "./enrollment.ts";
import { PlaneError } from "./error.ts";
import type { GovernanceChange, Published, RegisteredNode } from "./governance.ts";
import type { Observations } from "./observations.ts";
import type { Plane } from "./plane.ts";
import { type TokenRecord, type TokenSource, verifyToken } from "./tokens.ts";

export interface ServiceParts {
  readonly plane: Plane;
  /** Null where this plane enrolls nobody. */
  readonly enrollment: EnrollmentParts | null;
  readonly tokens: TokenSource;
}

export interface StateView {
  readonly domain: string;
  readonly charter: number;
  readonly snapshot: {
    readonly version: number;
    readonly issued: number;
    readonly expires: number;
  };
  readonly freeze: Published["freeze"];
  readonly decision: Published["decision"];
  readonly now: number;
}

export interface NodeView {
  readonly ueid: string;
  readonly akName: string;
  readonly labels: readonly string[];
  readonly expires: number;
  readonly statusIndex: number;
  readonly revoked: boolean;
  /** [resetCount, restartCount] of its last quote, else of its enrollment. */
  readonly session: readonly [number, number];
  /** Of the last evidence that names it; a denial may be anyone's doing. */
  readonly last: { readonly time: number; readonly code: string | null } | null;
}

/** Nodes that are shown at once: all of a large fleet would keep everyone else waiting. */
export const NODES_PER_PAGE = 100;

export interface NodePage {
  readonly nodes: readonly NodeView[];
  /** Where the next page begins; null after the last. */
  readonly next: number | null;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export class PlaneService {
  readonly #parts: ServiceParts;
  readonly #enrollments: Enrollments | null;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#enrollments = parts.enrollment && new Enrollments(parts.enrollment);
  }

  get observations(): Observations {
    return this.#parts.plane.observations;
  }

  /** Returns where a decision could be reached now. Throws what stands in the way. */
  ready(): Promise<void> {
    return this.#parts.plane.ready();
  }

  nonce(): Uint8Array {
    return encodeRemote("nonce", this.#parts.plane.nonce());
  }

  async decide(evidence: Uint8Array): Promise<Uint8Array> {
    return encodeRemote("opinion", await this.#parts.plane.decide(evidence));
  }

  async governance(): Promise<Uint8Array> {
    const { charters, snapshot, statusList } = await this.#parts.plane.governance.current();
    return encodeRemote("governance", { charters, snapshot, statusList });
  }

  /** Null where no active policy has this digest. */
  async policy(digest: string): Promise<Uint8Array | null> {
    const { policies } = await this.#parts.plane.governance.current();
    return policies.get(digest) ?? null;
  }

  async beginEnrollment(message: Uint8Array, token: TokenRecord): Promise<Uint8Array> {
    return encodeRemote("enrollment", await this.#enrolling().challenge(message, token));
  }

  endEnrollment(id: string, message: Uint8Array): Promise<Uint8Array> {
    return this.#enrolling().issue(id, message);
  }

  #enrolling(): Enrollments {
    if (this.#enrollments !== null) return this.#enrollments;
    throw new PlaneError("plane.enrollment", "This plane enrolls nobody.");
  }

  token(text: string): Promise<TokenRecord | null> {
    return verifyToken(this.#parts.tokens, text, this.#parts.plane.now());
  }

  change(change: GovernanceChange): Promise<StateView> {
    const { plane } = this.#parts;
    return plane.governance.change(change).then((published) => viewOf(published, plane.now()));
  }

  async state(): Promise<StateView> {
    const { plane } = this.#parts;
    return viewOf(await plane.governance.current(), plane.now());
  }

  /** Those of status index `from` or more. */
  async nodes(from: number): Promise<NodePage> {
    const nodes = await this.#parts.plane.governance.nodes(from, NODES_PER_PAGE + 1);
    const next = nodes[NODES_PER_PAGE]?.claims.statusIndex ?? null;
    return { nodes: nodes.slice(0, NODES_PER_PAGE).map((node) => this.#nodeView(node)), next };
  }

  #nodeView({ claims, revoked }: RegisteredNode): NodeView {
    const ueid = hex(claims.ueid);
    const last = this.observations.lastOf(ueid);
    const { resetCount, restartCount } = this.observations.countersOf(ueid) ?? claims.counters;
    return {
      ueid,
      akName: hex(claims.name),
      labels: claims.labels,
      expires: claims.exp,
      statusIndex: claims.statusIndex,
      revoked,
      session: [resetCount, restartCount],
      last: last && { time: last.time, code: last.code },
    };
  }
}

function viewOf(published: Published, now: number): StateView {
  const { domain, charters, version, issued, expires, freeze, decision } = published;
  return {
    domain,
    charter: charters.length,
    snapshot: { version, issued, expires },
    freeze,
    decision,
    now,
  };
}
