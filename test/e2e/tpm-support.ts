/** A software TPM for a test file, and what its tests have in common. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll } from "vitest";
import { readClock } from "../../src/tpm/attestation.ts";
import { createPrimary, type LoadedKey } from "../../src/tpm/object.ts";
import { TPM_RH } from "../../src/tpm/structures/constants.ts";
import { akTemplate } from "../../src/tpm/structures/templates.ts";
import type { Tpm } from "../../src/tpm/tpm.ts";
import { preparedMachines, reboot, SoftwareTpm } from "../../swtpm/index.ts";

/** Starts a TPM before the tests of the calling file and stops it after them. */
export function softwareTpm(): { readonly machine: SoftwareTpm } {
  let machine: SoftwareTpm | null = null;
  beforeAll(async () => {
    const [template = ""] = (await preparedMachines()).states;
    machine = await SoftwareTpm.start({ template });
  });
  afterAll(() => machine?.stop());
  return {
    get machine() {
      if (!machine) throw new Error("the software TPM is started before the first test");
      return machine;
    },
  };
}

/** A restricted signing primary: quick to have, and good for any attestation. */
export function signingKey(tpm: Tpm, kind: "ecc" | "rsa" = "ecc"): Promise<LoadedKey> {
  return createPrimary(tpm, TPM_RH.ENDORSEMENT, akTemplate(kind));
}

const CLOCK_SAVED_EVERY_MS = 4_096;

/**
 * An orderly reboot at a moment from which power can be lost: the clock is then unsafe until its
 * next multiple of 4,096 ms (TPM 2.0 Part 1 §36.3), and swtpm goes on at the clock of its last
 * orderly shutdown, which may be right before one. Three seconds are left at least.
 */
export async function rebootEarly(machine: SoftwareTpm, tpm: Tpm): Promise<void> {
  const { clock } = (await readClock(tpm)).clockInfo;
  const since = Number(clock) % CLOCK_SAVED_EVERY_MS;
  if (since > CLOCK_SAVED_EVERY_MS / 4) await sleep(CLOCK_SAVED_EVERY_MS - since);
  await reboot(machine, tpm, "orderly");
}
