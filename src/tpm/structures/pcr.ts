/** PCR selections (Part 2 §10.9.7) and their digests. */
import { createHash } from "node:crypto";
import { concat, type Reader, u8, u16, u32 } from "./bytes.ts";
import { hashById } from "./constants.ts";
import { TpmFormatError } from "./errors.ts";

/** One bank and its PCRs, ascending. */
export interface TPMS_PCR_SELECTION {
  readonly hash: number;
  readonly pcrs: readonly number[];
}

/** One PCR's value as the TPM reports it. */
export interface PcrValue {
  readonly hash: number;
  readonly pcr: number;
  readonly value: Uint8Array;
}

const MAX_SELECTIONS = 16;
/** PC Client TPMs have 24 PCRs and refuse a selection of fewer than three bytes. */
const SELECT_BYTES = 3;

/**
 * Reads a TPML_PCR_SELECTION: banks in the order written, indexes ascending. Duplicates and empty
 * banks are kept.
 */
export function readPcrSelection(reader: Reader): TPMS_PCR_SELECTION[] {
  const count = reader.u32();
  if (count > MAX_SELECTIONS) throw reader.fail(`${count} PCR selections`);
  const selection: TPMS_PCR_SELECTION[] = [];
  for (let i = 0; i < count; i++) {
    const hash = reader.u16();
    const pcrs: number[] = [];
    reader.bytes(reader.u8()).forEach((byte, at) => {
      for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) pcrs.push(at * 8 + bit);
    });
    selection.push({ hash, pcrs });
  }
  return selection;
}

/** Encodes a TPML_PCR_SELECTION; PCRs are 0 to 23. */
export function encodePcrSelection(selection: readonly TPMS_PCR_SELECTION[]): Uint8Array {
  const parts = [u32(selection.length)];
  for (const { hash, pcrs } of selection) {
    const bits = new Uint8Array(SELECT_BYTES);
    for (const pcr of pcrs) {
      if (!Number.isInteger(pcr) || pcr < 0 || pcr >= SELECT_BYTES * 8) {
        throw new RangeError(
          `PCR ${pcr} does not exist; they run from 0 to ${SELECT_BYTES * 8 - 1}`,
        );
      }
      const at = pcr >>> 3;
      bits[at] = (bits[at] ?? 0) | (1 << (pcr & 7));
    }
    parts.push(u16(hash), u8(SELECT_BYTES), bits);
  }
  return concat(...parts);
}

/**
 * The pcrDigest of a quote (Part 3 §18.4): the signing scheme's hash over the values in selection
 * order.
 * @throws TpmFormatError for a hash that this project does not know.
 */
export function pcrDigest(hash: number, values: readonly Uint8Array[]): Uint8Array {
  const info = hashById(hash);
  if (!info) throw new TpmFormatError(`Hash 0x${hash.toString(16)} of a quote is not supported.`);
  const digest = createHash(info.name);
  for (const value of values) digest.update(value);
  return new Uint8Array(digest.digest());
}
