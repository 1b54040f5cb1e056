/** What a reference policy compares: PCR values, and rules over the events of a boot log. */
import { LIMITS } from "../limits.ts";
import {
  byBytes,
  bytes,
  choice,
  claims,
  field as fieldOf,
  list,
  mapOf,
  nullable,
  type Of,
  optional,
  type Shape,
  tuple,
  uint,
  where,
} from "./schema.ts";
import { ident } from "./shapes.ts";

/** What stands for one PCR, in each bank (TPM_ALG_ID, TPM 2.0 Part 2 §6.3) that we judge. */
function inBanks<T>(shape: (digestBytes: number) => Shape<T>) {
  const pcrs = (digestBytes: number) => mapOf(uint(0, 23), shape(digestBytes), { min: 1, max: 24 });
  const banks = claims({
    sha1: optional(0x0004, pcrs(20)),
    sha256: optional(0x000b, pcrs(32)),
    sha384: optional(0x000c, pcrs(48)),
    sha512: optional(0x000d, pcrs(64)),
  });
  return where(banks, (value) =>
    Object.keys(value).length > 0 ? null : "names no PCR: nothing would be compared",
  );
}

/** The values that each PCR may have. */
export const pcrValues = inBanks((digestBytes) =>
  list(bytes([digestBytes]), { min: 1, max: LIMITS.choices }),
);

/** Whether the boot must have such an event, or only may. */
const need = choice({ allowed: 0, required: 1 });
const big32 = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff);

/**
 * The events that a PCR may have been extended with; any other denies. A digest is compared as it
 * was extended, whatever the log says of type and data. A variable's data must be proven by the
 * digest, and so must the data of every type that promises it (assembly/measure/event-data.ts).
 */
const eventRules = (digestBytes: number) =>
  tuple({
    /** none: a separator is an event like any other. one: exactly one, and no error. */
    separator: choice({ none: 0, one: 1 }),
    /** Events by digest, in the author's order: one of `digests` satisfies the need. */
    events: list(
      tuple({
        need,
        digests: list(bytes([digestBytes]), { min: 1, max: LIMITS.eventDigests, order: byBytes }),
        /** What people call it, such as the text behind the digest. Never judged. */
        label: nullable(fieldOf(1, LIMITS.fieldBytes)),
      }),
      { max: LIMITS.eventRules },
    ),
    /** UEFI variables of any value. */
    variables: list(tuple({ need, guid: bytes([16]), name: ident }), {
      max: LIMITS.eventVariables,
      order: ({ guid, name }) => new Uint8Array([...guid, ...new TextEncoder().encode(name)]),
    }),
    /** Any event that the log gives this type. */
    types: list(uint(0, 2 ** 32 - 1), { max: LIMITS.eventTypes, order: big32 }),
  });

/** PCR 10 is IMA's, and any program can reset 16 and 23 (PTP §4.6): no boot log explains them. */
const NO_BOOT_PCRS = [10, 16, 23];

/** What the boot log's events may be, by bank and PCR. */
export const eventLogRules = where(inBanks(eventRules), (banks) => {
  const pcr = NO_BOOT_PCRS.find((one) => Object.values(banks).some((pcrs) => pcrs?.has(one)));
  return pcr === undefined ? null : `no boot log explains PCR ${pcr}`;
});
export type EventLogRules = Of<typeof eventLogRules>;
export type PcrEventRules = Of<ReturnType<typeof eventRules>>;

/** Whether the rules demand anything: an empty log satisfies rules that only allow. */
export function demands(rules: EventLogRules): boolean {
  return Object.values(rules).some((pcrs) =>
    [...(pcrs?.values() ?? [])].some(
      ({ separator, events, variables }) =>
        separator === "one" || [...events, ...variables].some(({ need }) => need === "required"),
    ),
  );
}
