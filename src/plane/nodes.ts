/**
 * Who evidence says it is of: read once, and found by the credential's bytes from then on. Nothing
 * of it is verified; it says under which Name counters are looked up, and whom to show.
 */
import { parseNode } from "../wire/subject.ts";

export interface UnverifiedNode {
  /** The TPM Name of its attestation key. */
  readonly name: Uint8Array;
  /** In hex. */
  readonly ueid: string;
}

/** Beyond it the one read longest ago is forgotten: anyone may send credentials. */
const NODES_MAX = 4_096;
/** Longer ones are read each time. */
const CREDENTIAL_BYTES_MAX = 2_048;

export class KnownNodes {
  readonly #known = new Map<string, UnverifiedNode>();

  /** Null where that is no credential. */
  read(credential: Uint8Array): UnverifiedNode | null {
    const { buffer, byteOffset, byteLength } = credential;
    const key = Buffer.from(buffer, byteOffset, byteLength).toString("latin1");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const claims = parseNode({ node: credential });
    if (claims === null) return null;
    const read = { name: claims.name, ueid: Buffer.from(claims.ueid).toString("hex") };
    if (credential.length <= CREDENTIAL_BYTES_MAX) this.#remember(key, read);
    return read;
  }

  #remember(key: string, read: UnverifiedNode): void {
    this.#known.set(key, read);
    if (this.#known.size <= NODES_MAX) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}
