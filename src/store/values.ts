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
