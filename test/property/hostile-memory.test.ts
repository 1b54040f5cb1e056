/**
 * What a hostile log, list, policy or case claims of itself costs no memory: the core's stays as large
 * as it was made, and what comes out of it is bounded by the bytes that went in.
 */
import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { appraiseQuote } from "../../src/core/appraise.ts";
import { CoreError } from "../../src/core/errors.ts";
import { replayEventLog } from "../../src/core/eventlog.ts";
import { replayIma } from "../../src/core/ima.ts";
import { type Exports, place } from "../../src/core/instance.ts";
import { readVerdict } from "../../src/core/verdict.ts";
import { LIMITS } from "../../src/limits.ts";
import { decode, encode } from "../../src/wire/cbor.ts";
import type { CborMap } from "../../src/wire/cbor-value.ts";
import { encodePlain } from "../../src/wire/objects.ts";
import { concat, TPM_ALG } from "../support/ak.ts";
import { EVENTS, pcrsAfter } from "../support/boots.ts";
import { agileEvent, agileLog, le32, specId } from "../support/event-logs.ts";
import { encodeList, legacyEntry, ngEntry } from "../support/ima-lists.ts";
import { acceptedQuote } from "../support/tpm-structures.ts";
import { makeWorld } from "../support/world.ts";

const module = new WebAssembly.Module(readFileSync("src/core/wasm/core.simd.wasm"));
let core: Exports;
let bytesBefore: number;
beforeEach(() => {
  core = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  bytesBefore = core.memory.buffer.byteLength;
});
const unchanged = (): void => expect(core.memory.buffer.byteLength).toBe(bytesBefore);

/** Lengths and counts that wrap, turn negative, or lie far beyond what there is. */
const CLAIMS = [0xffff_ffff, 0xffff_fff0, 0x8000_0000, 0x7fff_ffff];
const AGILE = specId([[TPM_ALG.sha256, 32]]);
/** No event is smaller: no digest, no data. */
const SMALLEST = concat(le32(1), le32(8), le32(0), le32(0));
const repeated = (part: Uint8Array, bytes: number, head: Uint8Array = new Uint8Array()) => {
  const all = new Uint8Array(bytes);
  all.set(head);
  for (let at = head.length; at + part.length <= bytes; at += part.length) all.set(part, at);
  return all;
};
/** The bytes with each word of four replaced by each of the claims. */
function* claimed(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at + 4 <= bytes.length; at++) {
    for (const claim of CLAIMS) {
      const changed = bytes.slice();
      changed.set(le32(claim), at);
      yield changed;
    }
  }
}

const LOGS: readonly (readonly [string, Uint8Array])[] = [
  ["zeros", new Uint8Array(LIMITS.eventLogBytes)],
  ["ones", new Uint8Array(LIMITS.eventLogBytes).fill(0xff)],
  ["the smallest events", repeated(SMALLEST, LIMITS.eventLogBytes, AGILE)],
  ["Spec ID events, one after another", repeated(AGILE, LIMITS.eventLogBytes)],
  ["a log of 64 MiB", new Uint8Array(67_108_864).fill(1)],
];
const LISTS: readonly (readonly [string, Uint8Array])[] = [
  ["zeros", new Uint8Array(LIMITS.imaBytes)],
  ["ones", new Uint8Array(LIMITS.imaBytes).fill(0xff)],
  ["the smallest entries", repeated(smallestEntry(), LIMITS.imaBytes)],
  ["legacy entries", repeated(encodeList([legacyEntry("/a")]), LIMITS.imaBytes)],
  ["a list of 64 MiB", new Uint8Array(67_108_864).fill(1)],
];

function smallestEntry(): Uint8Array {
  return concat(le32(10), new Uint8Array(20).fill(1), le32(1), Uint8Array.of(0x78), le32(0));
}

const appraised = (logs: { eventLog?: Uint8Array; ima?: Uint8Array }) => {
  const quote = acceptedQuote({ request: { pcrs: pcrsAfter(EVENTS) } });
  return appraiseQuote(core, { ...quote, ...logs }).ok;
};

describe("a boot event log", () => {
  test.each(LOGS)("of %s", (_, eventLog) => {
    const replay = replayEventLog(core, eventLog);
    if (!(replay instanceof CoreError)) {
      expect(replay.events.length).toBeLessThanOrEqual(eventLog.length / SMALLEST.length);
    }
    expect(appraised({ eventLog })).toBe(false);
    unchanged();
  });

  test("whose every word claims to be long", () => {
    const log = concat(AGILE, ...EVENTS.slice(0, 2).map(agileEvent));
    for (const eventLog of claimed(log)) {
      replayEventLog(core, eventLog);
      replayEventLog(core, eventLog, { format: "ccel" });
    }
    for (const eventLog of claimed(agileLog(["sha256"], EVENTS.slice(0, 1))))
      appraised({ eventLog });
    unchanged();
  });
});

describe("an IMA list", () => {
  test.each(LISTS)("of %s", (_, ima) => {
    const replay = replayIma(core, ima, { bank: "sha256", withEntries: true });
    if (!(replay instanceof CoreError)) {
      expect(replay.list?.length).toBeLessThanOrEqual(ima.length / smallestEntry().length);
    }
    expect(appraised({ ima })).toBe(false);
    unchanged();
  });

  test("whose every word claims to be long", () => {
    for (const ima of claimed(encodeList([ngEntry("/bin/a"), legacyEntry("/b")]))) {
      replayIma(core, ima, { bank: "sha1" });
      appraised({ ima });
    }
    unchanged();
  });
});

describe("a policy, or a case", async () => {
  const world = makeWorld();
  const whole = await world.caseBytes();
  const decide = (bytes: Uint8Array): void => {
    place(core, [bytes]);
    core.decide(bytes.length, 1);
  };
  const nested = (byte: number, bytes: number) => new Uint8Array(bytes).fill(byte);

  test.each([
    ["arrays in arrays", 0x81],
    ["maps in maps", 0xa1],
    ["tags", 0xc6],
    ["arrays of 2^64-1 items", 0x9b],
    ["bytes of 2^64-1", 0x5b],
    ["breaks", 0xff],
  ])("of %s without end", (_, byte) => {
    const policy = nested(byte, LIMITS.policyBytes);
    expect(appraiseQuote(core, { ...acceptedQuote(), policy }).codes).toContain("policy.malformed");
    decide(nested(byte, LIMITS.caseBytes));
    decide(concat(whole.subarray(0, 300), nested(byte, 1_000_000)));
    unchanged();
  });

  test("whose length leads back, around the end of the memory, into what a charter holds", async () => {
    const { evidenceBytes, context } = await world.build();
    const evidence = decode(evidenceBytes) as CborMap;
    const rest = [...evidence].filter(([key]) => Number(key) > 2);
    // Read a second time: the rest of the evidence, and a result up to the end of the case.
    const entries = rest.flatMap(([key, value]) => [encode(key), encode(value)]);
    const again = concat(...entries, Uint8Array.of(0x46));
    const back = again.length + 6;
    const bytes = concat(
      Uint8Array.of(0x84, 1),
      encodePlain("context", context),
      Uint8Array.of(0xad, 1, 0x81),
      encode(again),
      Uint8Array.of(2, 0x5a),
      le32(2 ** 32 - back).reverse(),
    );
    decide(bytes);
    expect(readVerdict(core, bytes).code).toBe("internal.case");
    unchanged();
  });

  test("cut, and with heads that claim to be long", () => {
    for (let at = 0; at < whole.length; at += 13) {
      decide(
        concat(whole.subarray(0, at), Uint8Array.of(0x9b), nested(0xff, 8), whole.subarray(at)),
      );
      decide(
        concat(whole.subarray(0, at), Uint8Array.of(0x5a), nested(0xff, 4), whole.subarray(at)),
      );
    }
    unchanged();
  });
});
