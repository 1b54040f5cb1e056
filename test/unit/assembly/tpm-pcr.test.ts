/** The signed selection, the values under it, and the rules over them. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encode } from "../../../src/wire/cbor.ts";
import type { CborMap } from "../../../src/wire/cbor-value.ts";
import { type Bank, concat, softwareAk, TPM_ALG, u8, u16, u32 } from "../../support/ak.ts";
import { CLOCK } from "../../support/domain.ts";
import { seeded } from "../../support/keys.ts";
import { TpmCore } from "../../support/tpm-core.ts";

const core = await TpmCore.load("checked");
const ak = softwareAk();
const SELECTION = "environment.quote-selection";
const DIGEST = "environment.quote-digest";
const WIDTH = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const;
const value = (bank: Bank, pcr: number): Uint8Array => seeded(`${bank} ${pcr}`, WIDTH[bank]);

const row = (alg: number, select: Uint8Array): Uint8Array =>
  concat(u16(alg), u8(select.length), select);
const bitmap = (pcrs: readonly number[], size = 3): Uint8Array => {
  const bytes = new Uint8Array(size);
  for (const pcr of pcrs) bytes[pcr >> 3] = (bytes[pcr >> 3] ?? 0) | (1 << (pcr & 7));
  return bytes;
};
const list = (...rows: Uint8Array[]): Uint8Array => concat(u32(rows.length), ...rows);

/** Makes this selection the one of the statement in hand. */
function select(selection: Uint8Array, pcrDigest = seeded("none")): string | null {
  core.reset();
  const { attest } = ak.quote({ extraData: u8(1), pcrs: {}, clock: CLOCK, selection, pcrDigest });
  expect(core.parsePublic(ak.publicArea)).toBeNull();
  expect(core.parseAttest(attest)).toBeNull();
  return core.parseSelection();
}

describe("the selection", () => {
  const refused: readonly (readonly [string, Uint8Array])[] = [
    ["none", list()],
    ["an empty bank", list(row(0x000b, bitmap([])))],
    ["an empty bank beside another", list(row(0x000b, bitmap([0])), row(0x0004, bitmap([])))],
    ["a bank without a bitmap", list(row(0x000b, new Uint8Array()))],
    ["a bank twice", list(row(0x000b, bitmap([0])), row(0x000b, bitmap([1])))],
    [
      "a bank twice, not in a row",
      list(row(0x000b, bitmap([0])), row(0x0004, bitmap([1])), row(0x000b, bitmap([0]))),
    ],
    ["SM3-256", list(row(0x0012, bitmap([0])))],
    ["TPM_ALG_NULL", list(row(0x0010, bitmap([0])))],
    [
      "an unknown bank behind a known one",
      list(row(0x000b, bitmap([0])), row(0x0027, bitmap([0]))),
    ],
    ["PCR 24", list(row(0x000b, bitmap([0, 24], 4)))],
    ["PCR 31", list(row(0x000b, bitmap([31], 4)))],
    ["a bitmap of five bytes", list(row(0x000b, bitmap([0], 5)))],
    ["a bitmap of 255 bytes", list(row(0x000b, bitmap([0], 255)))],
    ["five banks", list(...[0x0b, 0x04, 0x0c, 0x0d, 0x12].map((id) => row(id, bitmap([0]))))],
  ];
  test.each(refused)("%s is refused", (_, selection) => {
    expect(select(selection)).toBe(SELECTION);
    // And nothing is awaited or known afterwards.
    expect(core.awaited()).toBeNull();
    expect(core.closeValues()).toBe(DIGEST);
    expect(core.pcrValue(0x000b, 0, 32)).toBeNull();
  });

  test("bitmaps of one to four bytes", () => {
    for (const size of [1, 2, 3, 4]) {
      expect(
        select(list(row(0x000b, bitmap([size * 8 - 8 === 24 ? 23 : size * 8 - 1], size)))),
      ).toBeNull();
    }
  });
});

type Chosen = readonly (readonly [Bank, readonly number[]])[];
const chosen: fc.Arbitrary<Chosen> = fc
  .shuffledSubarray(Object.keys(WIDTH) as Bank[], { minLength: 1 })
  .chain((banks) =>
    fc.tuple(
      ...banks.map((bank) => {
        const pcrs = fc.uniqueArray(fc.nat(23), { minLength: 1 });
        return pcrs.map((indexes) => [bank, indexes.sort((a, b) => a - b)] as const);
      }),
    ),
  );
const valuesOf = (banks: Chosen): Uint8Array[] =>
  banks.flatMap(([bank, pcrs]) => pcrs.map((pcr) => value(bank, pcr)));
const selectionOf = (banks: Chosen): Uint8Array =>
  list(...banks.map(([bank, pcrs]) => row(TPM_ALG[bank], bitmap(pcrs))));
const digestOf = (values: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(
    createHash("sha256")
      .update(concat(...values))
      .digest(),
  );

describe("the values", () => {
  test("are awaited in the order of the selection, and known once bound: property", () => {
    fc.assert(
      fc.property(chosen, (banks) => {
        const values = valuesOf(banks);
        expect(select(selectionOf(banks), digestOf(values))).toBeNull();
        for (const [bank, pcrs] of banks) {
          for (const pcr of pcrs) {
            expect(core.awaited()).toEqual({ bank: TPM_ALG[bank], pcr });
            expect(core.takeValue(value(bank, pcr))).toBe(true);
            expect(core.pcrValue(TPM_ALG[bank], pcr, WIDTH[bank])).toBeNull();
          }
        }
        expect(core.awaited()).toBeNull();
        expect(core.closeValues()).toBeNull();
        for (const bank of Object.keys(WIDTH) as Bank[]) {
          for (let pcr = 0; pcr < 32; pcr++) {
            const selected = banks.some(([name, pcrs]) => name === bank && pcrs.includes(pcr));
            const known = core.pcrValue(TPM_ALG[bank], pcr, WIDTH[bank]);
            expect(known).toEqual(selected ? value(bank, pcr) : null);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test("as a list: exactly these, as many, as wide, in this order: property", () => {
    fc.assert(
      fc.property(chosen, fc.nat(), fc.nat(255), (banks, place, byte) => {
        const values = valuesOf(banks);
        const i = place % values.length;
        const at = (changed: readonly Uint8Array[]) => {
          expect(select(selectionOf(banks), digestOf(values))).toBeNull();
          return core.bindValues(encode(changed));
        };
        expect(at(values)).toBeNull();
        const one = values[i] ?? new Uint8Array();
        const flipped = Uint8Array.from(one, (b, j) => (j === byte % one.length ? b ^ 1 : b));
        expect(at(values.with(i, flipped))).toBe(DIGEST);
        expect(at(values.toSpliced(i, 1))).toBe(DIGEST);
        expect(at(values.toSpliced(i, 0, one))).toBe(DIGEST);
        expect(at(values.with(i, one.subarray(1)))).toBe(DIGEST);
        expect(at(values.with(i, concat(one, u8(0))))).toBe(DIGEST);
        expect(at([...values, one])).toBe(DIGEST);
        expect(at([])).toBe(DIGEST);
        if (values.length > 1) expect(at(values.toReversed())).toBe(DIGEST);
        for (const [bank, pcrs] of banks) {
          for (const pcr of pcrs) expect(core.pcrValue(TPM_ALG[bank], pcr, 20)).toBeNull();
        }
      }),
      { numRuns: 40 },
    );
  });

  test("whose widths move a boundary hash the same, and are refused", () => {
    const banks: Chosen = [["sha256", [0, 1]]];
    const [first = u8(0), second = u8(0)] = valuesOf(banks);
    expect(select(selectionOf(banks), digestOf([first, second]))).toBeNull();
    const moved = [concat(first, second.subarray(0, 1)), second.subarray(1)];
    expect(core.bindValues(encode(moved))).toBe(DIGEST);
  });

  test("fewer than selected bind nothing, whatever pcrDigest is", () => {
    const [first = u8(0), second = u8(0)] = valuesOf([["sha256", [0, 1]]]);
    const selection = selectionOf([["sha256", [0, 1]]]);
    expect(select(selection, digestOf([first]))).toBeNull();
    expect(core.bindValues(encode([first]))).toBe(DIGEST);
    expect(select(selection, digestOf([first, second]))).toBeNull();
    expect(core.takeValue(first)).toBe(true);
    expect(core.closeValues()).toBe(DIGEST);
    expect(core.closeValues()).toBe(DIGEST);
  });

  test("a pcrDigest of another width binds nothing", () => {
    const values = valuesOf([["sha256", [0]]]);
    const selection = selectionOf([["sha256", [0]]]);
    for (const digest of [
      new Uint8Array(),
      digestOf(values).subarray(0, 31),
      concat(digestOf(values), u8(0)),
    ]) {
      expect(select(selection, digest)).toBeNull();
      expect(core.bindValues(encode(values))).toBe(DIGEST);
    }
  });

  test("bytes that are no list bind nothing", () => {
    const values = valuesOf([["sha256", [0]]]);
    const good = encode(values);
    const bad = [
      new Uint8Array(),
      encode(7),
      encode(null),
      concat(good, u8(0)),
      good.subarray(0, 20),
    ];
    for (const bytes of [...bad, concat(Uint8Array.of(0x9b), u32(0xffff_ffff), u32(0xffff_ffff))]) {
      expect(select(selectionOf([["sha256", [0]]]), digestOf(values))).toBeNull();
      expect(core.bindValues(bytes)).toBe(DIGEST);
      expect(core.pcrValue(0x000b, 0, 32)).toBeNull();
    }
  });
});

describe("the rules", () => {
  type Rules = readonly (readonly [
    bank: number,
    readonly (readonly [pcr: number, readonly Uint8Array[]])[],
  ])[];
  const rules = (banks: Rules): Uint8Array => {
    const map: CborMap = new Map(banks.map(([bank, pcrs]) => [bank, new Map(pcrs)]));
    return encode(map);
  };
  const bound: Chosen = [
    ["sha256", [0, 7, 16, 23]],
    ["sha1", [7]],
  ];
  const judge = (bytes: Uint8Array): string | null => {
    expect(select(selectionOf(bound), digestOf(valuesOf(bound)))).toBeNull();
    expect(core.bindValues(encode(valuesOf(bound)))).toBeNull();
    return core.judgePcrs(bytes);
  };
  const other = seeded("other");
  const is = (pcr: number) => value("sha256", pcr);

  const cases: readonly (readonly [string, Rules, string | null])[] = [
    ["met", [[0x0b, [[0, [is(0)]]]]], null],
    ["met by the last alternative", [[0x0b, [[0, [other, seeded("0", 20), is(0)]]]]], null],
    [
      "met in two banks",
      [
        [0x04, [[7, [value("sha1", 7)]]]],
        [0x0b, [[7, [is(7)]]]],
      ],
      null,
    ],
    ["nothing", [], "empty"],
    ["a bank without PCRs", [[0x0b, []]], "empty"],
    [
      "a bank without PCRs beside another",
      [
        [0x04, []],
        [0x0b, [[0, [is(0)]]]],
      ],
      "empty",
    ],
    [
      "PCR 16",
      [
        [
          0x0b,
          [
            [0, [is(0)]],
            [16, [is(16)]],
          ],
        ],
      ],
      "untrusted",
    ],
    ["PCR 23, though not covered", [[0x0c, [[23, [seeded("23", 48)]]]]], "untrusted"],
    [
      "a PCR outside the selection",
      [
        [
          0x0b,
          [
            [0, [is(0)]],
            [1, [is(1)]],
          ],
        ],
      ],
      "uncovered",
    ],
    ["a bank outside the selection", [[0x0c, [[0, [seeded("0", 48)]]]]], "uncovered"],
    ["a bank that is no hash", [[0x10, [[0, [is(0)]]]]], "uncovered"],
    ["a bank that is 0x0b in its low 32 bits", [[2 ** 32 + 0x0b, [[0, [is(0)]]]]], "uncovered"],
    ["a PCR that is 0 in its low 32 bits", [[0x0b, [[2 ** 32, [is(0)]]]]], "uncovered"],
    ["a negative PCR", [[0x0b, [[-1, [is(0)]]]]], "uncovered"],
    ["another value", [[0x0b, [[0, [other]]]]], "mismatch"],
    ["the value of another PCR", [[0x0b, [[0, [is(7)]]]]], "mismatch"],
    ["the value and a byte more", [[0x0b, [[0, [concat(is(0), u8(0))]]]]], "mismatch"],
    ["a prefix of the value", [[0x0b, [[0, [is(0).subarray(0, 20)]]]]], "mismatch"],
    ["no alternative", [[0x0b, [[0, []]]]], "mismatch"],
    [
      "one of two",
      [
        [
          0x0b,
          [
            [0, [is(0)]],
            [7, [other]],
          ],
        ],
      ],
      "mismatch",
    ],
    [
      "a mismatch and a PCR uncovered: the table's order",
      [
        [
          0x0b,
          [
            [0, [other]],
            [1, [other]],
          ],
        ],
      ],
      "uncovered",
    ],
  ];
  test.each(cases)("%s", (_, banks, reason) => {
    expect(judge(rules(banks))).toBe(reason === null ? null : `environment.pcr-${reason}`);
  });

  test("no cut holds, nothing may trail", () => {
    const bytes = rules([
      [
        0x0b,
        [
          [0, [is(0)]],
          [7, [is(7)]],
        ],
      ],
    ]);
    expect(judge(bytes)).toBeNull();
    for (let length = 0; length < bytes.length; length++) {
      expect(judge(bytes.subarray(0, length))).not.toBeNull();
    }
    expect(judge(concat(bytes, u8(0)))).toBe("environment.pcr-empty");
  });

  test("without bound values nothing holds", () => {
    const bytes = rules([[0x0b, [[0, [is(0)]]]]]);
    expect(select(selectionOf(bound), digestOf(valuesOf(bound)))).toBeNull();
    expect(core.judgePcrs(bytes)).toBe("environment.pcr-uncovered");
    expect(core.bindValues(encode([]))).toBe(DIGEST);
    expect(core.judgePcrs(bytes)).toBe("environment.pcr-uncovered");
  });

  test("an all-zero reference value is met by an all-zero PCR alone", () => {
    const zero = new Uint8Array(32);
    const banks: Chosen = [["sha256", [0, 1]]];
    const values = [zero, is(1)];
    const read = (pcr: number): string | null => {
      expect(select(selectionOf(banks), digestOf(values))).toBeNull();
      expect(core.bindValues(encode(values))).toBeNull();
      return core.judgePcrs(rules([[0x0b, [[pcr, [zero]]]]]));
    };
    expect(read(0)).toBeNull();
    expect(read(1)).toBe("environment.pcr-mismatch");
    expect(read(2)).toBe("environment.pcr-uncovered");
  });
});
