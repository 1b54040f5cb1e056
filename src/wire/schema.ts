/**
 * The pieces from which registry.ts describes our objects. A Shape knows one kind of value three
 * ways: as the CBOR that stands in an object, as the TypeScript value that code works with, and as
 * what people are shown. Bounds are checked in both directions. Every refusal is a WireError
 * `wire.shape` that names the place ("grant.scope.argv[2]").
 */
import { compareBytes } from "../bytes.ts";
import { type CborKey, type CborMap, type CborValue, isMap } from "./cbor-value.ts";
import { WireError } from "./error.ts";

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

export interface Shape<T> {
  encode(value: T, at: string): CborValue;
  decode(value: CborValue, at: string): T;
  show(value: T): Json;
}
/** The TypeScript type that a Shape describes. */
export type Of<S> = S extends Shape<infer T> ? T : never;

export function refuse(at: string, why: string): never {
  throw new WireError("wire.shape", `${at}: ${why}`);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A Shape whose TypeScript value is its CBOR value, under a test that refuses. */
function plain<T extends CborValue>(
  check: (value: unknown, at: string) => T,
  show: (value: T) => Json,
): Shape<T> {
  return { encode: check, decode: check, show };
}

const UINT_MAX = 2 ** 53 - 1;

/** An unsigned integer in [min, max]. */
export function uint(min = 0, max = UINT_MAX): Shape<number> {
  return plain(
    (value, at) =>
      typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
        ? value
        : refuse(at, `expected an integer from ${min} to ${max === UINT_MAX ? "2^53-1" : max}`),
    (value) => value,
  );
}

/** Seconds since 1970, shown as ISO 8601 in UTC. */
export const time: Shape<number> = {
  ...uint(),
  show(value) {
    const date = new Date(value * 1000);
    return Number.isNaN(date.getTime()) ? value : date.toISOString().replace(".000Z", "Z");
  },
};

export const flag: Shape<boolean> = plain(
  (value, at) => (typeof value === "boolean" ? value : refuse(at, "expected true or false")),
  (value) => value,
);

/** Printable ASCII without the space, 1 to `max` bytes. */
export function ident(max: number): Shape<string> {
  return plain(
    (value, at) =>
      typeof value === "string" && value.length <= max && /^[\x21-\x7e]+$/.test(value)
        ? value
        : refuse(at, `expected an identifier (printable ASCII, 1 to ${max} bytes)`),
    (value) => value,
  );
}

/** A byte string of one of the given sizes, or of [min, max] bytes; shown in hex. */
export function bytes(sizes: readonly number[] | { readonly min: number; readonly max: number }) {
  const wanted = "min" in sizes ? `${sizes.min} to ${sizes.max}` : sizes.join(" or ");
  const fits = (n: number): boolean =>
    "min" in sizes ? n >= sizes.min && n <= sizes.max : sizes.includes(n);
  return plain<Uint8Array>(
    (value, at) =>
      value instanceof Uint8Array && fits(value.length)
        ? value
        : refuse(at, `expected a byte string of ${wanted} bytes`),
    hex,
  );
}

/**
 * A byte string of people (an argument, a path): shown as text where it is printable, else as
 * {hex}.
 */
export function field(min: number, max: number): Shape<Uint8Array> {
  return {
    ...bytes({ min, max }),
    show(value) {
      const text = Buffer.from(value).toString("utf8");
      const faithful = Buffer.from(text, "utf8").equals(value);
      return faithful && !/[\p{C}\p{Zl}\p{Zp}]/u.test(text) ? text : { hex: hex(value) };
    },
  };
}

/** 64 bits as eight bytes, big-endian: TPM counters may exceed 2^53. Shown in decimal, as text. */
export const u64: Shape<bigint> = {
  encode(value, at) {
    if (typeof value !== "bigint" || value < 0n || value >= 1n << 64n) {
      refuse(at, "expected a bigint of 64 bits");
    }
    const out = new Uint8Array(8);
    new DataView(out.buffer).setBigUint64(0, value);
    return out;
  },
  decode(value, at) {
    const eight = bytes([8]).decode(value, at);
    return new DataView(eight.buffer, eight.byteOffset, 8).getBigUint64(0);
  },
  show: (value) => value.toString(),
};

/** One of a few words, each standing for a number or null on the wire. */
export function choice<const W extends { readonly [word: string]: number | null }>(
  words: W,
): Shape<keyof W & string> {
  const wordOf = new Map(Object.entries(words).map(([word, number]) => [number, word]));
  const expected = Object.keys(words).join(", ");
  return {
    encode(value, at) {
      const number = Object.hasOwn(words, value) ? words[value] : undefined;
      return number === undefined ? refuse(at, `expected one of ${expected}`) : number;
    },
    decode(value, at) {
      const word = typeof value === "number" || value === null ? wordOf.get(value) : undefined;
      return word ?? refuse(at, `expected the number of one of ${expected}`);
    },
    show: (value) => value,
  };
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return {
    encode: (value, at) => (value === null ? null : shape.encode(value, at)),
    decode: (value, at) => (value === null ? null : shape.decode(value, at)),
    show: (value) => (value === null ? null : shape.show(value)),
  };
}

/**
 * How list items that must be in order compare, and that no two are equal: by these bytes, a prefix
 * first.
 */
export type Order<T> = (item: T) => Uint8Array;
export const byBytes: Order<Uint8Array> = (item) => item;
export const byText: Order<string> = (item) => new TextEncoder().encode(item);

interface ListBounds<T> {
  readonly min?: number;
  readonly max: number;
  /** Absent: any order, equal items allowed. */
  readonly order?: Order<T>;
  /** Any order, but no two items equal by these bytes. */
  readonly distinct?: Order<T>;
}

/**
 * An array of min to max items. An ordered list is sorted by encode() and refused unsorted by
 * decode().
 */
export function list<T>(shape: Shape<T>, bounds: ListBounds<T>): Shape<readonly T[]> {
  const { min = 0, max, order, distinct } = bounds;
  const count = (items: unknown, at: string): void => {
    if (!Array.isArray(items) || items.length < min || items.length > max) {
      refuse(at, `expected an array of ${min} to ${max} items`);
    }
  };
  const ascending = (items: readonly T[], by: Order<T>, at: string, what: string): void => {
    for (let i = 1; i < items.length; i++) {
      const [a, b] = items.slice(i - 1, i + 1).map(by);
      if (a === undefined || b === undefined || compareBytes(a, b) >= 0)
        refuse(`${at}[${i}]`, what);
    }
  };
  const sorted = (items: readonly T[], by: Order<T>): readonly T[] =>
    items.toSorted((a, b) => compareBytes(by(a), by(b)));
  const unlike = (items: readonly T[], at: string): void => {
    const by = order ?? distinct;
    if (by !== undefined) ascending(sorted(items, by), by, at, "occurs twice");
  };
  return {
    encode(value, at) {
      count(value, at);
      unlike(value, at);
      const items = order === undefined ? value : sorted(value, order);
      return items.map((item, i) => shape.encode(item, `${at}[${i}]`));
    },
    decode(value, at) {
      count(value, at);
      const items = (value as readonly CborValue[]).map((item, i) =>
        shape.decode(item, `${at}[${i}]`),
      );
      if (order !== undefined) ascending(items, order, at, "not in order, or occurs twice");
      else unlike(items, at);
      return items;
    },
    show: (value) => value.map((item) => shape.show(item)),
  };
}

interface MapBounds {
  readonly min?: number;
  readonly max: number;
}

/** A map from keys of one Shape to values of another. */
export function mapOf<K extends CborKey, V>(
  key: Shape<K>,
  value: Shape<V>,
  { min = 0, max }: MapBounds,
): Shape<ReadonlyMap<K, V>> {
  const bounded = (map: unknown, at: string): void => {
    if (!(map instanceof Map) || map.size < min || map.size > max) {
      refuse(at, `expected a map of ${min} to ${max} members`);
    }
  };
  return {
    encode(map, at) {
      bounded(map, at);
      return new Map(
        [...map].map(([k, v]) => [
          key.encode(k, at) as CborKey,
          value.encode(v, `${at}[${String(k)}]`),
        ]),
      );
    },
    decode(map, at) {
      bounded(map, at);
      return new Map(
        [...(map as CborMap)].map(([k, v]) => [
          key.decode(k, at),
          value.decode(v, `${at}[${String(k)}]`),
        ]),
      );
    },
    show: (map) =>
      Object.fromEntries([...map].map(([k, v]) => [String(key.show(k)), value.show(v)])),
  };
}

type Shapes = { readonly [name: string]: Shape<unknown> };
type Flat<T> = { readonly [K in keyof T]: T[K] };
export type TupleOf<F extends Shapes> = { readonly [K in keyof F]: Of<F[K]> };

/** An array of fixed length whose items have names; the names' order is the array's. */
export function tuple<F extends Shapes>(fields: F): Shape<TupleOf<F>> {
  const entries = Object.entries(fields);
  return {
    encode: (value, at) =>
      entries.map(([name, shape]) =>
        shape.encode((value as Record<string, unknown>)[name], `${at}.${name}`),
      ),
    decode(value, at) {
      if (!Array.isArray(value) || value.length !== entries.length) {
        refuse(at, `expected [${entries.map(([name]) => name).join(", ")}]`);
      }
      const items = value as readonly CborValue[];
      return Object.fromEntries(
        entries.map(([name, shape], i) => [name, shape.decode(items[i] ?? null, `${at}.${name}`)]),
      ) as TupleOf<F>;
    },
    show: (value) =>
      Object.fromEntries(
        entries.map(([name, shape]) => [
          name,
          shape.show((value as Record<string, unknown>)[name]),
        ]),
      ),
  };
}

export interface Claim<T, Optional extends boolean = boolean> {
  readonly key: CborKey;
  readonly shape: Shape<T>;
  readonly optional: Optional;
}
export const required = <T>(key: CborKey, shape: Shape<T>): Claim<T, false> => ({
  key,
  shape,
  optional: false,
});
export const optional = <T>(key: CborKey, shape: Shape<T>): Claim<T, true> => ({
  key,
  shape,
  optional: true,
});

/** The same claims, none of them required. */
export function allOptional<C extends ClaimTable>(
  table: C,
): { readonly [K in keyof C]: Claim<Of<C[K]["shape"]>, true> } {
  const entries = Object.entries(table).map(([name, claim]) => [
    name,
    { ...claim, optional: true },
  ]);
  return Object.fromEntries(entries);
}

type ClaimTable = { readonly [name: string]: Claim<unknown> };
export type ClaimsOf<C extends ClaimTable> = Flat<
  {
    [K in keyof C as C[K]["optional"] extends true ? never : K]: Of<C[K]["shape"]>;
  } & {
    [K in keyof C as C[K]["optional"] extends true ? K : never]?: Of<C[K]["shape"]> | undefined;
  }
>;

/**
 * A map with known keys. A key that the table lacks is refused, as is a required one that is
 * absent.
 */
export function claims<C extends ClaimTable>(table: C): Shape<ClaimsOf<C>> {
  const entries = Object.entries(table);
  const keys = new Set(entries.map(([, claim]) => claim.key));
  return {
    encode(value, at) {
      for (const name of Object.keys(value)) {
        if (!Object.hasOwn(table, name)) refuse(at, `has no member ${name}`);
      }
      const map = new Map<CborKey, CborValue>();
      for (const [name, { key, shape, optional }] of entries) {
        const member = (value as Record<string, unknown>)[name];
        if (member !== undefined) map.set(key, shape.encode(member, `${at}.${name}`));
        else if (!optional) refuse(at, `${name} (${key}) is missing`);
      }
      return map;
    },
    decode(value, at) {
      if (!isMap(value)) return refuse(at, "expected a map");
      for (const key of value.keys()) {
        if (!keys.has(key)) refuse(at, `unknown key ${JSON.stringify(key)}`);
      }
      const out: Record<string, unknown> = {};
      for (const [name, { key, shape, optional }] of entries) {
        const member = value.get(key);
        if (member !== undefined) out[name] = shape.decode(member, `${at}.${name}`);
        else if (!optional) refuse(at, `${name} (${key}) is missing`);
      }
      return out as ClaimsOf<C>;
    },
    show(value) {
      const shown: Record<string, Json> = {};
      for (const [name, { shape }] of entries) {
        const member = (value as Record<string, unknown>)[name];
        if (member !== undefined) shown[name] = shape.show(member);
      }
      return shown;
    },
  };
}

/** Either of two Shapes. `isA` tells them apart among values, `wireA` among encodings. */
export function either<A, B>(
  a: Shape<A>,
  b: Shape<B>,
  tell: { readonly isA: (value: A | B) => boolean; readonly wireA: (value: CborValue) => boolean },
): Shape<A | B> {
  return {
    encode: (value, at) => (tell.isA(value) ? a.encode(value as A, at) : b.encode(value as B, at)),
    decode: (value, at) => (tell.wireA(value) ? a.decode(value, at) : b.decode(value, at)),
    show: (value) => (tell.isA(value) ? a.show(value as A) : b.show(value as B)),
  };
}

/** A Shape with one more condition, checked in both directions: why a value is refused, or null. */
export function where<T>(shape: Shape<T>, objection: (value: T) => string | null): Shape<T> {
  const check = (value: T, at: string): T => {
    const why = objection(value);
    return why === null ? value : refuse(at, why);
  };
  return {
    encode(value, at) {
      const encoded = shape.encode(value, at);
      check(value, at);
      return encoded;
    },
    decode: (value, at) => check(shape.decode(value, at), at),
    show: (value) => shape.show(value),
  };
}
