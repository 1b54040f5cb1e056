import { describe, expect, test } from "vitest";
import { decode, decodeTagged, encode, encodeTagged } from "../../../src/wire/cbor.ts";
import type { CborValue } from "../../../src/wire/cbor-value.ts";
import { hex, refusal, unhex } from "../../support/wire.ts";

const nested = (levels: number): CborValue => (levels === 0 ? 0 : [nested(levels - 1)]);

describe("accepted, both ways", () => {
  const rows: [string, CborValue][] = [
    ["00", 0],
    ["17", 23],
    ["1818", 24],
    ["18ff", 255],
    ["190100", 256],
    ["19ffff", 65_535],
    ["1a00010000", 65_536],
    ["1affffffff", 2 ** 32 - 1],
    ["1b0000000100000000", 2 ** 32],
    ["1b001fffffffffffff", 2 ** 53 - 1],
    ["20", -1],
    ["3b001fffffffffffff", -(2 ** 53)],
    ["40", new Uint8Array()],
    ["4201ff", Uint8Array.of(1, 255)],
    ["60", ""],
    ["63efbbbf", "\ufeff"], // a byte order mark is text like any other
    ["64f0908591", "\u{10151}"],
    ["f4", false],
    ["f5", true],
    ["f6", null],
    ["83010203", [1, 2, 3]],
    ["a0", new Map()],
    [
      "a301000a002001",
      new Map([
        [1, 0],
        [10, 0],
        [-1, 1],
      ]),
    ], // 1, 10, -1: by encoding, not by value
    [
      "a2617a00626161 00",
      new Map([
        ["z", 0],
        ["aa", 0],
      ]),
    ], // the length comes first
    ["8181818181818181 00", nested(8)],
  ];
  test.each(rows)("%s", (bytes, value) => {
    expect(unhex(encode(value))).toBe(bytes.replaceAll(" ", ""));
    expect(decode(hex(bytes))).toEqual(value);
  });

  test("maps are sorted whatever their order of insertion", () => {
    const map = new Map([
      [-1, 1],
      [10, 0],
      [1, 0],
    ]);
    expect(unhex(encode(map))).toBe("a301000a002001");
  });

  test("byte strings are copies", () => {
    const bytes = Buffer.from("4101", "hex");
    const value = decode(bytes);
    bytes[1] = 2;
    expect(value).toEqual(Uint8Array.of(1));
    expect(value).not.toBeInstanceOf(Buffer);
  });

  test("a tag where one is asked for", () => {
    expect(unhex(encodeTagged(98, [1]))).toBe("d8628101");
    expect(decodeTagged(hex("d8628101"), [18, 98])).toEqual({ tag: 98, value: [1] });
    expect(refusal(() => decodeTagged(hex("d28101"), [98])).message).toMatch(/expected tag 98/);
    expect(refusal(() => decodeTagged(hex("8101"), [98])).offset).toBe(0);
    expect(refusal(() => decodeTagged(hex("d862d28101"), [98])).message).toMatch(/tag 18/);
    expect(refusal(() => decodeTagged(hex("d8120100"), [18])).message).toMatch(/shortest/);
  });
});

describe("refused, with the place", () => {
  const rows: [why: string, bytes: string, message: RegExp, offset: number][] = [
    ["nothing", "", /end inside/, 0],
    ["trailing bytes", "0000", /1 bytes follow/, 1],
    ["long form of 23", "1817", /shortest/, 0],
    ["long form of 255", "1900ff", /shortest/, 0],
    ["long form of 65535", "1a0000ffff", /shortest/, 0],
    ["long form of 2^32-1", "1b00000000ffffffff", /shortest/, 0],
    ["long form of a length", "580100", /shortest/, 0],
    ["2^53", "1b0020000000000000", /2\^53/, 0],
    ["-2^53-1", "3b0020000000000000", /2\^53/, 0],
    ["-2^64", "3bffffffffffffffff", /2\^53/, 0],
    ["a length of 2^31", "5a80000000", /end inside/, 0],
    ["a length of 2^32", "5b0000000100000000", /end inside/, 0],
    ["an array of 2^32-1", "9affffffff", /end inside/, 0],
    ["a map of 2^32-1", "baffffffff", /end inside/, 0],
    ["half float", "f90000", /float/, 0],
    ["single float", "fa00000000", /float/, 0],
    ["double float", "fb0000000000000000", /float/, 0],
    ["undefined", "f7", /undefined/, 0],
    ["simple value 16", "f0", /simple/, 0],
    ["simple value 255", "f8ff", /simple/, 0],
    ["false in two bytes", "f814", /simple/, 0],
    ["break alone", "ff", /simple/, 0],
    ["indefinite bytes", "5f4100ff", /indefinite/, 0],
    ["indefinite text", "7f6100ff", /indefinite/, 0],
    ["indefinite array", "9f00ff", /indefinite/, 0],
    ["indefinite map", "bf0000ff", /indefinite/, 0],
    ["reserved 28", "1c", /reserved/, 0],
    ["a tag", "81c000", /tag 0/, 1],
    ["a bignum", "c24101", /tag 2/, 0],
    ["keys twice", "a200000001", /twice/, 3],
    ["keys unsorted", "a201000000", /order/, 3],
    ["keys by length first", "a2626161 00617a00", /order/, 5],
    ["a byte string as key", "a14000", /map key/, 1],
    ["an array as key", "a18000", /map key/, 1],
    ["null as key", "a1f600", /map key/, 1],
    ["overlong UTF-8", "62c080", /UTF-8/, 0],
    ["a surrogate in UTF-8", "63eda080", /UTF-8/, 0],
    ["nine levels", "81818181818181818100", /nested/, 8],
    ["nine levels of maps", `${"a100".repeat(8)}a0`, /nested/, 16],
  ];
  test.each(rows)("%s", (_why, bytes, message, offset) => {
    const error = refusal(() => decode(hex(bytes)));
    expect(error.code).toBe("wire.cbor");
    expect(error.message).toMatch(message);
    expect(error.offset).toBe(offset);
  });

  test("deep nesting, a megabyte of it (CVE-2026-26209, GHSA-685m-2w69-288q)", () => {
    for (const byte of [0x81, 0xa1, 0xd2]) {
      expect(refusal(() => decode(new Uint8Array(1 << 20).fill(byte))).code).toBe("wire.cbor");
    }
  });

  test("every truncation", () => {
    const value = new Map<number | string, CborValue>([
      [1, [0, 24, 256, 65_536, 2 ** 40, -1, -(2 ** 40)]],
      ["text", "text that is longer than twenty-three bytes"],
      [-70_000, new Map([[2, new Uint8Array(300)]])],
      [3, [true, false, null]],
    ]);
    const bytes = encode(value);
    for (let length = 0; length < bytes.length; length++) {
      expect(refusal(() => decode(bytes.subarray(0, length))).message).toMatch(/end inside/);
    }
    expect(decode(bytes)).toEqual(value);
  });
});

test("more items than any object has are refused, however few bytes they take", () => {
  const most = 1_048_576;
  expect(decode(encode(new Array(most - 1).fill(null)))).toHaveLength(most - 1);
  const more = encode(new Array(most).fill(null));
  expect(refusal(() => decode(more)).message).toMatch(/too many items/);
  expect(refusal(() => decode(encode([1, 2]), 2)).message).toMatch(/too many items/);
  expect(decode(encode([1, 2]), 3)).toEqual([1, 2]);
});

describe("values without an encoding", () => {
  const rows: [string, unknown, RegExp][] = [
    ["a fraction", 1.5, /integer/],
    ["NaN", Number.NaN, /integer/],
    ["2^53", 2 ** 53, /integer/],
    ["below -2^53", -(2 ** 53) - 2, /integer/],
    ["a bigint", 1n, /bigint/],
    ["undefined", undefined, /undefined/],
    ["an object", { a: 1 }, /object/],
    ["half a surrogate pair", "\ud800", /surrogate/],
    ["a byte string as key", new Map([[new Uint8Array(), 1]]), /map key/],
    ["nine levels", nested(9), /nested/],
  ];
  test.each(rows)("%s", (_why, value, message) => {
    expect(refusal(() => encode(value as CborValue)).message).toMatch(message);
  });
});
