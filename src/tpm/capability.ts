/** TPM2_GetCapability (Part 3 §30.2), in the kinds that this project asks for. */
import { concat, type Reader, u32 } from "./structures/bytes.ts";
import { TPM_CAP, TPM_HT, TPM_PT } from "./structures/constants.ts";
import { readPcrSelection, type TPMS_PCR_SELECTION } from "./structures/pcr.ts";
import type { Tpm } from "./tpm.ts";

/** More than any TPM reports at once; pages are followed. */
const PAGE = 64;

interface Page<T> {
  readonly more: boolean;
  readonly items: readonly T[];
}

async function page<T>(
  tpm: Tpm,
  capability: number,
  property: number,
  item: (reader: Reader) => T,
): Promise<Page<T>> {
  return tpm.execute({
    name: "TPM2_GetCapability",
    parameters: concat(u32(capability), u32(property), u32(PAGE)),
    response: (reader) => {
      const more = reader.u8() !== 0;
      if (reader.u32() !== capability) throw reader.fail("another capability than asked for");
      const count = reader.u32();
      const items: T[] = [];
      for (let i = 0; i < count; i++) items.push(item(reader));
      return { more, items };
    },
  });
}

/**
 * Follows the pages of a list whose items are ordered by a number that the next page starts from.
 */
async function list<T>(
  tpm: Tpm,
  capability: number,
  first: number,
  item: (reader: Reader) => T,
  numberOf: (value: T) => number,
): Promise<T[]> {
  const all: T[] = [];
  for (let next = first; ; ) {
    const { more, items } = await page(tpm, capability, next, item);
    const last = items.at(-1);
    // A list that does not move on would be asked for without end.
    const fresh = items.filter((value) => numberOf(value) >= next);
    all.push(...fresh);
    if (!more || last === undefined || fresh.length === 0) return all;
    next = numberOf(last) + 1;
  }
}

/** All fixed TPM properties (TPM_PT), by number. */
export async function tpmProperties(tpm: Tpm): Promise<ReadonlyMap<number, number>> {
  const read = (reader: Reader): [number, number] => [reader.u32(), reader.u32()];
  const { FAMILY_INDICATOR } = TPM_PT;
  return new Map(
    await list(tpm, TPM_CAP.TPM_PROPERTIES, FAMILY_INDICATOR, read, ([number]) => number),
  );
}

/**
 * The handles of one type (TPM_HT) that exist now. Loaded sessions are listed with the handles they
 * were started with, so those of policy sessions look like saved ones (Part 2 §7.2).
 */
export async function handles(tpm: Tpm, type: number): Promise<number[]> {
  const first = type * 0x1000000;
  const place = (handle: number): number => first + (handle & 0xffffff);
  const all = await list(tpm, TPM_CAP.HANDLES, first, (reader) => reader.u32(), place);
  // After the last handle of a type a TPM goes on with the next type's.
  return all.filter((handle) => type === TPM_HT.LOADED_SESSION || handle >>> 24 === type);
}

/** All algorithms (TPM_ALG_ID) that the TPM implements. */
export async function algorithms(tpm: Tpm): Promise<number[]> {
  const read = (reader: Reader): number => {
    const algorithm = reader.u16();
    reader.u32();
    return algorithm;
  };
  return list(tpm, TPM_CAP.ALGS, 0, read, (algorithm) => algorithm);
}

/** All curves (TPM_ECC_CURVE) that the TPM implements. */
export async function curves(tpm: Tpm): Promise<number[]> {
  return list(
    tpm,
    TPM_CAP.ECC_CURVES,
    0,
    (reader) => reader.u16(),
    (curve) => curve,
  );
}

/** The PCR banks; a bank that exists but is inactive has no PCRs. */
export async function pcrBanks(tpm: Tpm): Promise<TPMS_PCR_SELECTION[]> {
  return tpm.execute({
    name: "TPM2_GetCapability",
    parameters: concat(u32(TPM_CAP.PCRS), u32(0), u32(1)),
    response: (reader) => {
      reader.u8();
      if (reader.u32() !== TPM_CAP.PCRS) throw reader.fail("another capability than asked for");
      return readPcrSelection(reader);
    },
  });
}
