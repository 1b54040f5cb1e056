/**
 * What every layer may use: the trap, invariants that only the checked build pays for, and spans.
 */

/**
 * Line of the assertion that failed last; the host reads it after a trap, before it discards the
 * instance.
 */
export let trapLine: u32 = 0;

/** Stands in for AssemblyScript's abort (asconfig.json), so that the module needs no import. */
export function trap(_message: string | null, _file: string | null, line: u32, _column: u32): void {
  trapLine = line;
  unreachable();
}

/**
 * An invariant of our own code. The checked build traps when it is broken; the release builds leave
 * it out.
 */
// @ts-ignore: decorator
@inline
export function invariant(holds: bool): void {
  if (CHECKED != 0) assert(holds);
}

/**
 * Bytes in memory: the address in the upper half, the length in the lower. 0 means "absent": no
 * object of ours stands at address 0.
 */
export type Span = u64;

// @ts-ignore: decorator
@inline
export function span(ptr: usize, len: u32): Span {
  return ((<u64>ptr) << 32) | len;
}

// @ts-ignore: decorator
@inline
export function ptrOf(bytes: Span): usize {
  return <usize>(bytes >> 32);
}

// @ts-ignore: decorator
@inline
export function lenOf(bytes: Span): u32 {
  return <u32>bytes;
}

export function same(a: Span, b: Span): bool {
  return lenOf(a) == lenOf(b) && equal(ptrOf(a), ptrOf(b), lenOf(a));
}

/** Whether two places hold the same bytes: eight at a time, which memory.compare seldom does. */
export function equal(a: usize, b: usize, length: u32): bool {
  let at: usize = 0;
  for (; at + 8 <= <usize>length; at += 8) if (load<u64>(a + at) != load<u64>(b + at)) return false;
  for (; at < <usize>length; at++) if (load<u8>(a + at) != load<u8>(b + at)) return false;
  return true;
}

/** The order of byte strings that docs/wire-format.md calls sorted: bytewise, a prefix first. */
export function compare(a: Span, b: Span): i32 {
  const order = memory.compare(ptrOf(a), ptrOf(b), min(lenOf(a), lenOf(b)));
  if (order != 0) return order;
  return lenOf(a) < lenOf(b) ? -1 : lenOf(a) > lenOf(b) ? 1 : 0;
}

/** Whether the bytes are exactly this ASCII text. */
export function isAscii(bytes: Span, text: string): bool {
  const length = <u32>text.length;
  if (lenOf(bytes) != length) return false;
  return startsWithAscii(bytes, text);
}

/** Whether the bytes begin with this ASCII text. */
export function startsWithAscii(bytes: Span, text: string): bool {
  const length = <u32>text.length;
  if (lenOf(bytes) < length) return false;
  for (let i: u32 = 0; i < length; i++) {
    if (<i32>load<u8>(ptrOf(bytes) + i) != text.charCodeAt(i)) return false;
  }
  return true;
}
