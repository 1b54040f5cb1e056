/**
 * Generated boot event logs against a replay that shares nothing with the core; and any damage to
 * them.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { type Core, CoreError, loadCore } from "../../src/core/index.ts";
import { type Bank, concat } from "../support/ak.ts";
import {
  agileLog,
  EV_NO_ACTION,
  HASH,
  type MadeEvent,
  replayed,
  sha1Event,
  startupLocality,
} from "../support/event-logs.ts";
import { HASHES } from "../support/signatures.ts";

const cores = new Map<string, Core>();
beforeAll(async () => {
  for (const build of ["simd", "scalar", "checked"] as const) {
    cores.set(build, await loadCore({ build }));
  }
});

const banksOf = fc.subarray([...HASHES], { minLength: 1 });

/** An event over some of the banks, its digests those of its data or any others. */
const eventOf = (banks: readonly Bank[]): fc.Arbitrary<MadeEvent> =>
  fc
    .record({
      pcr: fc.nat(23),
      type: fc.oneof(fc.constant(EV_NO_ACTION), fc.nat(20), fc.nat(0xffff_ffff)),
      data: fc.uint8Array({ maxLength: 300 }),
      carried: fc.subarray([...banks]),
      honest: fc.boolean(),
      noise: fc.uint8Array({ minLength: 64, maxLength: 64 }),
    })
    .map(({ pcr, type, data, carried, honest, noise }) => {
      const digest = (bank: Bank) =>
        honest ? HASH[bank](data) : noise.slice(0, HASH[bank].outputLen);
      return { pcr, type, data, digests: Object.fromEntries(carried.map((b) => [b, digest(b)])) };
    });

const logs = fc.record({ banks: banksOf, locality: fc.constantFrom(0, 3, 4) }).chain((head) =>
  fc.record({
    ...{ banks: fc.constant(head.banks), locality: fc.constant(head.locality) },
    events: fc.array(eventOf(head.banks), { maxLength: 40 }),
  }),
);

const isBound = ({ type, data, digests }: MadeEvent): boolean =>
  type !== EV_NO_ACTION &&
  Object.keys(digests).length > 0 &&
  Object.entries(digests).every(([bank, digest]) =>
    Buffer.from(digest).equals(HASH[bank as Bank](data)),
  );

describe.each(["simd", "scalar", "checked"])("%s", (build) => {
  const replay = (log: Uint8Array) => {
    const core = cores.get(build);
    if (core === undefined) throw new Error(`no core ${build}`);
    return core.replayEventLog(log);
  };

  test("crypto-agile logs replay as the oracle does", () => {
    fc.assert(
      fc.property(logs, ({ banks, locality, events }) => {
        const own = replay(agileLog(banks, [startupLocality(locality), ...events]));
        expect(own.pcrs).toEqual(replayed(banks, events, locality));
        expect(own.events.slice(2)).toEqual(
          events.map((event, i) => ({ ...event, index: i + 2, dataBound: isBound(event) })),
        );
      }),
      { numRuns: 60 },
    );
  });

  test("SHA-1 logs replay as the oracle does", () => {
    fc.assert(
      fc.property(fc.array(eventOf(["sha1"]), { minLength: 1, maxLength: 40 }), (made) => {
        const zeros = new Uint8Array(20);
        const events = made.map((event) => ({
          ...event,
          digests: { sha1: zeros, ...event.digests },
        }));
        // A first event of zeros alone is padding.
        const log = concat(
          sha1Event(startupLocality(0)),
          ...events.map(sha1Event),
          Uint8Array.of(0xff),
        );
        const own = replay(log);
        expect(own.paddingBytes).toBe(1);
        expect(own.pcrs).toEqual(replayed(["sha1"], events));
      }),
      { numRuns: 60 },
    );
  });

  test("a log damaged anywhere is replayed or malformed, and never traps", () => {
    fc.assert(
      fc.property(logs, fc.nat(), fc.nat(255), fc.nat(), ({ banks, events }, at, byte, cut) => {
        const log = agileLog(banks, events);
        log[at % log.length] = byte;
        try {
          replay(cut % 3 === 0 ? log.slice(0, cut % log.length) : log);
        } catch (error) {
          if (!(error instanceof CoreError)) throw error;
          expect(error.code).toBe("eventlog.malformed");
        }
      }),
      { numRuns: 300 },
    );
  });
});
