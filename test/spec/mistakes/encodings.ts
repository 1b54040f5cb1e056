/**
 * Bytes that a lenient CBOR reader takes for the same value, or that a careless one chokes on: made
 * from bytes of our profile by changing one item anywhere in them.
 */
import { concat, hex } from "../../support/signatures.ts";

/**
 * One item as it stands: [start, end) with a head up to `body`; members are items of an array, keys
 * and values of a map.
 */
export interface Item {
  readonly major: number;
  readonly argument: bigint;
  readonly start: number;
  readonly body: number;
  readonly end: number;
  readonly members: readonly Item[];
}

const [UNSIGNED, NEGATIVE, BYTES, ARRAY, MAP] = [0, 1, 2, 4, 5];

/** Reads well-formed bytes of our profile; tags around the outside are passed over. */
export function itemAt(bytes: Uint8Array, start = 0): Item {
  const first = bytes[start] ?? 0;
  const [major, info] = [first >> 5, first & 31];
  const width = info < 24 ? 0 : 1 << (info - 24);
  const body = start + 1 + width;
  let argument = width === 0 ? BigInt(info) : 0n;
  for (const byte of bytes.subarray(start + 1, body)) argument = argument * 256n + BigInt(byte);
  const members: Item[] = [];
  let end = body;
  if (major === 2 || major === 3) end += Number(argument);
  const count = major === ARRAY ? argument : major === MAP ? argument * 2n : major === 6 ? 1n : 0n;
  for (let i = 0n; i < count; i++) {
    const member = itemAt(bytes, end);
    members.push(member);
    end = member.end;
  }
  return { major, argument, start, body, end, members };
}

export function* itemsIn(item: Item): Generator<Item> {
  yield item;
  for (const member of item.members) yield* itemsIn(member);
}

/**
 * A head of this major type whose argument takes `width` bytes (1, 2, 4 or 8), whether it needs
 * them or not.
 */
function wideHead(major: number, argument: bigint, width: number): Uint8Array {
  const info = 24 + Math.log2(width);
  const digits = argument.toString(16).padStart(width * 2, "0");
  return concat(Uint8Array.of((major << 5) | info), hex(digits));
}

/** The same number in the width that it needs. */
function head(major: number, argument: bigint): Uint8Array {
  if (argument < 24n) return Uint8Array.of((major << 5) | Number(argument));
  const width = [1, 2, 4, 8].find((bytes) => argument < 1n << BigInt(8 * bytes)) ?? 8;
  return wideHead(major, argument, width);
}

/**
 * Lengths at which 32-bit arithmetic turns: signs, sizes, and pointers that wrap around to where
 * they came from.
 */
const TURNS: readonly bigint[] = [
  ...[2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n],
  ...[1n, 16n, 1_024n, 65_536n, 16_777_216n].map((back) => 2n ** 32n - back),
];
/** Items that are in no object of ours. */
const FOREIGN: readonly (readonly [string, string])[] = [
  ["a half float", "f93c00"],
  ["a float", "fa3f800000"],
  ["a double", "fb3ff0000000000000"],
  ["not a number", "f97e00"],
  ["undefined", "f7"],
  ["a simple value", "f820"],
  ["a break", "ff"],
  ["a reserved length", "1c"],
  ["2^53", "1b0020000000000000"],
  ["2^64-1", "1bffffffffffffffff"],
  ["-2^53-1", "3b0020000000000000"],
  ["-2^64", "3bffffffffffffffff"],
  ["a bignum", "c24101"],
  ["a nesting bomb of arrays", `${"81".repeat(400)}00`],
  ["a nesting bomb of maps", `${"a100".repeat(400)}00`],
  ["a nesting bomb of tags", `${"c1".repeat(400)}00`],
];

export interface Malformed {
  /** Of what kind the change is. */
  readonly kind: string;
  readonly bytes: Uint8Array;
}

/** Every change of every item. */
export function* malformations(bytes: Uint8Array): Generator<Malformed> {
  const put = (start: number, end: number, ...by: readonly Uint8Array[]): Uint8Array =>
    concat(bytes.subarray(0, start), ...by, bytes.subarray(end));
  const root = itemAt(bytes);
  yield { kind: "a trailing byte", bytes: put(root.end, root.end, Uint8Array.of(0)) };
  yield { kind: "the same twice", bytes: concat(bytes, bytes) };
  yield { kind: "a last byte that is missing", bytes: bytes.subarray(0, -1) };
  yield { kind: "nothing", bytes: Uint8Array.of(0xf6) };
  for (const item of itemsIn(root)) {
    const { major, argument, start, body, end } = item;
    for (const width of [1, 2, 4, 8].filter((bytes) => body - start - 1 < bytes)) {
      if (major > MAP) continue;
      yield { kind: "a head too wide", bytes: put(start, body, wideHead(major, argument, width)) };
    }
    for (const [kind, text] of FOREIGN) yield { kind, bytes: put(start, end, hex(text)) };
    yield { kind: "a tag", bytes: put(start, start, hex("d9d9f7")) };
    if (major >= BYTES && major <= MAP) {
      yield* lengths(item, put);
      const chunk = bytes.subarray(major < ARRAY ? start : body, end);
      const open = Uint8Array.of((major << 5) | 31);
      yield { kind: "an indefinite length", bytes: put(start, end, open, chunk, hex("ff")) };
    }
    if (major === MAP) yield* keys(item, bytes, put);
    if (major === UNSIGNED || major === NEGATIVE) {
      yield { kind: "a number as text", bytes: put(start, end, hex("6131")) };
    }
  }
}

type Put = (start: number, end: number, ...by: readonly Uint8Array[]) => Uint8Array;

function* lengths({ major, argument, start, body }: Item, put: Put): Generator<Malformed> {
  for (const turn of TURNS) {
    yield { kind: `a length of ${turn}`, bytes: put(start, body, wideHead(major, turn, 8)) };
    if (turn >= 1n << 32n) continue;
    yield { kind: `a short length of ${turn}`, bytes: put(start, body, wideHead(major, turn, 4)) };
  }
  yield { kind: "a length one more", bytes: put(start, body, head(major, argument + 1n)) };
  if (argument === 0n) return;
  yield { kind: "a length one less", bytes: put(start, body, head(major, argument - 1n)) };
}

/** Each key twice, with the same value and beside another; two neighbours exchanged. */
function* keys(map: Item, bytes: Uint8Array, put: Put): Generator<Malformed> {
  const pairs = map.members.flatMap((key, i) => {
    const value = map.members[i + 1];
    return i % 2 === 0 && value ? [{ key, value }] : [];
  });
  const cut = (start: number, end: number): Uint8Array => bytes.subarray(start, end);
  const [first] = pairs;
  if (first === undefined) return;
  const more = head(MAP, map.argument + 1n);
  for (const [i, { key, value }] of pairs.entries()) {
    const pair = cut(key.start, value.end);
    const before = cut(first.key.start, key.start);
    yield { kind: "a key twice", bytes: put(map.start, key.start, more, before, pair) };
    const last = pairs.at(-1)?.value.end ?? value.end;
    const rest = cut(first.key.start, last);
    yield { kind: "a key again at the end", bytes: put(map.start, last, more, rest, pair) };
    const other = cut(key.start, key.end);
    yield {
      kind: "a key twice, once with null",
      bytes: put(map.start, key.start, more, before, other, hex("f6")),
    };
    const next = pairs[i + 1];
    if (next === undefined) continue;
    const swapped = [cut(next.key.start, next.value.end), pair];
    yield { kind: "keys out of order", bytes: put(key.start, next.value.end, ...swapped) };
  }
}

/** As many of each kind, spread over all of them. */
export function sampled(all: Iterable<Malformed>, ofEach: number): Malformed[] {
  const kinds = new Map<string, Malformed[]>();
  for (const one of all) kinds.set(one.kind, [...(kinds.get(one.kind) ?? []), one]);
  return [...kinds.values()].flatMap((found) => {
    const step = Math.max(1, found.length / ofEach);
    const count = Math.min(found.length, ofEach);
    return Array.from({ length: count }, (_, i) => found[Math.floor(i * step)]).filter(
      (one) => one !== undefined,
    );
  });
}
