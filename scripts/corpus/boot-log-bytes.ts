/** Boot event logs of EVENTS that no reader may take for logs: what is wrong, and why it matters. */
import { concat, TPM_ALG } from "../../test/support/ak.ts";
import { EVENTS, SHIM } from "../../test/support/boots.ts";
import {
  agileEvent,
  agileLog,
  le16,
  le32,
  type MadeEvent,
  measured,
  specId,
  startupLocality,
} from "../../test/support/event-logs.ts";

const ZEROS = new Uint8Array(32);
const ONES = new Uint8Array(32).fill(0xff);
const MOST = 0xffff_ffff;
const whole = agileLog(["sha256"], EVENTS);
const head = specId([[TPM_ALG.sha256, 32]]);
const [first = SHIM, ...rest] = EVENTS;
/** An event whose count of digests, or of data, is another. */
const counted = (count: number): Uint8Array =>
  concat(le32(first.pcr), le32(first.type), le32(count), agileEvent(first).subarray(12));
const sized = (length: number): Uint8Array => {
  const bytes = agileEvent(first);
  const at = bytes.length - first.data.length - 4;
  return concat(bytes.subarray(0, at), le32(length), first.data);
};
/** The event with 20 bytes of its digest. */
const shortened = (event: MadeEvent): Uint8Array => {
  const bytes = agileEvent(event);
  return concat(bytes.subarray(0, 14 + 20), bytes.subarray(14 + 32));
};
const TWO = [
  [TPM_ALG.sha1, 20],
  [TPM_ALG.sha256, 32],
] as const;
const others = concat(...rest.map(agileEvent));

/** Name of the case, what it is about, the log, and published mistakes that it finds. */
export const UNREADABLE: readonly (readonly [string, string, Uint8Array, (readonly string[])?])[] =
  [
    ["boot-log-empty", "The log has no byte.", new Uint8Array()],
    ["boot-log-zeros", "The log is an area of zeros: no event at all.", new Uint8Array(64)],
    ["boot-log-cut", "The log lacks its last byte.", whole.subarray(0, -1)],
    [
      "boot-digest-count",
      "An event counts 2^32-1 digests.",
      concat(head, counted(MOST), others),
      ["go-attestation f877374"],
    ],
    [
      "boot-data-length",
      "An event's data has 2^32-1 bytes, it says.",
      concat(head, sized(MOST), others),
      ["go-attestation becfd07"],
    ],
    [
      "boot-algorithm-count",
      "The Spec ID event counts 2^32-1 algorithms.",
      concat(specId([[TPM_ALG.sha256, 32]], new Uint8Array(), MOST), others),
      ["go-attestation f877374"],
    ],
    [
      "boot-algorithm-size",
      "The Spec ID event gives SHA-256 digests of 20 bytes, and the events carry such.",
      concat(specId([[TPM_ALG.sha256, 20]]), ...EVENTS.map(shortened)),
    ],
    [
      "boot-digest-unannounced",
      "An event carries a digest of an algorithm that the Spec ID event does not announce.",
      concat(head, ...EVENTS.map(agileEvent), agileEvent(measured(4, 8, ZEROS, ["sha1"]))),
    ],
    [
      "boot-digest-twice",
      "An event carries two digests of one bank: which one counts?",
      concat(
        ...[specId(TWO), ...EVENTS.map(agileEvent), le32(4), le32(8), le32(2)],
        ...[le16(TPM_ALG.sha256), ZEROS, le16(TPM_ALG.sha256), ONES, le32(0)],
      ),
    ],
    ["boot-pcr-24", "An event extends PCR 24.", concat(whole, agileEvent(measured(24, 8, ZEROS)))],
    [
      "boot-locality-late",
      "StartupLocality stands behind an event of PCR 0.",
      agileLog(["sha256"], [measured(0, 8, ZEROS), startupLocality(3), ...EVENTS]),
    ],
  ];
