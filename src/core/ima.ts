/** IMA measurement lists: the core replays, this reads what it found. */
import { LIMITS } from "../limits.ts";
import { CoreError } from "./errors.ts";
import { type Exports, place, take } from "./instance.ts";
import { ROW, type Row, readRow, recordsOf, registersOf } from "./replay.ts";
import { type HashName, hashId, needBytes } from "./signature.ts";

export interface ImaOptions {
  /** The bank to replay. */
  readonly bank: HashName;
  /**
   * Bytes of a template digest in this list: 20 in `binary_runtime_measurements`, else those of the
   * bank whose file it is. The format does not say; absent, the first entry is asked, where the
   * name of its template stands.
   */
  readonly templateDigestBytes?: 20 | 32 | 48 | 64;
  /** Kernels before 5.8 extended every other bank with SHA-1, filled up with zeros: replay that. */
  readonly zeroPadded?: boolean;
  /** Give the entries themselves as well. */
  readonly withEntries?: boolean;
}

export interface ImaEntry {
  readonly index: number;
  readonly pcr: number;
  readonly template: string;
  /** As the list says. */
  readonly templateDigest: Uint8Array;
  /** The template data as it stands in the list: of the legacy template SHA-1, length and name. */
  readonly data: Uint8Array;
  /** The template digest is all zero: the file changed while it was measured. */
  readonly violation: boolean;
  /** The template digest is not that of the data. */
  readonly mismatch: boolean;
}

/** What a list says. It is text: only a quote of these PCRs makes it evidence. */
export interface ImaReplay {
  readonly entries: number;
  /** Entries of files that changed while they were measured. */
  readonly violations: number;
  /** Indexes of the entries whose template digest is not that of their data, violations apart. */
  readonly mismatches: readonly number[];
  /** Entries whose template digest is the SHA-1 of their data, filled up with zeros. */
  readonly zeroPadded: number;
  /** Entries by the name of their template. */
  readonly templates: Readonly<Record<string, number>>;
  /**
   * The PCRs that received an extend, from the data of the entries: the template digests in the
   * list have no say.
   */
  readonly pcrs: { readonly [index: number]: Uint8Array };
  /** Bytes of an incomplete entry at the end. */
  readonly bytesLeft: number;
  /** Where `withEntries` asked for it: every entry, in its order. */
  readonly list?: readonly ImaEntry[];
}

// The row of an IMA list: assembly/replay.ts.
const LIST = { bytesLeft: 9, digestBytes: 10, templates: 11 } as const;
const TEMPLATE = 12;
const TEMPLATE_WORDS = 3;
const RECORD_WORDS = 6;
const FLAGS = 5;
const VIOLATION = 1;
const MISMATCH = 2;
const PADDED = 4;
const ZERO_PADDED = 1;
const DIGEST_BYTES: readonly unknown[] = [20, 32, 48, 64];

/**
 * Replays a list in one bank, up to the last complete entry. A malformed one (a PCR, a template
 * name or a legacy file name that cannot be, more than 16 templates, more than 8 MiB) gives the
 * error for the caller to throw, since an exception would cost the instance: `ima.malformed`, with
 * an offset.
 *
 * @throws CoreError `input` for anything but bytes, an unknown bank, or another length of digests.
 */
export function replayIma(
  core: Exports,
  list: Uint8Array,
  options: ImaOptions,
): ImaReplay | CoreError {
  needBytes(list, "A list");
  if (typeof options !== "object" || options === null) {
    throw new CoreError("input", "The bank to replay is missing.");
  }
  const { bank, templateDigestBytes, zeroPadded, withEntries } = options;
  const id = hashId(bank);
  if (templateDigestBytes !== undefined && !DIGEST_BYTES.includes(templateDigestBytes)) {
    throw new CoreError("input", "templateDigestBytes is 20, 32, 48 or 64.");
  }
  if (list.length > LIMITS.imaBytes) {
    const message = `The list has ${list.length} bytes; ${LIMITS.imaBytes} are the most.`;
    return new CoreError("ima.malformed", message, { offset: LIMITS.imaBytes });
  }
  place(core, [list]);
  core.replayIma(list.length, id, templateDigestBytes ?? 0, zeroPadded === true ? ZERO_PADDED : 0);
  const row = readRow(core);
  if (row(ROW.faulty) !== 0) {
    const offset = row(ROW.offset);
    const message = `What stands at byte ${offset} is no entry of an IMA list.`;
    return new CoreError("ima.malformed", message, { offset });
  }
  const records = recordsOf(core, row, RECORD_WORDS);
  return {
    entries: row(ROW.count),
    violations: flagged(records, VIOLATION).length,
    mismatches: flagged(records, MISMATCH),
    zeroPadded: flagged(records, PADDED).length,
    templates: readTemplates(core, row),
    pcrs: registersOf(core, row, bank),
    bytesLeft: row(LIST.bytesLeft),
    ...(withEntries === true ? { list: readEntries(core, row, list.length) } : {}),
  };
}

/** Indexes of the entries that have a flag. */
function flagged(records: Uint32Array, flag: number): number[] {
  const indexes: number[] = [];
  for (let at = FLAGS; at < records.length; at += RECORD_WORDS) {
    if ((records[at] ?? 0) & flag) indexes.push((at - FLAGS) / RECORD_WORDS);
  }
  return indexes;
}

/** Copies of what was replayed. */
function readEntries(core: Exports, row: Row, length: number): ImaEntry[] {
  const list = take(core, core.input(), length);
  const records = recordsOf(core, row, RECORD_WORDS);
  return Array.from({ length: row(ROW.count) }, (_, index) => {
    const at = index * RECORD_WORDS;
    const [pcr = 0, name = 0, nameBytes = 0, data = 0, dataBytes = 0, flags = 0] = records.subarray(
      at,
      at + RECORD_WORDS,
    );
    // Between the template digest and the name stands the name's length.
    const digestEnd = name - 4;
    return {
      index,
      pcr,
      template: text(list.subarray(name, name + nameBytes)),
      templateDigest: list.slice(digestEnd - row(LIST.digestBytes), digestEnd),
      data: list.slice(data, data + dataBytes),
      violation: (flags & VIOLATION) !== 0,
      mismatch: (flags & MISMATCH) !== 0,
    };
  });
}

/** Printable ASCII, as the core made sure. */
const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

function readTemplates(core: Exports, row: Row): Record<string, number> {
  const rows = Array.from({ length: row(LIST.templates) }, (_, i) => {
    const at = TEMPLATE + i * TEMPLATE_WORDS;
    const name = take(core, core.input() + row(at), row(at + 1));
    return [text(name), row(at + 2)] as const;
  });
  return Object.fromEntries(rows);
}
