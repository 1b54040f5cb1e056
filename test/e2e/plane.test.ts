/** One plane, one node, over TLS: admitted through the plane, denied without it. */
import { userInfo } from "node:os";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SoftwareTpm } from "../../swtpm/index.ts";
import { PlaneSite } from "../support/plane-site.ts";

let site: PlaneSite;
let tpm: SoftwareTpm;
beforeAll(async () => {
  site = await PlaneSite.make();
  await site.serve();
  tpm = await site.enroll("node", site.machines.states[0] ?? "");
  await site.bless(tpm);
}, 60_000);
afterAll(() => site?.dispose());

describe("plane mode", () => {
  test("a job is admitted once, through the plane and no other way", async () => {
    const grant = await site.authorize("one.grant");
    await site.must("node", ["snapshot", "fetch", "--plane", site.url, "--plane-ca", "tls.crt"]);
    const words = ["run", "--grant", grant, "--", "/usr/bin/id", "-un"];
    const alone = await site.run("node", words);
    expect(alone).toMatchObject({ code: 75, err: expect.stringMatching(/^plane\.missing/) });
    const admitted = await site.job("node", grant);
    expect(admitted).toEqual({ code: 0, out: `${userInfo().username}\n`, err: "" });
    const again = await site.job("node", grant);
    expect(again).toMatchObject({ code: 77, err: expect.stringMatching(/^replay\.use/) });
  });

  test("a certificate that nobody vouches for, or no plane at all, is exit 75", async () => {
    const grant = await site.authorize("two.grant");
    const words = ["run", "--plane", site.url, "--grant", grant, "--", "/usr/bin/id", "-un"];
    const untrusted = await site.run("node", words);
    expect(untrusted).toMatchObject({ code: 75, err: expect.stringMatching(/self.signed/) });
    expect(await site.stop()).toBe(0);
    const absent = await site.job("node", grant);
    expect(absent).toMatchObject({ code: 75, err: expect.stringMatching(/plane\.missing/) });
    await site.serve();
    expect(await site.job("node", grant)).toMatchObject({ code: 0, err: "" });
  });
});
