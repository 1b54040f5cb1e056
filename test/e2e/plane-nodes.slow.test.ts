/** Five nodes on TPMs of their own, one plane, over TLS; and what each lie comes to. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { nowSeconds } from "../../src/clock.ts";
import { Layout } from "../../src/domain/layout.ts";
import { revoke } from "../../src/domain/publication.ts";
import { signersAtHand } from "../../src/domain/signers.ts";
import { generateKey, signerOf } from "../../src/wire/keys.ts";
import { parseSigned, signObject } from "../../src/wire/objects.ts";
import { encodeRemote, parseRemote } from "../../src/wire/remote.ts";
import { manufacture } from "../../swtpm/index.ts";
import { LyingPlane, type Passed } from "../support/lying-plane.ts";
import { PlaneSite, type Ran } from "../support/plane-site.ts";

const NODES = ["n1", "n2", "n3", "n4", "n5"];
let machines: string;
let site: PlaneSite;
let liar: LyingPlane;
beforeAll(async () => {
  machines = await mkdtemp(join(tmpdir(), "portcullis-machines-"));
  site = await PlaneSite.make(await manufacture(machines, NODES.length));
  await site.serve();
  for (const [i, node] of NODES.entries()) {
    const tpm = await site.enroll(node, site.machines.states[i] ?? "");
    if (i === 0) await site.bless(tpm);
  }
  const [cert = "", key = ""] = await Promise.all(
    ["tls.crt", "tls.key"].map((name) => readFile(site.file(name), "utf8")),
  );
  liar = await LyingPlane.start(site.url, { cert, key });
}, 300_000);
afterEach(() => {
  liar.meddle = (_path, _body, forward) => forward();
});
afterAll(async () => {
  await liar?.close();
  await site?.dispose();
  await rm(machines, { recursive: true, force: true });
});

const me = `${userInfo().username}\n`;
let grants = 0;
function fresh(uses = 1, more: readonly string[] = []): Promise<string> {
  grants += 1;
  return site.authorize(`${grants}.grant`, uses, more);
}
/** A job that asks the one in between. */
const through = (node: string, grant: string, env: NodeJS.ProcessEnv = {}) =>
  site.job(node, grant, env, liar.url);
/** This process believes that it is so many seconds later. */
const shifted = (seconds: number): NodeJS.ProcessEnv => {
  const script = `const now = Date.now; Date.now = () => now() + ${seconds * 1000};`;
  return { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(script)}` };
};
const denied = (ran: Ran, code: number, why: RegExp): void => {
  expect([ran.out, ran.code, ran.err]).toEqual(["", code, expect.stringMatching(why)]);
};

describe("five nodes and their plane", () => {
  test("each is admitted, with a grant for all of them, and then there is no use left", async () => {
    const grant = await fresh(NODES.length);
    const ran: Ran[] = [];
    // One after the other: a permission that runs out on a busy machine takes its use with it.
    for (const node of NODES) ran.push(await site.job(node, grant));
    for (const one of ran) expect(one).toEqual({ code: 0, out: me, err: "" });
    denied(await site.job("n1", grant), 77, /replay\.use/);
    denied(await site.job("n2", grant), 77, /the plane says replay\.use/);
  });

  test("a use that another node claimed is gone everywhere", async () => {
    const grant = await fresh(1);
    expect(await site.job("n1", grant)).toMatchObject({ code: 0 });
    denied(await site.job("n2", grant), 77, /the plane says replay\.use/);
  });

  test("a use that all nodes claim at once is claimed by one of them", async () => {
    const grant = await fresh(1);
    const all = await Promise.all(NODES.map((node) => site.job(node, grant)));
    expect(all.filter(({ out }) => out === me)).toHaveLength(1);
    for (const ran of all) expect(ran.out === me || ran.code === 77).toBe(true);
  });

  test("a clock that is held back does not bring back what has expired", async () => {
    const grant = await fresh(1, ["--lifetime", "20s"]);
    await sleep(21_000);
    denied(await site.job("n1", grant, shifted(-20)), 77, /the plane says window\.expired/);
  });

  test("a result that is past its time, by the node's clock", async () => {
    denied(await site.job("n1", await fresh(), shifted(70)), 75, /plane\.expired/);
  });

  test("a node that keeps an older snapshot from itself is rolled back", async () => {
    const older = await kept("/v1/governance");
    await site.must("plane", ["snapshot", "renew"]);
    liar.meddle = async (path, _body, forward) => (path === "/v1/governance" ? older : forward());
    denied(await through("n3", await fresh()), 77, /the plane says governance\.rollback/);
  });

  test("a node that is revoked between nonce and decision", async () => {
    const index = NODES.indexOf("n5");
    liar.meddle = async (path, _body, forward) => {
      if (path === "/v1/decisions") await revokeNode(index);
      return forward();
    };
    denied(await through("n5", await fresh()), 77, /the plane says governance\.rollback/);
    liar.meddle = (_path, _body, forward) => forward();
    denied(await through("n5", await fresh()), 77, /revocation\.node/);
  });

  test("the result of another request", async () => {
    let other: Passed | null = null;
    liar.meddle = async (path, _body, forward) => {
      const passed = await forward();
      if (path !== "/v1/decisions") return passed;
      other ??= passed;
      return other;
    };
    expect(await through("n2", await fresh())).toMatchObject({ code: 0 });
    denied(await through("n2", await fresh()), 77, /plane\.request/);
  });

  test("a result that is signed by a key outside of the charter", async () => {
    liar.meddle = answering(async (result) => {
      const { claims } = parseSigned("result", result);
      return signObject("result", claims, [signerOf(generateKey("Ed25519"))]);
    });
    denied(await through("n2", await fresh()), 77, /plane\.unknown-key/);
  });

  test("an answer that was tampered with", async () => {
    liar.meddle = answering(async (result) => {
      const changed = result.slice();
      changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
      return changed;
    });
    denied(await through("n2", await fresh()), 77, /plane\.signature/);
    liar.meddle = async (path, _body, forward) => {
      const passed = await forward();
      return path === "/v1/decisions" ? { ...passed, body: passed.body.subarray(1) } : passed;
    };
    denied(await through("n2", await fresh()), 75, /plane\.missing.*answer cannot be used/);
  });

  test("a denial that is passed on as an agreement", async () => {
    liar.meddle = async (path, body, forward) => {
      const passed = await forward(body);
      if (path !== "/v1/decisions") return passed;
      const { result } = parseRemote("opinion", passed.body);
      const told = encodeRemote("opinion", { result, code: null });
      return { ...passed, body: Buffer.from(told) };
    };
    // Not n1: its clock was set ahead of its TPM's, and that is remembered.
    const grant = await fresh(1);
    expect(await through("n4", grant)).toMatchObject({ code: 0 });
    denied(await through("n2", grant), 77, /plane\.denied/);
  });

  test("a plane that hangs", async () => {
    liar.meddle = async (path, _body, forward) => {
      if (path === "/v1/decisions") await sleep(6_000);
      return forward();
    };
    denied(await through("n2", await fresh()), 75, /plane\.missing.*did not answer/);
  });
});

test("killed and started again all the while, it gives no use twice", async () => {
  const uses = 6;
  const grant = await fresh(uses);
  let over = false;
  const killing = (async () => {
    while (!over) {
      await sleep(1_500);
      await site.stop("SIGKILL");
      await site.serve();
    }
  })();
  const ran: Ran[] = [];
  const four = NODES.slice(1, 4);
  for (let round = 0; round < 4; round++) {
    ran.push(...(await Promise.all(four.map((node) => site.job(node, grant)))));
  }
  over = true;
  await killing;
  const admitted = ran.filter(({ out }) => out === me);
  for (const { out, code } of ran)
    expect(out === me ? code === 0 : [70, 75, 77].includes(code)).toBe(true);
  expect(admitted.length).toBeLessThanOrEqual(uses);
  const { out } = await site.must("plane", ["audit", "verify", "--json"]);
  expect(JSON.parse(out)).toMatchObject({ verified: true });
  for (const node of four) {
    const verified = await site.must(node, ["audit", "verify", "--json"]);
    expect(JSON.parse(verified.out)).toMatchObject({ verified: true });
  }
});

/** As `portcullis revoke --node` does, within the time that a node waits for its plane. */
async function revokeNode(index: number): Promise<void> {
  const home = site.file("plane");
  const signers = await signersAtHand(new Layout(home), "governance");
  const publication = { signers, nowSeconds: nowSeconds() };
  await revoke(home, publication, [{ kind: "nodes", index }]);
}

/** What the plane answers now, to be told later. */
async function kept(path: string): Promise<Passed> {
  let answer: Passed | null = null;
  liar.meddle = async (asked, _body, forward) => {
    const passed = await forward();
    if (asked === path) answer = passed;
    return passed;
  };
  await site.must("n4", ["snapshot", "fetch", "--plane", liar.url, "--plane-ca", "tls.crt"]);
  if (answer === null) throw new Error(`nothing was asked of ${path}`);
  return answer;
}

/** Exchanges the signed result. */
function answering(change: (result: Uint8Array) => Promise<Uint8Array>): LyingPlane["meddle"] {
  return async (path, _body, forward) => {
    const passed = await forward();
    if (path !== "/v1/decisions") return passed;
    const { result, code } = parseRemote("opinion", passed.body);
    const changed = result === null ? null : await change(result);
    return { ...passed, body: Buffer.from(encodeRemote("opinion", { result: changed, code })) };
  };
}
