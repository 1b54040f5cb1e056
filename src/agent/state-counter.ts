/**
 * The NV counter that guards this node's state: made at enrollment, read with TPM2_NV_Certify, so
 * that the enrolled key vouches for what it holds (gate/anchor.ts has the rules).
 */
import { randomBytes } from "node:crypto";
import { PortcullisError } from "../errors.ts";
import { nvCertify } from "../tpm/attestation.ts";
import { handles } from "../tpm/capability.ts";
import {
  COUNTER_ATTRIBUTES,
  type NvIndex,
  nvDefineSpace,
  nvIncrement,
  nvReadPublic,
  nvUndefineSpace,
} from "../tpm/nv.ts";
import { type Authorization, password } from "../tpm/session.ts";
import { parseAttest } from "../tpm/structures/attest.ts";
import { equalBytes, hex } from "../tpm/structures/bytes.ts";
import { TPM_ALG, TPM_HT } from "../tpm/structures/constants.ts";
import { nvName } from "../tpm/structures/nv-public.ts";
import type { TPMT_PUBLIC } from "../tpm/structures/public.ts";
import { verifyTpmSignature } from "../tpm/structures/signature.ts";
import type { Entity, Tpm } from "../tpm/tpm.ts";
import { EvidenceError } from "./evidence.ts";
import type { CounterPlace } from "./messages.ts";

/** Of the owner's NV indexes (Registry of Reserved TPM 2.0 Handles §2.2.2); "PC" in the middle. */
const INDEX_FIRST = 0x01805043;
const INDEXES = 64;
const COUNTER_BYTES = 8;

/**
 * Defines a counter at the first free index of ours, and increments it once: before that it has no
 * value, and its Name is another.
 * @throws TpmError where the owner set an authorization, or NV memory is full.
 */
export async function makeCounter(
  tpm: Tpm,
  owner: Authorization = password(),
): Promise<CounterPlace> {
  const taken = await handles(tpm, TPM_HT.NV_INDEX);
  const all = Array.from({ length: INDEXES }, (_, i) => INDEX_FIRST + i);
  const index = all.find((one) => !taken.includes(one));
  if (index === undefined) {
    throw new EvidenceError("agent.counter", `All ${INDEXES} NV indexes for counters are taken.`);
  }
  const area = {
    nvIndex: index,
    nameAlg: TPM_ALG.SHA256,
    attributes: COUNTER_ATTRIBUTES,
    authPolicy: new Uint8Array(0),
    dataSize: COUNTER_BYTES,
  };
  await nvDefineSpace(tpm, area, owner);
  await nvIncrement(tpm, { handle: index, name: nvName(area) });
  const { name } = await nvReadPublic(tpm, index);
  return { index, name };
}

/**
 * Removes a counter that nothing was kept beside. One that cannot be removed costs the TPM one of its
 * few places; why it is not needed is what the caller has to tell.
 */
export async function removeCounter(tpm: Tpm, place: CounterPlace): Promise<void> {
  try {
    await nvUndefineSpace(tpm, await find(tpm, place));
  } catch (cause) {
    if (!(cause instanceof PortcullisError)) throw cause;
  }
}

/** The counter that this node has already, where it is still there; else a new one. */
export async function keepCounter(tpm: Tpm, known: CounterPlace | null): Promise<CounterPlace> {
  const there = known !== null && (await handles(tpm, TPM_HT.NV_INDEX)).includes(known.index);
  if (!there) return makeCounter(tpm);
  const { name } = await nvReadPublic(tpm, known.index);
  return equalBytes(name, known.name) ? known : makeCounter(tpm);
}

/** The counter as it is now. @throws EvidenceError where another index has its place. */
async function find(tpm: Tpm, { index, name }: CounterPlace): Promise<NvIndex> {
  const found = await nvReadPublic(tpm, index);
  if (equalBytes(found.name, name)) return found;
  throw new EvidenceError(
    "agent.counter",
    `NV index 0x${hex(Uint8Array.of(...bytesOf(index)))} is not this node's counter any more.`,
  );
}

const bytesOf = (index: number): number[] => [24, 16, 8, 0].map((shift) => (index >>> shift) & 255);

/**
 * What the counter holds, certified by the key for a nonce of ours: what an attacker on the bus
 * kept from an earlier time is refused.
 * @throws EvidenceError `agent.counter`, TpmError TPM_RC_HANDLE where the index is gone.
 */
export async function certifyCounter(
  tpm: Tpm,
  ak: Entity & { readonly public: TPMT_PUBLIC },
  place: CounterPlace,
): Promise<bigint> {
  const index = await find(tpm, place);
  const nonce = new Uint8Array(randomBytes(32));
  const range = { offset: 0, bytes: COUNTER_BYTES };
  return certifiedCounter(
    ak.public,
    place.name,
    nonce,
    await nvCertify(tpm, ak, index, nonce, range),
  );
}

/**
 * The value in a certification of the counter with this Name, by this key, for this nonce.
 * @throws EvidenceError `agent.counter` for anything else.
 */
export function certifiedCounter(
  ak: TPMT_PUBLIC,
  name: Uint8Array,
  nonce: Uint8Array,
  { attest, signature }: { readonly attest: Uint8Array; readonly signature: Uint8Array },
): bigint {
  const { attested, extraData } = parseAttest(attest);
  const genuine =
    verifyTpmSignature(ak, attest, signature) &&
    equalBytes(extraData, nonce) &&
    attested.type === "nv" &&
    equalBytes(attested.indexName, name) &&
    attested.offset === 0 &&
    attested.nvContents.length === COUNTER_BYTES;
  if (!genuine) {
    throw new EvidenceError("agent.counter", "The TPM's word for the counter does not verify.");
  }
  const { buffer, byteOffset } = attested.nvContents;
  return new DataView(buffer, byteOffset, COUNTER_BYTES).getBigUint64(0);
}

/** Increments the counter unless it has passed `value`; gives what is certified then. */
export async function raiseCounter(
  tpm: Tpm,
  ak: Entity & { readonly public: TPMT_PUBLIC },
  place: CounterPlace,
  value: bigint,
): Promise<bigint> {
  const now = await certifyCounter(tpm, ak, place);
  if (now !== value) return now;
  await nvIncrement(tpm, await find(tpm, place));
  return certifyCounter(tpm, ak, place);
}
