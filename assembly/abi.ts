/**
 * What every layer may use: the trap, and the test for invariants that only the checked build pays for.
 */

/** Line of the assertion that failed last; the host reads it after a trap, before it discards the instance. */
export let trapLine: u32 = 0;

/** Stands in for AssemblyScript's abort (asconfig.json), so that the module needs no import. */
export function trap(_message: string | null, _file: string | null, line: u32, _column: u32): void {
  trapLine = line;
  unreachable();
}

/** An invariant of our own code. The checked build traps when it is broken; the release builds leave it out. */
// @ts-ignore: decorator
@inline
export function invariant(holds: bool): void {
  if (CHECKED != 0) assert(holds);
}
