/**
 * What the gate is handed: signed files that it does not trust, and a source of quotes that it does
 * not trust either. Whatever is wrong with them, the core finds; here they only travel.
 */

/** Signed objects as they were found; an absent one is empty, an absent list has no members. */
export interface Materials {
  /** From the pinned charter on. */
  readonly charters: readonly Uint8Array[];
  readonly snapshot: Uint8Array;
  readonly statusList: Uint8Array;
  /** The grant, then its links. */
  readonly elements: readonly Uint8Array[];
  readonly node: Uint8Array;
  /** One document for each policy that the elements name. */
  readonly policies: readonly Uint8Array[];
  /** Other documents for the same names: tried in turn where the machine does not meet the first. */
  readonly alternatives?: readonly (readonly Uint8Array[])[];
}

/** A quote and the place of one request in it. */
export interface AttestedRequest {
  /** TPMS_ATTEST, without a size before it. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly path: readonly Uint8Array[];
  /** In the order of the signed selection. */
  readonly pcrs: readonly Uint8Array[];
  /** The counter that guards the state, as the enrolled key certifies it; absent where none does. */
  readonly counter?: bigint;
  /** The whole IMA list of this boot, read after the quote; null or absent where there is none. */
  readonly ima?: Uint8Array | null;
  /** The boot event log, where a policy asks for one. */
  readonly eventLog?: Uint8Array | null;
  /** What could not be collected beside the quote, and why: for people, where it denies. */
  readonly missing?: string;
}

/** Gives quotes; src/agent is one. */
export interface EvidenceSource {
  /** A quote whose qualifyingData is the Merkle root over requests, this one among them. */
  attest(requestDigest: Uint8Array): Promise<AttestedRequest>;
}

/** Signs the request digest for a grant that a key holds: gives a COSE_Sign1 of kind proof. */
export type Prover = (requestDigest: Uint8Array) => Promise<Uint8Array>;

/**
 * The TPM is there, and the enrolled key is not its own any more: asking again never helps. An
 * EvidenceSource throws it.
 */
export class AttestationKeyLost extends Error {
  constructor(cause: unknown) {
    super("The TPM does not load the enrolled attestation key.", { cause });
    this.name = "AttestationKeyLost";
  }
}
