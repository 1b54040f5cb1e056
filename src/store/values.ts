/** Bounds of what goes into the store: a value that breaks one is a mistake in the caller. */
import { StoreError } from "./contract.ts";

const U64_END = 1n << 64n;

export function requireBytes(value: Uint8Array, size: number, what: string): Uint8Array {
  if (value.length === size) return value;
  throw new StoreError("store.input", `The ${what} has ${value.length} bytes, not ${size}.`);
}

/** An integer from 0 to 2^53 - 1. */
export function requireCount(value: number, what: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new StoreError("store.input", `The ${what} is ${value}, no unsigned integer below 2^53.`);
}

/** Eight bytes, big-endian: SQLite's integers are signed, a TPM's clock is not. */
export function bytesOf(value: bigint, what: string): Uint8Array {
  if (value < 0n || value >= U64_END) {
    throw new StoreError("store.input", `The ${what} is ${value}, not within 64 unsigned bits.`);
  }
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** Inverse of bytesOf. */
export function bigintOf(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
}

const DIGEST_BYTES = 32;

/** Digests of a set, sorted: one key for each set. */
export function joinDigests(digests: readonly Uint8Array[]): Uint8Array {
  const all = digests.map((digest) => requireBytes(digest, DIGEST_BYTES, "policy digest"));
  return Buffer.concat(all.toSorted((a, b) => Buffer.compare(a, b)));
}

const VALUE_BYTES: readonly number[] = [20, 32, 48, 64];

/** Values of PCRs, each with its length before it. */
export function joinValues(values: readonly Uint8Array[]): Uint8Array {
  const parts = values.flatMap((value) => {
    if (VALUE_BYTES.includes(value.length)) return [Uint8Array.of(value.length), value];
    throw new StoreError("store.input", `A PCR has ${value.length} bytes in no bank.`);
  });
  return Buffer.concat(parts);
}

/** Inverse of joinValues. */
export function splitValues(bytes: Uint8Array): Uint8Array[] {
  const values: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 1 + (bytes[at] ?? 0)) {
    const value = bytes.slice(at + 1, at + 1 + (bytes[at] ?? 0));
    if (value.length === bytes[at] && VALUE_BYTES.includes(value.length)) values.push(value);
    else throw new StoreError("store.corrupt", "The store holds a PCR value of no bank.");
  }
  return values;
}
