/** NV indexes (Part 2 §13). */
import { concat, type Reader, sized, u16, u32 } from "./bytes.ts";
import { nameOf } from "./public.ts";

/** Part 2 §13.5. */
export interface TPMS_NV_PUBLIC {
  readonly nvIndex: number;
  readonly nameAlg: number;
  readonly attributes: number;
  readonly authPolicy: Uint8Array;
  readonly dataSize: number;
}

export function readNvPublicArea(reader: Reader): TPMS_NV_PUBLIC {
  return {
    nvIndex: reader.u32(),
    nameAlg: reader.u16(),
    attributes: reader.u32(),
    authPolicy: reader.sized(64),
    dataSize: reader.u16(),
  };
}

export function encodeNvPublic(nv: TPMS_NV_PUBLIC): Uint8Array {
  const head = [u32(nv.nvIndex), u16(nv.nameAlg), u32(nv.attributes)];
  return concat(...head, sized(nv.authPolicy), u16(nv.dataSize));
}

/**
 * The Name of an NV index: it changes when the index is redefined differently, and once when first
 * written.
 */
export function nvName(nv: TPMS_NV_PUBLIC): Uint8Array {
  return nameOf(nv.nameAlg, encodeNvPublic(nv));
}
