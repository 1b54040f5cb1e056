/** Core and model agree on the exact codes of generated governance, and each rule is reached. */
import { expect, test } from "vitest";
import { CODE_LIST, familyOf } from "../../src/core/index.ts";
import { expectGovernanceAgreement, seed } from "../support/model/agreement.ts";

test(`core and model agree on 8,000 charters, snapshots, lists and grants (seed ${seed})`, async () => {
  const seen = await expectGovernanceAgreement(8_000);
  const governance = CODE_LIST.filter((code) => familyOf(code) === "governance");
  const reached = [
    "allowed",
    ...governance,
    "artifact.missing",
    "artifact.malformed",
    "artifact.unknown-claim",
    "signature.threshold",
    "signature.class",
    "policy.inactive",
    "revocation.missing",
    "revocation.malformed",
    "revocation.list",
    "revocation.artifact",
    "revocation.node",
    "revocation.epoch",
    "plane.missing",
  ];
  for (const code of reached) expect([...seen.keys()]).toContain(code);
});
