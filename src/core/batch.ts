/**
 * Many cases: the signatures of a group are verified together before each is decided. No verdict
 * depends on it.
 */
import { LIMITS } from "../limits.ts";
import { type Exports, place } from "./instance.ts";

/** Cases at once: the core verifies up to 256 signatures together. */
const GROUP_MAX = 64;
/** Address and length. */
const RECORD_WORDS = 2;
/** Room in the input region that a case needs besides its bytes. */
const OVERHEAD_BYTES = 4 * RECORD_WORDS + 16;

/** Cuts the cases, in their order, into groups that fit the input region. */
export function inGroups(cases: readonly Uint8Array[]): Uint8Array[][] {
  const groups: Uint8Array[][] = [];
  let left = 0;
  for (const bytes of cases) {
    const needs = bytes.length + OVERHEAD_BYTES;
    const group = groups.at(-1);
    if (group === undefined || group.length === GROUP_MAX || needs > left) {
      groups.push([bytes]);
      left = LIMITS.caseBytes - needs;
    } else {
      group.push(bytes);
      left -= needs;
    }
  }
  return groups;
}

/** Places a group in the input region behind its records, and prepares it. */
export function prepareCases(core: Exports, group: readonly Uint8Array[]): void {
  const records = new Uint32Array(group.length * RECORD_WORDS);
  const [at = 0, ...addresses] = place(core, [new Uint8Array(records.buffer), ...group]);
  for (const [i, bytes] of group.entries()) records.set([addresses[i] ?? 0, bytes.length], 2 * i);
  new Uint8Array(core.memory.buffer).set(new Uint8Array(records.buffer), at);
  core.prepareCases(at, group.length);
}
