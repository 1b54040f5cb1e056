/**
 * A boot log that replayed before costs nothing again, and changes no verdict: a core that has seen
 * logs in any order says of each what one that has seen none says.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Core, loadCore, type Quote } from "../../src/core/index.ts";
import { LIMITS } from "../../src/limits.ts";
import type { Bank } from "../support/ak.ts";
import { softwareAk } from "../support/ak.ts";
import { EVENTS, pcrsAfter } from "../support/boots.ts";
import { CLOCK } from "../support/domain.ts";
import {
  agileLog,
  EV_SEPARATOR,
  type MadeEvent,
  measured,
  replayed,
} from "../support/event-logs.ts";
import { policyOf } from "../support/tpm-structures.ts";

const seed = Number(process.env.SEED ?? Date.now() % 1e9);
const ak = softwareAk();
const qualifyingData = new Uint8Array(32).fill(7);
const BANKS: readonly (readonly Bank[])[] = [["sha256"], ["sha1", "sha256"], ["sha1"]];

/** Both banks, so that one log serves quotes over either. */
const both = (event: MadeEvent): MadeEvent =>
  measured(event.pcr, event.type, event.data, ["sha1", "sha256"]);
const BOOTS = [
  EVENTS,
  [...EVENTS].reverse(),
  EVENTS.slice(1),
  [...EVENTS, measured(0, EV_SEPARATOR, new Uint8Array(4))],
].map((events) => events.map(both));
const LOGS = BOOTS.map((events) => agileLog(["sha1", "sha256"], events));

function quoteOf(boot: number, banks: number): Quote {
  const quoted = BANKS[banks] ?? ["sha256"];
  const pcrs = pcrsAfter(BOOTS[boot] ?? [], quoted);
  const { attest, signature } = ak.quote({ pcrs, clock: CLOCK, extraData: qualifyingData });
  const values = Object.fromEntries(
    quoted.map((bank) => [bank, Object.fromEntries(pcrs[bank] ?? [])]),
  );
  return {
    publicArea: ak.publicArea,
    ...{ attest, signature, qualifyingData, pcrs: values },
    policy: policyOf(pcrs),
  };
}
const QUOTES = BOOTS.map((_, boot) => BANKS.map((_, banks) => quoteOf(boot, banks)));

/** A log as it is, or with one byte changed, cut, or filled up. */
function logOf({ boot, at, change }: { boot: number; at: number; change: number }): Uint8Array {
  const log = (LOGS[boot] ?? new Uint8Array()).slice();
  const place = at % log.length;
  if (change === 1) log[place] = (log[place] ?? 0) ^ 1;
  if (change === 2) return log.slice(0, place);
  if (change === 3) return new Uint8Array([...log, ...new Uint8Array(at % 40).fill(0xff)]);
  return log;
}

const step = fc.record({
  quoted: fc.nat(BOOTS.length - 1),
  banks: fc.nat(BANKS.length - 1),
  log: fc.record({ boot: fc.nat(BOOTS.length - 1), at: fc.nat(5_000), change: fc.nat(3) }),
});

test("in any order of quotes and logs, changed ones among them", async () => {
  const module = await loadCore({ build: "checked" });
  const fresh = (): Promise<Core> => loadCore({ build: "checked" });
  const known = new Map<string, readonly string[]>();
  let core = module;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), async (steps) => {
      core = await fresh();
      for (const one of steps) {
        const quote = QUOTES[one.quoted]?.[one.banks];
        if (quote === undefined) throw new Error("no such quote");
        const asked = { ...quote, eventLog: logOf(one.log) };
        const key = JSON.stringify(one);
        const alone = known.get(key) ?? (await fresh()).appraiseQuote(asked).codes;
        known.set(key, alone);
        expect(core.appraiseQuote(asked).codes).toEqual(alone);
        expect(core.appraiseQuote(asked).codes).toEqual(alone);
      }
    }),
    { numRuns: 10, seed },
  );
});

test("with an H-CRTM, for quotes of both starts, whichever came first", async () => {
  const hcrtm = measured(0, 0x8000_0010, new TextEncoder().encode("HCRTM"));
  const events = [hcrtm, ...EVENTS];
  const eventLog = agileLog(["sha256"], events);
  const quotes = [0, 4].map((locality) => {
    const boot = pcrsAfter(events).sha256 ?? new Map<number, Uint8Array>();
    const zero = replayed(["sha256"], events, locality).sha256?.[0] ?? new Uint8Array(32);
    const pcrs = { sha256: new Map([...boot, [0, zero]]) };
    const { attest, signature } = ak.quote({ pcrs, clock: CLOCK, extraData: qualifyingData });
    const values = { sha256: Object.fromEntries(pcrs.sha256) };
    const quote = { publicArea: ak.publicArea, attest, signature, qualifyingData, pcrs: values };
    return { ...quote, policy: policyOf(pcrs), eventLog };
  });
  for (const order of [quotes, quotes.toReversed()]) {
    const core = await loadCore({ build: "checked" });
    for (const quote of [...order, ...order]) expect(core.appraiseQuote(quote).codes).toEqual([]);
  }
});

test("that took another's room, as long as it, is known as itself", async () => {
  const core = await loadCore({ build: "checked" });
  // Two of this length fill the room; the third lies where the first did.
  const padded = LOGS.slice(0, 3).map((log) => {
    const whole = new Uint8Array(LIMITS.eventLogBytes).fill(0xff);
    whole.set(log);
    return whole;
  });
  const codesOf = (boot: number, eventLog = new Uint8Array()) => {
    const quote = QUOTES[boot]?.[0];
    if (quote === undefined) throw new Error("no such quote");
    return core.appraiseQuote({ ...quote, eventLog }).codes;
  };
  for (const [boot, log] of padded.entries()) expect(codesOf(boot, log)).toEqual([]);
  expect(codesOf(2, padded[2])).toEqual([]);
  expect(codesOf(0, padded[2])).toEqual(["environment.eventlog-mismatch"]);
});

test("more logs than are kept, and back to the first", async () => {
  const core = await loadCore({ build: "checked" });
  const quote = QUOTES[0]?.[0];
  if (quote === undefined) throw new Error("no such quote");
  const log = LOGS[0] ?? new Uint8Array();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 70; i++) {
      // Filled up to lengths of their own; the last ones are so long that they displace others.
      const filler = new Uint8Array(i < 60 ? i + 1 : 300_000 + i).fill(0xff);
      const eventLog = new Uint8Array([...log, ...filler]);
      expect(core.appraiseQuote({ ...quote, eventLog }).codes).toEqual([]);
      const wrong = eventLog.slice();
      wrong[log.length - 1] = (wrong[log.length - 1] ?? 0) ^ 1;
      const codes = core.appraiseQuote({ ...quote, eventLog: wrong }).codes;
      expect(codes).toEqual(core.appraiseQuote({ ...quote, eventLog: wrong }).codes);
    }
  }
});
