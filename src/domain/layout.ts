/**
 * Where the parts of a trust domain lie below its folder. Each file is written once and never
 * changed, but for the reserved places in grants/ and nodes/; the newest charter and snapshot are
 * those with the highest number, so that publishing is one atomic step.
 *
 *     keys/<set>-<n>.pem              private keys (PKCS#8), those that this machine holds
 *     charters/<number>.charter       from the first on; the highest is in force
 *     snapshots/<version>/            `snapshot` and the `status` list that it names; the highest is
 *                                     in force, some earlier ones are kept
 *     policies/<name>.<digest prefix>.policy
 *     grants/<status index>.grant     what was issued; an empty file is a reserved index
 *     nodes/<status index>.node       node credentials, likewise
 */
import { join } from "node:path";
import type { StatusBits } from "../wire/status.ts";

export type KeysetName =
  | "root"
  | "authority"
  | "policy"
  | "enroller"
  | "governance"
  | "plane"
  | "log"
  | "witness";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export const CHARTER_EXTENSION = ".charter";
/** The two files in the folder of one version. */
export const PUBLISHED = { snapshot: "snapshot", status: "status" } as const;
export const ISSUED_EXTENSION: { readonly [bits in StatusBits]: string } = {
  grants: ".grant",
  nodes: ".node",
};

export class Layout {
  readonly path: string;
  readonly keys: string;
  readonly charters: string;
  readonly snapshots: string;
  readonly policies: string;
  readonly grants: string;
  readonly nodes: string;

  constructor(path: string) {
    this.path = path;
    this.keys = join(path, "keys");
    this.charters = join(path, "charters");
    this.snapshots = join(path, "snapshots");
    this.policies = join(path, "policies");
    this.grants = join(path, "grants");
    this.nodes = join(path, "nodes");
  }

  keyFile(set: KeysetName, number: number): string {
    return join(this.keys, `${set}-${number}.pem`);
  }

  charterFile(number: number): string {
    return join(this.charters, `${number}${CHARTER_EXTENSION}`);
  }

  snapshotFolder(version: number): string {
    return join(this.snapshots, String(version));
  }

  publishedFile(version: number, name: keyof typeof PUBLISHED): string {
    return join(this.snapshotFolder(version), PUBLISHED[name]);
  }

  policyFile(name: string, digest: Uint8Array): string {
    return join(this.policies, `${encodeURIComponent(name)}.${hex(digest).slice(0, 16)}.policy`);
  }

  issuedFile(bits: StatusBits, index: number): string {
    return join(this[bits], `${index}${ISSUED_EXTENSION[bits]}`);
  }
}
