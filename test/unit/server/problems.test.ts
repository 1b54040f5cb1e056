/** What an error inside is told as: enough to mend it for whoever may, and nothing to strangers. */
import { expect, test } from "vitest";
import { DomainError } from "../../../src/domain/error.ts";
import { PlaneError } from "../../../src/plane/index.ts";
import { problemFor } from "../../../src/server/problems.ts";
import { StoreError } from "../../../src/store/contract.ts";

test("too few governance keys are told to the operator who asked for a change", () => {
  const problem = problemFor(new DomainError("domain.signers", "governance needs 2 of 3 keys."));
  expect(problem).toMatchObject({ status: 409, code: "domain.signers" });
  expect(problem.detail).toMatch(/2 of 3/);
});

test.each([
  new StoreError("store.full", "The store at a/state.db cannot grow."),
  new DomainError("domain.malformed", "a/state.db is damaged."),
  new PlaneError("plane.unwritten", "Not recorded.", { cause: new Error("a/state.db") }),
  new Error("a/state.db"),
  Object.assign(new Error("a/state.db"), { statusCode: 400 }),
  null,
  "a/state.db",
])("no file is named: %s", (error) => {
  const problem = problemFor(error);
  expect(problem.status).toBeGreaterThanOrEqual(400);
  expect(JSON.stringify(problem)).not.toMatch(/state\.db/);
});
