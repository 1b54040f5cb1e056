/**
 * What the plane publishes: the signed state of the domain whose home it is. The plane is handed a
 * source of it and knows no files.
 */
import type { NodeCredential } from "../wire/objects.ts";

export interface Published {
  readonly domain: string;
  /** From the first on; the last is in force. */
  readonly charters: readonly Uint8Array[];
  /** Of these charters, in their order. */
  readonly charterDigests: readonly Uint8Array[];
  readonly snapshot: Uint8Array;
  readonly statusList: Uint8Array;
  readonly version: number;
  readonly digest: Uint8Array;
  /** Seconds since 1970. */
  readonly issued: number;
  readonly expires: number;
  readonly freeze: "none" | "new" | "all";
  readonly decision: "local" | "plane";
  /** Active policies by their digest in hex. */
  readonly policies: ReadonlyMap<string, Uint8Array>;
}

/** A node that was enrolled here. */
export interface RegisteredNode {
  readonly claims: NodeCredential;
  readonly revoked: boolean;
}

export type GovernanceChange =
  | { readonly kind: "renew" }
  | { readonly kind: "freeze"; readonly freeze: "none" | "new" | "all" }
  | { readonly kind: "decision"; readonly decision: "local" | "plane" }
  | { readonly kind: "revoke"; readonly of: "grants" | "nodes"; readonly index: number };

export interface Governance {
  /** The newest published state; also what another process published a moment ago. */
  current(): Promise<Published>;
  /** Publishes a new snapshot with the governance keys at hand. Throws where they are too few. */
  change(change: GovernanceChange): Promise<Published>;
  nodes(): Promise<readonly RegisteredNode[]>;
}
