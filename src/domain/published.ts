/**
 * A domain that is served: read again only when another process, or this one, has published.
 */
import { statSync } from "node:fs";
import { nowMs, nowSeconds } from "../clock.ts";
import { LIMITS } from "../limits.ts";
import type { Signer } from "../wire/keys.ts";
import { type NodeCredential, parseSigned } from "../wire/objects.ts";
import type { GovernanceChange, Published, RegisteredNode } from "../wire/published.ts";
import { isRevoked } from "../wire/status.ts";
import { type Domain, loadDomain, loadPolicies } from "./domain.ts";
import { numbersIn, readBounded } from "./files.ts";
import { ISSUED_EXTENSION, Layout } from "./layout.ts";
import { type Change, publish, revoke } from "./publication.ts";

/** A file system's clock ticks: what changed within this time may change again unseen. */
const RACY_MS = 200;

export class PublishedDomain {
  readonly #layout: Layout;
  readonly #signers: readonly Signer[];
  #held: { readonly mark: string; readonly state: Published; readonly domain: Domain } | null =
    null;

  readonly #credentials = new Map<number, NodeCredential>();

  /** `signers`: the governance keys that this process may use, none perhaps. */
  constructor(path: string, signers: readonly Signer[]) {
    this.#layout = new Layout(path);
    this.#signers = signers;
  }

  async current(): Promise<Published> {
    return (await this.#load()).state;
  }

  async #load() {
    const mark = this.#mark();
    if (this.#held !== null && mark !== null && this.#held.mark === mark) return this.#held;
    const domain = await loadDomain(this.#layout.path);
    const held = { mark: mark ?? "", state: await stateOf(domain), domain };
    this.#held = held;
    return held;
  }

  /** Tells one state of the folders from another; null while that cannot be told yet. */
  #mark(): string | null {
    const { charters, snapshots, policies } = this.#layout;
    const stats = [charters, snapshots, policies].map((path) => statSync(path, { bigint: true }));
    const newest = Math.max(...stats.map(({ mtimeMs }) => Number(mtimeMs)));
    if (nowMs() - newest < RACY_MS) return null;
    return stats.map(({ ino, mtimeNs }) => `${ino}:${mtimeNs}`).join("/");
  }

  async change(change: GovernanceChange): Promise<Published> {
    const { path } = this.#layout;
    const publication = { signers: this.#signers, nowSeconds: nowSeconds() };
    if (change.kind === "revoke") {
      await revoke(path, publication, [{ kind: change.of, index: change.index }]);
    } else {
      const { kind: _, ...rest } = change;
      await publish(path, publication, (): Change => rest);
    }
    return this.current();
  }

  /**
   * Credentials that were issued here: at most so many, of status index `from` or more, ascending. A
   * file of one is never changed, so each is read once.
   */
  async nodes(from: number, count: number): Promise<RegisteredNode[]> {
    const { domain } = await this.#load();
    const nodes: RegisteredNode[] = [];
    for (const index of await numbersIn(this.#layout.nodes, ISSUED_EXTENSION.nodes)) {
      if (index < from) continue;
      if (nodes.length >= count) break;
      const claims = this.#credentials.get(index) ?? (await this.#readCredential(index));
      if (claims === null) continue;
      nodes.push({ claims, revoked: isRevoked(domain.status.list, "nodes", index) });
    }
    return nodes;
  }

  /** Null for an index that is only reserved. */
  async #readCredential(index: number): Promise<NodeCredential | null> {
    const bytes = await readBounded(this.#layout.issuedFile("nodes", index), LIMITS.policyBytes);
    if (bytes === null || bytes.length === 0) return null;
    const { claims } = parseSigned("node", bytes);
    this.#credentials.set(index, claims);
    return claims;
  }
}

async function stateOf(domain: Domain): Promise<Published> {
  const { iat, exp, version, freeze, decision } = domain.snapshot.object.claims;
  const active = (await loadPolicies(domain)).filter((policy) => policy.active);
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  return {
    domain: domain.name,
    charters: domain.charters.map(({ bytes }) => bytes),
    charterDigests: domain.charters.map(({ digest }) => digest),
    snapshot: domain.snapshot.bytes,
    statusList: domain.status.bytes,
    version,
    digest: domain.snapshot.digest,
    issued: iat,
    expires: exp,
    freeze,
    decision,
    policies: new Map(active.map(({ digest, bytes }) => [hex(digest), bytes])),
  };
}
