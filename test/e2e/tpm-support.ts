/** A software TPM for a test file, and what its tests have in common. */
import { afterAll, beforeAll } from "vitest";
import { createPrimary, type LoadedKey } from "../../src/tpm/object.ts";
import { TPM_RH } from "../../src/tpm/structures/constants.ts";
import { akTemplate } from "../../src/tpm/structures/templates.ts";
import type { Tpm } from "../../src/tpm/tpm.ts";
import { preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";

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
