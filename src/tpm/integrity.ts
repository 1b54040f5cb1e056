/** PCRs (Part 3 §22). */

import { type Authorization, password } from "./session.ts";
import { concat, u16, u32 } from "./structures/bytes.ts";
import { digestBytes } from "./structures/constants.ts";
import {
  encodePcrSelection,
  type PcrValue,
  readPcrSelection,
  type TPMS_PCR_SELECTION,
} from "./structures/pcr.ts";
import { permanent, type Tpm } from "./tpm.ts";

/** A TPM gives at most eight values at once, so 24 PCRs of three banks take nine reads. */
const READS_MAX = 64;
const RESTARTS_MAX = 8;

interface PartialRead {
  readonly updateCounter: number;
  readonly values: readonly PcrValue[];
}

async function readSome(tpm: Tpm, selection: readonly TPMS_PCR_SELECTION[]): Promise<PartialRead> {
  return tpm.execute({
    name: "TPM2_PCR_Read",
    parameters: encodePcrSelection(selection),
    response: (reader) => {
      const updateCounter = reader.u32();
      const read = readPcrSelection(reader).flatMap(({ hash, pcrs }) =>
        pcrs.map((pcr) => ({ hash, pcr })),
      );
      const count = reader.u32();
      if (count !== read.length) throw reader.fail(`${count} values for ${read.length} PCRs`);
      const values = read.map(({ hash, pcr }) => {
        const value = reader.sized(64);
        if (value.length !== digestBytes(hash))
          throw reader.fail(`PCR ${pcr} has ${value.length} bytes`);
        return { hash, pcr, value };
      });
      return { updateCounter, values };
    },
  });
}

function without(
  selection: readonly TPMS_PCR_SELECTION[],
  read: readonly PcrValue[],
): TPMS_PCR_SELECTION[] {
  const left = selection.map(({ hash, pcrs }) => ({
    hash,
    pcrs: pcrs.filter((pcr) => !read.some((one) => one.hash === hash && one.pcr === pcr)),
  }));
  return left.filter(({ pcrs }) => pcrs.length > 0);
}

/** One pass over the selection; null where a PCR changed on the way. */
async function readAll(
  tpm: Tpm,
  selection: readonly TPMS_PCR_SELECTION[],
): Promise<PcrValue[] | null> {
  const values: PcrValue[] = [];
  let counter: number | null = null;
  let left = without(selection, []);
  for (let reads = 0; left.length > 0 && reads < READS_MAX; reads++) {
    const part = await readSome(tpm, left);
    if (counter !== null && part.updateCounter !== counter) return null;
    counter = part.updateCounter;
    if (part.values.length === 0) return values;
    values.push(...part.values);
    left = without(left, part.values);
  }
  return values;
}

/**
 * TPM2_PCR_Read, as often as it takes, in the order of the selection (bank by bank, indexes
 * ascending). PCRs that do not exist or lie in an inactive bank are absent. If PCRs keep changing
 * meanwhile, the last values read are returned: only a quote proves that values belong together.
 */
export async function pcrRead(
  tpm: Tpm,
  selection: readonly TPMS_PCR_SELECTION[],
): Promise<PcrValue[]> {
  const ascending = selection.map(({ hash, pcrs }) => ({
    hash,
    pcrs: [...pcrs].sort((a, b) => a - b),
  }));
  for (let restart = 0; restart < RESTARTS_MAX; restart++) {
    const values = await readAll(tpm, ascending);
    if (values) return inOrder(ascending, values);
  }
  const apart: PcrValue[] = [];
  for (const { hash, pcrs } of ascending) {
    for (const pcr of pcrs) apart.push(...(await readSome(tpm, [{ hash, pcrs: [pcr] }])).values);
  }
  return apart;
}

function inOrder(
  selection: readonly TPMS_PCR_SELECTION[],
  values: readonly PcrValue[],
): PcrValue[] {
  return selection.flatMap(({ hash, pcrs }) =>
    pcrs.flatMap((pcr) => values.filter((one) => one.hash === hash && one.pcr === pcr).slice(0, 1)),
  );
}

/** TPM2_PCR_Extend with one digest for each bank. */
export function pcrExtend(
  tpm: Tpm,
  pcr: number,
  digests: readonly { readonly hash: number; readonly digest: Uint8Array }[],
  authorization: Authorization = password(),
): Promise<void> {
  const list = digests.map(({ hash, digest }) => {
    if (digest.length !== digestBytes(hash)) {
      throw new RangeError(
        `${digest.length} bytes are no digest of algorithm 0x${hash.toString(16)}`,
      );
    }
    return concat(u16(hash), digest);
  });
  return tpm.execute({
    name: "TPM2_PCR_Extend",
    handles: [permanent(pcr)],
    authorizations: [authorization],
    parameters: concat(u32(list.length), ...list),
    response: () => undefined,
  });
}

/** TPM2_PCR_Reset; a PC Client TPM allows it for PCR 16 and 23. */
export function pcrReset(
  tpm: Tpm,
  pcr: number,
  authorization: Authorization = password(),
): Promise<void> {
  return tpm.execute({
    name: "TPM2_PCR_Reset",
    handles: [permanent(pcr)],
    authorizations: [authorization],
    response: () => undefined,
  });
}
