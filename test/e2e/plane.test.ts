/**
 * One plane, one node, over TLS: admitted through the plane, denied without it, and what a plane
 * that dies between claim and signature leaves behind.
 */
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
});
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

  test("each case that the plane decided is found by the digest in its leaf", async () => {
    const shown = await site.must("plane", ["audit", "show", "--json"]);
    const { leaves } = JSON.parse(shown.out) as { leaves: { leaf: Record<string, string> }[] };
    const [{ leaf } = { leaf: {} }] = leaves.filter((one) => one.leaf.event === "checked");
    const replayed = await site.must("plane", ["replay", leaf.case ?? "", "--json"]);
    expect(JSON.parse(replayed.out)).toMatchObject({ allow: true, request: { role: "plane" } });
  });

  test("a certificate that nobody vouches for, or no plane at all, is exit 75", async () => {
    const grant = await site.authorize("two.grant");
    const words = ["run", "--plane", site.url, "--grant", grant, "--", "/usr/bin/id", "-un"];
    // Nor does a variable of Node's own make it trusted.
    const untrusted = await site.run("node", words, { NODE_TLS_REJECT_UNAUTHORIZED: "0" });
    expect(untrusted).toMatchObject({ code: 75, err: expect.stringMatching(/self.signed/) });
    expect(await site.stop()).toBe(0);
    const absent = await site.job("node", grant);
    expect(absent).toMatchObject({ code: 75, err: expect.stringMatching(/plane\.missing/) });
    await site.serve();
    expect(await site.job("node", grant)).toMatchObject({ code: 0, err: "" });
  });
});

/** Its process is killed when it is about to sign a result: what it signs for is claimed by then. */
const KILLED_AT_SIGNATURE = `
  import crypto from "node:crypto";
  import { syncBuiltinESMExports } from "node:module";
  const sign = crypto.sign;
  crypto.sign = (hash, bytes, ...rest) => {
    if (Buffer.from(bytes).includes("portcullis-result+cwt")) process.kill(process.pid, "SIGKILL");
    return sign(hash, bytes, ...rest);
  };
  syncBuiltinESMExports();
`;

describe("a plane that is killed between claim and signature", () => {
  test("has admitted nothing, and gives no use twice when it is back", async () => {
    const grant = await site.authorize("three.grant", 2);
    await site.stop();
    const before = await claimed();
    const script = `data:text/javascript,${encodeURIComponent(KILLED_AT_SIGNATURE)}`;
    await site.serve([], { NODE_OPTIONS: `--import ${script}` });
    const asked = await site.job("node", grant);
    expect(asked).toMatchObject({
      code: 75,
      out: "",
      err: expect.stringMatching(/plane\.missing/),
    });
    expect(await site.ended()).toBe("SIGKILL");
    // The claim was durable before the signature was begun.
    expect(await claimed()).toBe(before + 1);
    expect(await site.job("node", grant)).toMatchObject({ code: 75, out: "" });

    await site.serve();
    expect(await site.job("node", grant)).toMatchObject({ code: 0, err: "" });
    const again = await site.job("node", grant);
    expect(again).toMatchObject({ code: 77, out: "" });
    expect(again.err).toMatch(/the plane says replay\.use/);
    expect(await claimed()).toBe(before + 2);
    const { out } = await site.must("plane", ["audit", "verify", "--json"]);
    expect(JSON.parse(out)).toMatchObject({ verified: true });
  });

  /** Agreements in the plane's log. */
  async function claimed(): Promise<number> {
    const { out } = await site.must("plane", ["audit", "verify", "--json"]);
    return JSON.parse(out).events.checked;
  }
});
