/**
 * PCRs by replay: what a log says was extended, bank by bank, from the values that a reset gives.
 */
import { HASH_CONTEXT_BYTES, begin, digestBytes, finish, update } from "../hash/hash";

/** PC Client Platform TPM Profile §4.6: PCR 0 to 23. */
export const REGISTERS_MAX: u32 = 24;
/** The longest digest. */
const WIDTH: u32 = 64;
/** Numbers of hashes run from 1 to 4. */
export const HASHES: u32 = 4;
/** Where IMA extends: CONFIG_IMA_MEASURE_PCR_IDX. */
export const PCR_IMA: u32 = 10;

/** By hash, from number 1 on, and index. */
export const REGISTERS: usize = memory.data(4 * 24 * 64, 16);
/** One bit a PCR that was extended, by hash. */
const EXTENDED = memory.data(5 * 4, 4);
const CONTEXT = memory.data(HASH_CONTEXT_BYTES, 16);

/** Address of a value. */
export function registerAt(hash: u32, pcr: u32): usize {
  return REGISTERS + ((hash - 1) * REGISTERS_MAX + pcr) * WIDTH;
}

/** What a replay leaves: the values, then the bits. */
export const REPLAYED_BYTES: u32 = 4 * 24 * 64 + 5 * 4;

export function saveRegisters(to: usize): void {
  memory.copy(to, REGISTERS, HASHES * REGISTERS_MAX * WIDTH);
  memory.copy(to + HASHES * REGISTERS_MAX * WIDTH, EXTENDED, 5 * 4);
}

export function restoreRegisters(from: usize): void {
  memory.copy(REGISTERS, from, HASHES * REGISTERS_MAX * WIDTH);
  memory.copy(EXTENDED, from + HASHES * REGISTERS_MAX * WIDTH, 5 * 4);
}

/** One bit a PCR that was extended in this bank. */
export function extendedIn(hash: u32): u32 {
  return load<u32>(EXTENDED + (hash << 2));
}

/**
 * All zero. A dynamic launch resets PCR 17 to 22 to zero before it extends them; without one they
 * are not extended, and their replayed values mean nothing (PTP §4.6.2).
 */
export function resetRegisters(): void {
  memory.fill(REGISTERS, 0, HASHES * REGISTERS_MAX * WIDTH);
  memory.fill(EXTENDED, 0, 5 * 4);
}

/**
 * PCR 0 starts at the locality that TPM2_Startup came from, or at 4 after an H-CRTM: PC Client PFP
 * §10.4.5.3.
 */
export function startFrom(locality: u32): void {
  for (let hash: u32 = 1; hash <= HASHES; hash++) {
    store<u8>(registerAt(hash, 0) + digestBytes(hash) - 1, <u8>locality);
  }
}

/** TPM2_PCR_Extend: the new value is H(old value || digest), Part 3 §22.2. */
export function extend(hash: u32, pcr: u32, digest: usize): void {
  assert(pcr < REGISTERS_MAX);
  const value = registerAt(hash, pcr);
  begin(hash, CONTEXT);
  update(CONTEXT, value, digestBytes(hash));
  update(CONTEXT, digest, digestBytes(hash));
  finish(CONTEXT, value);
  const bits = EXTENDED + (hash << 2);
  store<u32>(bits, load<u32>(bits) | (1 << pcr));
}
