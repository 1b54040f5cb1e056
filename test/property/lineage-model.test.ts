/**
 * Core and model (test/support/model) agree on the exact codes of generated chains, and each rule
 * is reached.
 */
import { expect, test } from "vitest";
import { CODE_LIST, familyOf } from "../../src/core/index.ts";
import { expectAgreement, seed } from "../support/model/agreement.ts";

test(`core and model agree on 2,000 chains (seed ${seed})`, async () => {
  const seen = await expectAgreement(2_000);
  const lineage = CODE_LIST.filter((code) => familyOf(code) === "lineage");
  const reached = [
    "allowed",
    "revocation.ancestor",
    "replay.use",
    "signature.unknown-key",
    ...lineage,
  ];
  for (const code of reached) expect([...seen.keys()]).toContain(code);
});
