/** The same as lineage-model.test.ts, over many more chains. */
import { test } from "vitest";
import { expectAgreement, seed } from "../support/model/agreement.ts";

test(`core and model agree on 100,000 chains (seed ${seed})`, async () => {
  const seen = await expectAgreement(100_000);
  for (const [code, count] of [...seen].sort(([, a], [, b]) => b - a)) console.log(code, count);
});
