/** What a step of the demo presents, and the one outcome that is right. */
import type { Code } from "../../core/index.ts";
import type { EvidenceSource, Materials } from "../../gate/evidence.ts";
import type { JobRequest } from "../../gate/job.ts";
import type { PlaneSource } from "../../gate/plane.ts";
import type { GrantChange } from "./authority.ts";
import type { Site } from "./site.ts";

export type Elements = readonly Uint8Array[];

/** One thing to be tried. What is not said is as in the first, admitted run. */
export interface Scenario {
  readonly title: string;
  /** The policies that the grant names, where not the one over PCR values. */
  readonly policies?: string[];
  /** The code of the denial; null where the job must run. */
  readonly expected: Code | null;
  readonly grant?: (site: Site) => GrantChange | Promise<GrantChange>;
  readonly elements?: (grant: Uint8Array, site: Site) => Elements | Promise<Elements>;
  readonly job?: Partial<JobRequest>;
  readonly evidence?: (site: Site, real: EvidenceSource) => EvidenceSource;
  /** Whom the gate asks; nobody where absent. */
  readonly plane?: (site: Site, real: PlaneSource, grant: Uint8Array) => PlaneSource;
  readonly materials?: (site: Site, materials: Materials) => Materials | Promise<Materials>;
  /** Before the evidence is gathered, and after all is over. */
  readonly before?: (site: Site, admit: () => Promise<void>) => Promise<void>;
  readonly after?: (site: Site) => Promise<void>;
  /**
   * Between the core's allow and the gate's claim; `other` runs a second process with the same
   * grant.
   */
  readonly between?: (site: Site, other: () => Promise<void>) => Promise<void>;
  /** The log marks it: break-glass. */
  readonly marked?: true;
}
