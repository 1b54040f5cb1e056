/**
 * IMA lists made by hand: the rules of replay one by one, generated lists, and what hostile bytes
 * may not do.
 */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { type Core, CoreError, type ImaOptions, loadCore } from "../../../src/core/index.ts";
import { LIMITS } from "../../../src/limits.ts";
import { concat } from "../../support/ak.ts";
import { HASH, le32 } from "../../support/event-logs.ts";
import {
  encodeEntry,
  encodeList,
  fields,
  legacyEntry,
  type MadeEntry,
  ngEntry,
  replayedIma,
  TEMPLATES,
} from "../../support/ima-lists.ts";
import { HASHES } from "../../support/signatures.ts";

let core: Core;
beforeAll(async () => {
  core = await loadCore({ build: "checked" });
});

const entryOf: fc.Arbitrary<MadeEntry> = fc
  .record({
    pcr: fc.oneof(fc.constant(10), fc.nat(23)),
    template: fc.constantFrom(...TEMPLATES, "d-ng|n-ng|iuid"),
    data: fc.uint8Array({ maxLength: 200 }),
    digest: fc.constantFrom(...(["own", "own", "own", "zero", "padded", "wrong"] as const)),
  })
  .map((entry) => {
    // The legacy template has a file digest, and a name that ends where its zeros would begin.
    const digest = HASH.sha1(entry.data);
    return entry.template === "ima" ? { ...entry, data: concat(digest, entry.data) } : entry;
  });

const faultOf = (list: Uint8Array, options: ImaOptions = { bank: "sha256" }): number | null => {
  try {
    core.replayIma(list, options);
    return null;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    expect(error.code).toBe("ima.malformed");
    return error.offset ?? -1;
  }
};

describe("generated lists", () => {
  test("replay as the oracle does, in every bank and with template digests of every width", () => {
    fc.assert(
      fc.property(
        fc.array(entryOf, { maxLength: 30 }),
        fc.constantFrom(...HASHES),
        fc.constantFrom(...HASHES),
        fc.boolean(),
        (entries, bank, stored, zeroPadded) => {
          const templateDigestBytes = HASH[stored].outputLen as 20;
          const list = encodeList(entries, stored);
          const replay = core.replayIma(list, { bank, templateDigestBytes, zeroPadded });
          const indexes = (kind: MadeEntry["digest"]) =>
            entries.flatMap(({ digest }, i) => (digest === kind ? [i] : []));
          // SHA-1 filled up to 20 bytes is SHA-1.
          const padded = stored === "sha1" ? 0 : indexes("padded").length;
          expect(replay).toMatchObject({
            entries: entries.length,
            violations: indexes("zero").length,
            mismatches: indexes("wrong"),
            zeroPadded: padded,
            bytesLeft: 0,
          });
          expect(replay.pcrs).toEqual(replayedIma(entries, bank, zeroPadded));
          const templates: Record<string, number> = {};
          for (const { template } of entries) templates[template] = (templates[template] ?? 0) + 1;
          expect(replay.templates).toEqual(templates);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("damaged anywhere are replayed or malformed, and never trap", () => {
    fc.assert(
      fc.property(
        fc.array(entryOf, { minLength: 1, maxLength: 10 }),
        fc.nat(),
        fc.nat(255),
        (entries, at, byte) => {
          const list = encodeList(entries);
          list[at % list.length] = byte;
          faultOf(list);
          faultOf(list, { bank: "sha1", templateDigestBytes: 64 });
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("template digests", () => {
  const entries = [legacyEntry("/bin/true"), ngEntry("/bin/sh"), ngEntry("/bin/ls", "wrong")];

  test("have no say in what is replayed", () => {
    const honest = entries.map((entry) => ({ ...entry, digest: "own" as const }));
    const own = core.replayIma(encodeList(entries), { bank: "sha256" });
    const other = core.replayIma(encodeList(honest), { bank: "sha256" });
    expect(own.pcrs).toEqual(other.pcrs);
    expect([own.mismatches, other.mismatches]).toEqual([[2], []]);
  });

  test.each(HASHES)("as wide as %s are found by the first entry", (stored) => {
    const list = encodeList(entries, stored);
    expect(core.replayIma(list, { bank: "sha384" }).pcrs).toEqual(replayedIma(entries, "sha384"));
  });

  test("all zero are violations, and extend 0xFF", () => {
    const list = encodeList([ngEntry("/tmp/x", "zero")]);
    const { violations, pcrs } = core.replayIma(list, { bank: "sha256" });
    expect(violations).toBe(1);
    expect(pcrs[10]).toEqual(HASH.sha256(concat(new Uint8Array(32), new Uint8Array(32).fill(255))));
  });
});

describe("an incomplete entry", () => {
  const whole = [ngEntry("/bin/sh"), legacyEntry("/bin/true")];
  test("ends the list, wherever it is cut", () => {
    const last = ngEntry("/usr/bin/env");
    const list = encodeList([...whole, last]);
    const bytes = encodeEntry(last).length;
    for (let left = 1; left < bytes; left++) {
      const replay = core.replayIma(list.subarray(0, list.length - bytes + left), {
        bank: "sha256",
      });
      expect([replay.entries, replay.bytesLeft]).toEqual([2, left]);
      expect(replay.pcrs).toEqual(replayedIma(whole, "sha256"));
    }
    expect(core.replayIma(list, { bank: "sha256" })).toMatchObject({ entries: 3, bytesLeft: 0 });
  });

  test("may claim any length", () => {
    const head = concat(le32(10), new Uint8Array(20).fill(1));
    for (const length of [0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0]) {
      const list = concat(head, fields(Buffer.from("ima-ng")), le32(length), new Uint8Array(8));
      const replay = core.replayIma(list, { bank: "sha256" });
      expect([replay.entries, replay.bytesLeft]).toEqual([0, list.length]);
    }
  });

  test("of no bytes is no entry: an empty list replays to nothing", () => {
    const replay = core.replayIma(new Uint8Array(), { bank: "sha1" });
    expect(replay).toMatchObject({ entries: 0, bytesLeft: 0, pcrs: {}, templates: {} });
  });
});

describe("what no kernel writes is malformed", () => {
  const good = encodeEntry(ngEntry("/bin/sh"));
  const named = (name: string) => encodeEntry({ ...ngEntry("/bin/sh"), template: name });
  const long = { ...legacyEntry("x"), data: new Uint8Array(20 + 256) };
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ["PCR 24", encodeEntry({ ...ngEntry("/bin/sh"), pcr: 24 })],
    ["PCR 2^32 - 1", encodeEntry({ ...ngEntry("/bin/sh"), pcr: 0xffff_ffff })],
    ["a template without a name", named("")],
    ["a name of 256 bytes", named("x".repeat(256))],
    ["a name with a line break", named("ima\n")],
    ["a name that does not end its text", named("ima-ng\0")],
    ["a legacy name of 256 bytes", encodeEntry(long)],
  ];
  test.each(cases)("%s", (_, entry) => {
    expect(faultOf(concat(good, entry, good))).toBe(good.length);
  });

  test("and the longest names that it writes are none", () => {
    const path = `/${"x".repeat(254)}`;
    const { templates } = core.replayIma(
      concat(named("y".repeat(255)), encodeEntry(legacyEntry(path))),
      {
        bank: "sha1",
      },
    );
    expect(templates).toEqual({ ["y".repeat(255)]: 1, ima: 1 });
  });

  test("a seventeenth template", () => {
    const names = Array.from({ length: 17 }, (_, i) => `t${i}`);
    expect(faultOf(concat(...names.slice(1).map(named)))).toBeNull();
    expect(faultOf(concat(...names.map(named)))).not.toBeNull();
  });

  test("a byte more than 8 MiB", () => {
    expect(faultOf(new Uint8Array(LIMITS.imaBytes + 1))).toBe(LIMITS.imaBytes);
  });
});

test("the largest list is read, every entry a mismatch", () => {
  const entry = encodeEntry({ pcr: 10, template: "x", data: new Uint8Array(), digest: "wrong" });
  const count = Math.floor(LIMITS.imaBytes / entry.length);
  const list = new Uint8Array(count * entry.length);
  for (let i = 0; i < count; i++) list.set(entry, i * entry.length);
  const replay = core.replayIma(list, { bank: "sha1" });
  expect(replay.mismatches).toHaveLength(count);
  expect(replay.mismatches.at(-1)).toBe(count - 1);
});

test("entries are given where they are asked for, as copies", () => {
  const made = [legacyEntry("/bin/true"), ngEntry("/bin/sh", "zero"), ngEntry("/bin/ls", "wrong")];
  const bytes = encodeList(made, "sha256");
  expect(core.replayIma(bytes, { bank: "sha1" }).list).toBeUndefined();
  const { list } = core.replayIma(bytes, { bank: "sha1", withEntries: true });
  bytes.fill(0xaa);
  const legacy = concat(HASH.sha1(Buffer.from("/bin/true")), fields(Buffer.from("/bin/true")));
  const digest = HASH.sha256(
    concat(HASH.sha1(Buffer.from("/bin/true")), Buffer.from("/bin/true"), new Uint8Array(247)),
  );
  const [first, second, third] = list ?? [];
  expect(first).toEqual({
    ...{ index: 0, pcr: 10, template: "ima", templateDigest: digest, data: legacy },
    ...{ violation: false, mismatch: false },
  });
  expect(second).toMatchObject({ index: 1, data: made[1]?.data, violation: true, mismatch: false });
  expect(third).toMatchObject({ index: 2, template: "ima-ng", violation: false, mismatch: true });
});

test("a template may be called __proto__", () => {
  const list = encodeEntry({ ...ngEntry("/bin/sh"), template: "__proto__" });
  const { templates } = core.replayIma(list, { bank: "sha1" });
  expect(Object.entries(templates)).toEqual([["__proto__", 1]]);
});

test("wrong arguments are named", () => {
  const input = expect.objectContaining({ code: "input" });
  const call = (list: unknown, options: unknown) => () =>
    core.replayIma(list as Uint8Array, options as ImaOptions);
  expect(call("", { bank: "sha256" })).toThrow(input);
  expect(call(new Uint8Array(), { bank: "md5" })).toThrow(input);
  expect(call(new Uint8Array(), { bank: "sha1", templateDigestBytes: 16 })).toThrow(input);
  expect(call(new Uint8Array(), undefined)).toThrow(input);
});
