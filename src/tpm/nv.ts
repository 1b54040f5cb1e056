/** Non-volatile memory (Part 3 §31). */

import { tpmProperties } from "./capability.ts";
import { type Authorization, password } from "./session.ts";
import { concat, equalBytes, parseAll, sized, u16, u32 } from "./structures/bytes.ts";
import { TPM_PT, TPM_RH, TPMA_NV } from "./structures/constants.ts";
import {
  encodeNvPublic,
  nvName,
  readNvPublicArea,
  type TPMS_NV_PUBLIC,
} from "./structures/nv-public.ts";
import { type Entity, permanent, type Tpm } from "./tpm.ts";

/** An NV index with its public area as it is now. */
export interface NvIndex extends Entity {
  readonly public: TPMS_NV_PUBLIC;
}

/** TPM2_NV_ReadPublic. @throws TpmError TPM_RC_HANDLE where the index does not exist. */
export function nvReadPublic(tpm: Tpm, index: number): Promise<NvIndex> {
  return tpm.execute({
    name: "TPM2_NV_ReadPublic",
    parameters: u32(index),
    response: (reader) => {
      const nv = parseAll(reader.sized(), "TPMS_NV_PUBLIC", readNvPublicArea);
      const name = nvName(nv);
      if (!equalBytes(reader.sized(68), name)) throw reader.fail("another Name than the index's");
      return { handle: index, name, public: nv };
    },
  });
}

/** Smallest TPM_PT_NV_BUFFER_MAX that the PC Client profile allows. */
const NV_BUFFER_BYTES_MIN = 512;

/**
 * TPM2_NV_Read of a whole index, in as many parts as the TPM's buffer asks for, by the index's own
 * authorization.
 */
export async function nvRead(
  tpm: Tpm,
  index: NvIndex,
  authorization: Authorization = password(),
  authority: Entity = index,
): Promise<Uint8Array> {
  const limit = (await tpmProperties(tpm)).get(TPM_PT.NV_BUFFER_MAX) ?? NV_BUFFER_BYTES_MIN;
  const parts: Uint8Array[] = [];
  for (let offset = 0; offset < index.public.dataSize; ) {
    const size = Math.min(limit, index.public.dataSize - offset);
    const part = await tpm.execute({
      name: "TPM2_NV_Read",
      handles: [authority, index],
      authorizations: [authorization],
      parameters: concat(u16(size), u16(offset)),
      response: (reader) => {
        const bytes = reader.sized();
        if (bytes.length !== size) throw reader.fail(`${size} bytes asked for`);
        return bytes;
      },
    });
    parts.push(part);
    offset += size;
  }
  return concat(...parts);
}

/** TPM2_NV_DefineSpace by the owner. */
export function nvDefineSpace(
  tpm: Tpm,
  nv: TPMS_NV_PUBLIC,
  owner: Authorization = password(),
  value: Uint8Array = new Uint8Array(),
): Promise<void> {
  return tpm.execute({
    name: "TPM2_NV_DefineSpace",
    handles: [permanent(TPM_RH.OWNER)],
    authorizations: [owner],
    parameters: concat(sized(value), sized(encodeNvPublic(nv))),
    response: () => undefined,
  });
}

/** TPM2_NV_UndefineSpace by the owner. */
export function nvUndefineSpace(
  tpm: Tpm,
  index: Entity,
  owner: Authorization = password(),
): Promise<void> {
  return tpm.execute({
    name: "TPM2_NV_UndefineSpace",
    handles: [permanent(TPM_RH.OWNER), index],
    authorizations: [owner],
    response: () => undefined,
  });
}

/**
 * TPM2_NV_Increment of a counter. Its Name changes with the first increment: read its public area
 * again.
 */
export function nvIncrement(
  tpm: Tpm,
  index: Entity,
  authorization: Authorization = password(),
): Promise<void> {
  return tpm.execute({
    name: "TPM2_NV_Increment",
    handles: [index, index],
    authorizations: [authorization],
    response: () => undefined,
  });
}

/**
 * Attributes of a counter that its own (empty) authorization value reads and increments, outside
 * the lockout.
 */
export const COUNTER_ATTRIBUTES =
  TPMA_NV.AUTHWRITE | TPMA_NV.AUTHREAD | TPMA_NV.OWNERREAD | TPMA_NV.NT_COUNTER | TPMA_NV.NO_DA;
