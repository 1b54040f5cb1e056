/**
 * Counters of a quote against a floor (TPMS_CLOCK_INFO, Part 2 §10.11.1; Part 1 §36). A boot
 * session is the pair (resetCount, restartCount): TPM Reset raises the first and zeroes the second,
 * Restart and Resume raise the second. They mean something only for a key of the endorsement
 * hierarchy: to others a TPM gives them obfuscated.
 */
import { Code } from "../generated";
import { attest } from "./attest";

/** safe = NO: the clock may repeat values that the TPM reported before it lost power. */
export function judgeSafe(): Code {
  return attest.safe ? Code.NONE : Code.ENVIRONMENT_CLOCK_UNSAFE;
}

/**
 * 1. The pair never falls in lexicographic order. Where it fell, and resetCount and restartCount
 *   are both 0, and the clock is below the floor, TPM2_Clear zeroed all three (Part 3 §24.6): the
 *   TPM must be enrolled again. After a Clear and a further reset the counters look like any other
 *   step back, such as an old quote shown again.
 * 2. Within one resetCount the clock never falls (across an unorderly reset it may).
 */
export function judgeCounters(resetCount: u64, restartCount: u64, clock: u64): Code {
  const reset = <u64>attest.resetCount;
  const restart = <u64>attest.restartCount;
  if (reset < resetCount || (reset == resetCount && restart < restartCount)) {
    const cleared = reset == 0 && restart == 0 && attest.clock < clock;
    return cleared ? Code.ENVIRONMENT_CLOCK_CLEARED : Code.ENVIRONMENT_CLOCK_RESET;
  }
  const fell = reset == resetCount && attest.clock < clock;
  return fell ? Code.ENVIRONMENT_CLOCK_ROLLBACK : Code.NONE;
}

/** Both, in the order of the table. */
export function judgeClock(resetCount: u64, restartCount: u64, clock: u64): Code {
  const safe = judgeSafe();
  return safe == Code.NONE ? judgeCounters(resetCount, restartCount, clock) : safe;
}

export function judgeFirmware(floor: u64): Code {
  return attest.firmwareVersion < floor ? Code.ENVIRONMENT_FIRMWARE_ROLLBACK : Code.NONE;
}
