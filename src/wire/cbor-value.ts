/** What CBOR says under the profile of cbor.ts, and what its reader and its writer have in common. */
import { LIMITS } from "../limits.ts";
import { WireError } from "./error.ts";

export type CborKey = number | string;
export type CborMap = ReadonlyMap<CborKey, CborValue>;
export type CborArray = readonly CborValue[];
/** Integers are numbers, byte strings Uint8Array, text is string. */
export type CborValue = number | string | boolean | null | Uint8Array | CborArray | CborMap;

// RFC 8949 §3.1: the major types.
export const UNSIGNED = 0;
export const NEGATIVE = 1;
export const BYTES = 2;
export const TEXT = 3;
export const ARRAY = 4;
export const MAP = 5;
export const TAG = 6;
// RFC 8949 §3.3, initial bytes of major type 7.
export const FALSE = 0xf4;
export const TRUE = 0xf5;
export const NULL = 0xf6;

/** Integers are from -2^53 up to below it. */
export const INTEGERS = 2 ** 53;

export const isArray = (value: CborValue): value is CborArray => Array.isArray(value);
/** True for a map, so that callers need not know its class. */
export const isMap = (value: CborValue): value is CborMap => value instanceof Map;

/**
 * Containers around the next one. The bound keeps recursion shallow (CVE-2026-26209,
 * GHSA-685m-2w69-288q).
 */
export function enter(depth: number, offset?: number): void {
  if (depth < LIMITS.nesting) return;
  const message = `arrays and maps are nested more than ${LIMITS.nesting} deep`;
  throw new WireError("wire.cbor", message, offset === undefined ? {} : { offset });
}
