/** RFC 8949: its examples (Appendix A), and the working group's malformed inputs. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decode as decodeByCborg } from "cborg";
import { describe, expect, test } from "vitest";
import { decode, encode } from "../../src/wire/cbor.ts";
import { type CborValue, isMap } from "../../src/wire/cbor-value.ts";
import { describeVectors } from "../support/vectors.ts";
import { hex, refusal, unhex } from "../support/wire.ts";

interface Example {
  readonly hex: string;
  readonly roundtrip: boolean;
  readonly decoded?: unknown;
  readonly diagnostic?: string;
}

/** As the examples write values: maps as JSON objects. */
function asJson(value: CborValue): unknown {
  if (isMap(value)) return Object.fromEntries([...value].map(([k, v]) => [k, asJson(v)]));
  return Array.isArray(value) ? value.map(asJson) : value;
}

/** What our profile leaves out, by the first byte at fault that the reader names. */
const OUTSIDE =
  /a float, undefined or another simple value|tag \d+ is not allowed|an indefinite length|2\^53 or more/;

describeVectors("RFC 8949 Appendix A", (dir) => {
  const file = join(dir, "cbor-appendix-a/appendix_a.json");
  const examples = JSON.parse(readFileSync(file, "utf8")) as readonly Example[];
  const inside = examples.filter((example) => {
    try {
      decode(hex(example.hex));
      return true;
    } catch {
      return false;
    }
  });

  test("as many as lie in our profile are accepted", () => {
    expect(examples.length).toBeGreaterThan(80);
    expect(inside.length).toBe(35);
  });

  test.each(inside)("$hex is accepted, and written the same", (example) => {
    const value = decode(hex(example.hex));
    expect(unhex(encode(value))).toBe(example.hex);
    if ("decoded" in example) expect(asJson(value)).toEqual(example.decoded);
    else if (value instanceof Uint8Array) expect(example.diagnostic).toBe(`h'${unhex(value)}'`);
    else expect(isMap(value)).toBe(true);
  });

  test.each(examples.filter((example) => !inside.includes(example)))(
    "$hex is outside",
    (example) => {
      expect(refusal(() => decode(hex(example.hex))).message).toMatch(OUTSIDE);
    },
  );
});

describeVectors("the CBOR working group's malformed inputs", (dir) => {
  const file = decodeByCborg(readFileSync(join(dir, "cbor-wg/rfc8949/bad.cbor"))) as {
    readonly tests: readonly { readonly description: string; readonly encoded: Uint8Array }[];
  };

  test("are many", () => expect(file.tests.length).toBeGreaterThan(40));

  test.each(file.tests)("$description", ({ encoded }) => {
    expect(refusal(() => decode(encoded)).code).toBe("wire.cbor");
  });
});

describe("RFC 8949 §4.2.1, by hand", () => {
  test("keys sort bytewise by their encodings, in its own example", () => {
    // 10, 100, -1, "z", "aa" (its other keys are not ours)
    const bytes = "a5 0a00 186400 2000 617a00 62616100";
    const map = new Map<number | string, CborValue>([
      ["aa", 0],
      [-1, 0],
      ["z", 0],
      [100, 0],
      [10, 0],
    ]);
    expect(unhex(encode(map))).toBe(bytes.replaceAll(" ", ""));
    expect([...(decode(hex(bytes)) as typeof map).keys()]).toEqual([10, 100, -1, "z", "aa"]);
  });

  test("the length-first order of RFC 7049 is refused where the two differ", () => {
    const map = "a2 2000 186400"; // -1 before 100
    expect(refusal(() => decode(hex(map))).message).toMatch(/not in order/);
  });
});
