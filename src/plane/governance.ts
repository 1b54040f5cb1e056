/** Where the plane gets the signed state of its domain; it knows no files. */
import type { GovernanceChange, Published, RegisteredNode } from "../wire/published.ts";

export type { GovernanceChange, Published, RegisteredNode };

export interface Governance {
  /** The newest published state; also what another process published a moment ago. */
  current(): Promise<Published>;
  /** Publishes a new snapshot with the governance keys at hand. Throws where they are too few. */
  change(change: GovernanceChange): Promise<Published>;
  /** At most so many, of status index `from` or more, ascending. */
  nodes(from: number, count: number): Promise<readonly RegisteredNode[]>;
}
