/** What a domain publishes, as the holders of its keys keep it and its plane serves it. */
import type { NodeCredential, Snapshot } from "./objects.ts";

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
  readonly freeze: Snapshot["freeze"];
  readonly decision: Snapshot["decision"];
  /** Active policies by their digest in hex. */
  readonly policies: ReadonlyMap<string, Uint8Array>;
}

export type GovernanceChange =
  | { readonly kind: "renew" }
  | { readonly kind: "freeze"; readonly freeze: Snapshot["freeze"] }
  | { readonly kind: "decision"; readonly decision: Snapshot["decision"] }
  | { readonly kind: "revoke"; readonly of: "grants" | "nodes"; readonly index: number };

/** A node that was enrolled in the domain. */
export interface RegisteredNode {
  readonly claims: NodeCredential;
  readonly revoked: boolean;
}
