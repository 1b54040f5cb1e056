/** The same as governance-model.test.ts, over many more cases. */
import { test } from "vitest";
import { expectGovernanceAgreement, seed } from "../support/model/agreement.ts";

test(`core and model agree on 100,000 charters, snapshots, lists and grants (seed ${seed})`, async () => {
  const seen = await expectGovernanceAgreement(100_000);
  for (const [code, count] of [...seen].sort(([, a], [, b]) => b - a)) console.log(code, count);
});
