/**
 * Counters of a quote against a floor (TPMS_CLOCK_INFO, Part 2 §10.11.1; Part 1 §36). A boot session is the pair
 * (resetCount, restartCount): TPM Reset raises the first and zeroes the second, Restart and Resume raise the second.
 */
import { Code } from "../generated";
import { attest } from "./attest";

/**
 * 1. After TPM2_Clear resetCount, restartCount and clock start from zero: a TPM whose resetCount fell and whose clock is
 *    below the floor was cleared, and must be enrolled again. 2. The pair never falls. 3. Within one resetCount the
 *    clock never falls (across an unorderly reset it may). 4. safe = NO: the clock may be behind a value that the TPM
 *    reported before it lost power.
 */
export function judgeClock(resetCount: u64, restartCount: u64, clock: u64): Code {
  const reset = <u64>attest.resetCount;
  const restart = <u64>attest.restartCount;
  if (reset < resetCount && attest.clock < clock) return Code.ENVIRONMENT_CLOCK_CLEARED;
  if (reset < resetCount) return Code.ENVIRONMENT_CLOCK_RESET;
  if (reset == resetCount && restart < restartCount) return Code.ENVIRONMENT_CLOCK_RESET;
  if (reset == resetCount && attest.clock < clock) return Code.ENVIRONMENT_CLOCK_ROLLBACK;
  return attest.safe ? Code.NONE : Code.ENVIRONMENT_CLOCK_UNSAFE;
}

export function judgeFirmware(floor: u64): Code {
  return attest.firmwareVersion < floor ? Code.ENVIRONMENT_FIRMWARE_ROLLBACK : Code.NONE;
}
