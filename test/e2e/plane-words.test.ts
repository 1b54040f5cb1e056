/** What could not do what it is for is told before the plane serves, or a node is enrolled. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { PlaneSite } from "../support/plane-site.ts";

let site: PlaneSite;
beforeAll(async () => {
  site = await PlaneSite.make();
});
afterAll(() => site?.dispose());

const ROOT = ["--root", "root.pem"];
test.each<[string, string[], RegExp]>([
  ["an invitation by which nobody could come", ["--invite", "a"], /enroll nobody.*--root/],
  ["what an invitation says, without one", [...ROOT, "--label", "web"], /name --invite, too/],
  ["credentials that gates would deny", [...ROOT, "--node-lifetime", "36500d"], /charter allows/],
  ["a certificate without its key", ["--tls-cert", "tls.crt"], /belong together/],
  ["plain HTTP for others", ["--listen", "0.0.0.0:0"], /--tls-cert and --tls-key/],
])("serve: %s", async (_what, words, says) => {
  const { code, out, err } = await site.run("plane", ["serve", ...words]);
  expect([code, out]).toEqual([64, ""]);
  expect(err).toMatch(says);
});

test("enroll: a credential that gates would deny", async () => {
  const words = ["enroll", ...ROOT, "--lifetime", "36500d"];
  const { code, err } = await site.run("plane", words);
  expect(code).toBe(64);
  expect(err).toMatch(/charter allows/);
});
