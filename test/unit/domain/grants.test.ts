import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Core, loadCore } from "../../../src/core/load.ts";
import { type Domain, loadPolicies } from "../../../src/domain/domain.ts";
import { type GrantRequest, issueGrant } from "../../../src/domain/grants.ts";
import { keepPolicy, signPolicy } from "../../../src/domain/policies.ts";
import { activatePolicy, revoke, setFreeze } from "../../../src/domain/publication.ts";
import { keepIssued, reserveIndex } from "../../../src/domain/register.ts";
import { signersAtHand } from "../../../src/domain/signers.ts";
import { encodeCase, evidenceOf, parseSubject, requestOf } from "../../../src/gate/case.ts";
import { sha256 } from "../../../src/wire/digests.ts";
import { generateKey, signerOf } from "../../../src/wire/keys.ts";
import { auditPath, merkleRoot } from "../../../src/wire/merkle.ts";
import { encodePlain, type Job, signObject } from "../../../src/wire/objects.ts";
import { softwareAk } from "../../support/ak.ts";
import { CLOCK, countersOf, EXECUTABLE, PCRS, text } from "../../support/domain.ts";
import { NOW, Operator } from "./operator.ts";

const UEID = Uint8Array.of(1, ...sha256(text("ueid")).subarray(0, 16));
const ak = softwareAk("ecdsa-p256");
const NONCE = sha256(text("nonce"));

let one: Operator;
let core: Core;
let node: Uint8Array;
beforeAll(async () => {
  core = await loadCore();
  one = await Operator.make();
  const domain = await one.load();
  const { layout, name } = domain;
  const pcrs = new Map([...(PCRS.sha256 ?? [])].map(([pcr, value]) => [pcr, [value]] as const));
  const keys = await signersAtHand(layout, "policy");
  const { digest } = await signPolicy(domain, { name: "base", pcrs: { sha256: pcrs } }, keys, NOW);
  await activatePolicy(one.path, one.publication, { name: "base", digest }, { replace: false });
  const [enroller] = await signersAtHand(layout, "enroller");
  if (enroller === undefined) throw new Error("no enroller key");
  const statusIndex = await reserveIndex(layout, "nodes");
  node = await signObject(
    "node",
    {
      domain: name,
      iat: NOW,
      exp: NOW + 3_600,
      ueid: UEID,
      publicArea: ak.publicArea,
      name: ak.name,
      qualifiedName: ak.qualifiedName,
      ekCertificate: null,
      labels: ["web"],
      counters: countersOf(CLOCK),
      logKey: signerOf(generateKey("Ed25519")).key,
      nvIndexName: null,
      statusIndex,
    },
    [enroller],
  );
  await keepIssued(layout, "nodes", statusIndex, node);
});
afterAll(() => one.remove());

const JOB: Job = {
  executable: EXECUTABLE,
  interpreter: null,
  argv: [text("report")],
  environment: [],
  cwd: text("/srv"),
  stdin: "none",
  uid: 1000,
  gid: 1000,
  callerUid: 1000,
  inputs: [],
  runtimeSeconds: 60,
};

const request = (overrides: Partial<GrantRequest> = {}): GrantRequest => ({
  issuer: "operator@example.test",
  subject: "alice@example.test",
  class: "standard",
  holder: { node: "executing" },
  scope: {
    image: EXECUTABLE,
    argv: { form: "exact", values: JOB.argv },
    cwd: JOB.cwd,
    uid: 1000,
    gid: 1000,
    callers: [1000],
    runtimeSeconds: 60,
    uses: 1,
  },
  policies: ["base"],
  audience: [UEID],
  lifetimeSeconds: 600,
  validation: { digest: sha256(text("request")), validator: "test" },
  ...overrides,
});

async function issue(overrides: Partial<GrantRequest> = {}) {
  const domain = await one.load();
  const signers = await signersAtHand(domain.layout, "authority");
  const governance = one.publication.signers;
  return issueGrant(domain, request(overrides), { signers, governance, nowSeconds: NOW });
}

/** What a gate would decide over the domain as it lies on disk, its TPM being a software key. */
async function verdict(grant: Uint8Array) {
  const domain: Domain = await one.load();
  const policies = (await loadPolicies(domain)).filter(({ active }) => active);
  const materials = {
    charters: domain.charters.map(({ bytes }) => bytes),
    snapshot: domain.snapshot.bytes,
    statusList: domain.status.bytes,
    elements: [grant],
    node,
    policies: policies.map(({ bytes }) => bytes),
  };
  const held = {
    floors: {
      charterDigest: domain.charter.digest,
      charterNumber: 1,
      snapshotVersion: 0,
      snapshotDigest: null,
      timeSeconds: 0,
    },
    counters: null,
    ima: null,
    uses: [0],
    nonce: NONCE,
    planeNonce: null,
    nowSeconds: NOW + 1,
    parentRun: null,
  };
  const subject = parseSubject(materials, null);
  const job = encodePlain("job", JOB);
  const asked = requestOf(subject, held, job);
  if (asked === null) throw new Error("the materials name no request");
  const extraData = merkleRoot([asked]);
  const { attest, signature, values } = ak.quote({ extraData, pcrs: PCRS, clock: CLOCK });
  const attested = { attest, signature, ...auditPath([asked], 0), pcrs: values };
  const evidence = evidenceOf(subject, held, materials, job, attested, null);
  return core.decide(encodeCase(subject, held, evidence, null));
}

describe("what an operator issues, as the core judges it", () => {
  test("a grant of each class is admitted", async () => {
    for (const name of ["standard", "break-glass"]) {
      const { bytes } = await issue({ class: name });
      const decided = await verdict(bytes);
      expect([name, decided.code]).toEqual([name, null]);
      expect(decided.request?.mark).toBe(name === "break-glass");
    }
  });

  test("for a label, too; not for another node or label", async () => {
    expect((await verdict((await issue({ audience: "web" })).bytes)).code).toBe(null);
    const audience = [Uint8Array.of(1, ...sha256(text("other")).subarray(0, 16))];
    expect((await verdict((await issue({ audience })).bytes)).code).toBe("identity.audience");
    const label = await issue({ audience: "db" });
    expect((await verdict(label.bytes)).code).toBe("identity.audience");
  });

  test("later than it asks for, it is not yet valid", async () => {
    const { bytes } = await issue({ notBefore: NOW + 60 });
    expect((await verdict(bytes)).code).toBe("window.not-yet");
  });

  test("a frozen domain admits nothing, until it is lifted", async () => {
    const { bytes } = await issue();
    await setFreeze(one.path, one.publication, "new");
    expect((await verdict(bytes)).code).toBe("governance.frozen");
    await setFreeze(one.path, one.publication, "none");
    expect((await verdict(bytes)).code).toBe(null);
  });

  test("revoked by index, by digest", async () => {
    const [first, second] = [await issue(), await issue()];
    const { statusIndex } = first;
    await revoke(one.path, one.publication, [{ kind: "grants", index: statusIndex }]);
    expect((await verdict(first.bytes)).code).toBe("revocation.artifact");
    expect((await verdict(second.bytes)).code).toBe(null);
    await revoke(one.path, one.publication, [{ kind: "element", digest: second.digest }]);
    expect((await verdict(second.bytes)).code).toBe("revocation.artifact");
  });

  test("an index beyond the list makes the list grow: the ninth of eight is admitted", async () => {
    let issued = await issue();
    while (issued.statusIndex < 9) issued = await issue();
    expect((await one.load()).status.list.grants.length).toBeGreaterThan(1);
    expect((await verdict(issued.bytes)).code).toBe(null);
  });
});

describe("what an operator is refused", () => {
  test.each<[string, Partial<GrantRequest>, RegExp]>([
    ["a class that is none", { class: "root" }, /no class "root"/],
    ["longer than the class", { class: "break-glass", lifetimeSeconds: 3_601 }, /3600 s/],
    ["longer than the charter", { lifetimeSeconds: 7_201 }, /7200 s/],
    ["longer by a late start", { notBefore: NOW + 7_000, lifetimeSeconds: 600 }, /7600 s/],
    ["no lifetime", { lifetimeSeconds: 0 }, /at least 1/],
    ["an earlier start", { notBefore: NOW - 1 }, /in the past/],
    ["no policy (no rule matched, so admitted)", { policies: [] }, /1 to 8 policies/],
    ["an inactive policy", { policies: ["base", "other"] }, /other is not active/],
    ["no audience", { audience: [] }, /names its audience/],
    ["deeper than the charter", { maxDepth: 2 }, /Depth 2/],
  ])("%s", async (_, overrides, message) => {
    await expect(issue(overrides)).rejects.toMatchObject({
      code: "domain.input",
      message: expect.stringMatching(message),
    });
  });

  test("a policy of another domain, the same policy twice, one over PCR 16", async () => {
    const domain = await one.load();
    const keys = await signersAtHand(domain.layout, "policy");
    const pcrs = { sha256: new Map([[16, [sha256(text("x"))]]]) };
    await expect(signPolicy(domain, { name: "x", pcrs }, keys, NOW)).rejects.toMatchObject({
      code: "domain.input",
      message: expect.stringMatching(/PCR 16/),
    });
    const [held] = await loadPolicies(domain);
    if (held === undefined) throw new Error("no policy");
    await expect(keepPolicy(domain, held.bytes)).rejects.toMatchObject({ code: "domain.exists" });
    const foreign = { ...held.object.claims, domain: "elsewhere.test" };
    const [key] = keys;
    if (key === undefined) throw new Error("no key");
    const bytes = await signObject("policy", foreign, [key]);
    await expect(keepPolicy(domain, bytes)).rejects.toMatchObject({ code: "domain.input" });
  });
});
