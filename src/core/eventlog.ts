/** Boot event logs: the core replays, this reads its records. */
import { LIMITS } from "../limits.ts";
import { BANK_NAMES, BANKS, type Pcrs } from "./banks.ts";
import { CoreError } from "./errors.ts";
import { type Exports, place, take } from "./instance.ts";
import { ROW, type Row, readRow, recordsOf, registersOf } from "./replay.ts";
import { type HashName, needBytes } from "./signature.ts";

export interface EventLogOptions {
  /**
   * `tcg`, the default: the log of a TPM, in either format, which the log itself tells. `ccel`: a
   * confidential-computing log, whose register field counts measurement registers (0 is MRTD, 1 to
   * 4 are RTMR 0 to 3).
   */
  readonly format?: "tcg" | "ccel";
}

export interface LogEvent {
  readonly index: number;
  readonly pcr: number;
  /** As the log says it: no digest covers the type, so whoever writes the log chooses it. */
  readonly type: number;
  /** Those of the hashes that the core has. */
  readonly digests: { readonly [bank in HashName]?: Uint8Array };
  readonly data: Uint8Array;
  /**
   * Every one of `digests`, at least one, is that of `data`. Never for EV_NO_ACTION, which extends
   * nothing.
   */
  readonly dataBound: boolean;
}

/** What a log says. It is text: only a quote of these PCRs makes it evidence. */
export interface EventLogReplay {
  /** `sha1`: TCG_PCR_EVENT; `agile`: a Spec ID event, then TCG_PCR_EVENT2. */
  readonly format: "sha1" | "agile";
  /** Of each bank that the log has and the core knows, the PCRs that received an extend. */
  readonly pcrs: Pcrs;
  /** Where PCR 0 started, null where the log does not say (it is 0 then). */
  readonly startupLocality: number | null;
  /** TPM_ALG_ID of each bank of the log that the core does not know. */
  readonly unsupportedBanks: readonly number[];
  /** Bytes 0xFF or 0x00 behind the last event. */
  readonly paddingBytes: number;
  /** In their order; the Spec ID event is the first. */
  readonly events: readonly LogEvent[];
}

// The row of an event log, and its records: assembly/replay.ts.
const EVENTS = { agile: 9, locality: 10, padding: 11, banks: 12, unsupported: 13 } as const;
const RECORD_WORDS = 9;
const CCEL = 1;

/**
 * Replays a log, bank by bank. A malformed one gives the error for the caller to throw, since an
 * exception would cost the instance: `eventlog.malformed`, with the offset of the event that does
 * not parse, also for a log that is empty or longer than 1 MiB.
 *
 * @throws CoreError `input` for anything but bytes, or an unknown format.
 */
export function replayEventLog(
  core: Exports,
  log: Uint8Array,
  options: EventLogOptions = {},
): EventLogReplay | CoreError {
  needBytes(log, "A log");
  const { format = "tcg" } = options;
  if (format !== "tcg" && format !== "ccel") {
    throw new CoreError("input", `There is no format "${String(format)}": it is tcg or ccel.`);
  }
  if (log.length > LIMITS.eventLogBytes) {
    const message = `The log has ${log.length} bytes; ${LIMITS.eventLogBytes} are the most.`;
    return new CoreError("eventlog.malformed", message, { offset: LIMITS.eventLogBytes });
  }
  place(core, [log]);
  core.replayEventLog(log.length, format === "ccel" ? CCEL : 0);
  const row = readRow(core);
  if (row(ROW.faulty) !== 0) {
    const offset = row(ROW.offset);
    const message = `The event at byte ${offset} is none of a boot event log.`;
    return new CoreError("eventlog.malformed", message, { offset });
  }
  const unsupported = row(EVENTS.unsupported);
  const locality = row(EVENTS.locality);
  return {
    format: row(EVENTS.agile) === 1 ? "agile" : "sha1",
    pcrs: Object.fromEntries(
      BANK_NAMES.filter((_, i) => row(EVENTS.banks) & (2 << i)).map((bank) => [
        bank,
        registersOf(core, row, bank),
      ]),
    ),
    startupLocality: locality === 0xffff_ffff ? null : locality,
    unsupportedBanks: Array.from({ length: unsupported }, (_, i) =>
      row(EVENTS.unsupported + 1 + i),
    ),
    paddingBytes: row(EVENTS.padding),
    events: readEvents(core, row, log.length),
  };
}

/**
 * Data and digests are copies of what was replayed: the caller's bytes may be another's as well.
 */
function readEvents(core: Exports, row: Row, length: number): LogEvent[] {
  const log = take(core, core.input(), length);
  const words = recordsOf(core, row, RECORD_WORDS);
  const events: LogEvent[] = [];
  for (let at = 0; at < words.length; at += RECORD_WORDS) {
    const [pcr = 0, type = 0, offset = 0, length = 0, bound, ...digests] = words.subarray(
      at,
      at + RECORD_WORDS,
    );
    const carried = BANK_NAMES.flatMap((bank, i) => {
      const from = digests[i] ?? 0;
      return from === 0 ? [] : [[bank, log.slice(from, from + BANKS[bank].bytes)] as const];
    });
    events.push({
      index: events.length,
      pcr,
      type,
      digests: Object.fromEntries(carried),
      data: log.slice(offset, offset + length),
      dataBound: bound === 1,
    });
  }
  return events;
}
