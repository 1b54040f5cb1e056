/** The answer of a replay, whatever was replayed: assembly/replay.ts. */
import { BANK_NAMES, BANKS, PCRS } from "./banks.ts";
import { type Exports, take } from "./instance.ts";
import type { HashName } from "./signature.ts";

export const ROW = { faulty: 0, offset: 1, values: 2, records: 3, count: 4, extended: 5 } as const;
const ROW_BYTES = 256;
const VALUE_BYTES = 64;

/** The answer of a replay: u32 by their places. */
export type Row = (place: number) => number;

export function readRow(core: Exports): Row {
  const view = new DataView(take(core, core.replay(), ROW_BYTES).buffer);
  return (place) => view.getUint32(place * 4, true);
}

/** The PCRs of a bank that received an extend. */
export function registersOf(
  core: Exports,
  row: Row,
  bank: HashName,
): { [index: number]: Uint8Array } {
  const hash = BANK_NAMES.indexOf(bank);
  const extended = row(ROW.extended + hash);
  const indexes = Array.from({ length: PCRS }, (_, i) => i).filter((i) => extended & (1 << i));
  const at = row(ROW.values) + hash * PCRS * VALUE_BYTES;
  return Object.fromEntries(
    indexes.map((i) => [i, take(core, at + i * VALUE_BYTES, BANKS[bank].bytes)]),
  );
}

/** `count` words out of the records. */
export function recordsOf(core: Exports, row: Row, words: number): Uint32Array {
  return new Uint32Array(core.memory.buffer, row(ROW.records), row(ROW.count) * words);
}
