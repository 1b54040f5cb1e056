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
   * Bytes of a template digest in this list: 20 in `binary_runtime_measurements`, else those of the bank whose file it
   * is. The format does not say; absent, the first entry is asked, where the name of its template stands.
   */
  readonly templateDigestBytes?: 20 | 32 | 48 | 64;
  /** Kernels before 5.8 extended every other bank with SHA-1, filled up with zeros: replay that. */
  readonly zeroPadded?: boolean;
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
  /** The PCRs that received an extend, from the data of the entries: the template digests in the list have no say. */
  readonly pcrs: { readonly [index: number]: Uint8Array };
  /** Bytes of an incomplete entry at the end. */
  readonly bytesLeft: number;
}

// The row of an IMA list: assembly/replay.ts.
const LIST = { entries: 9, violations: 10, padded: 11, bytesLeft: 12, templates: 13 } as const;
const TEMPLATE = 14;
const TEMPLATE_WORDS = 3;
const ZERO_PADDED = 1;
const DIGEST_BYTES: readonly unknown[] = [20, 32, 48, 64];

/**
 * Replays a list in one bank, up to the last complete entry. A malformed one (a PCR, a template name or a legacy file name
 * that cannot be, more than 16 templates, more than 8 MiB) gives the error for the caller to throw, since an exception
 * would cost the instance: `ima.malformed`, with an offset.
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
  const { bank, templateDigestBytes, zeroPadded } = options;
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
  return {
    entries: row(LIST.entries),
    violations: row(LIST.violations),
    mismatches: [...recordsOf(core, row, 1)],
    zeroPadded: row(LIST.padded),
    templates: readTemplates(core, row),
    pcrs: registersOf(core, row, bank),
    bytesLeft: row(LIST.bytesLeft),
  };
}

/** Names are printable ASCII, as the core made sure. */
function readTemplates(core: Exports, row: Row): Record<string, number> {
  const rows = Array.from({ length: row(LIST.templates) }, (_, i) => {
    const at = TEMPLATE + i * TEMPLATE_WORDS;
    const name = take(core, core.input() + row(at), row(at + 1));
    return [String.fromCharCode(...name), row(at + 2)] as const;
  });
  return Object.fromEntries(rows);
}
