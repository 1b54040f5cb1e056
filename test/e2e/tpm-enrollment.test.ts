/**
 * Enrollment between a software TPM and an enroller, and every way in which one side could cheat
 * the other.
 */
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  activate,
  createAttestationKey,
  loadAttestationKey,
} from "../../src/agent/attestation-key.ts";
import { findEndorsementKey } from "../../src/agent/endorsement-key.ts";
import { NodeEnrollment, openAgent, writeAkFile } from "../../src/agent/index.ts";
import { makeCredential } from "../../src/enroll/credential.ts";
import { EnrollError, Enroller, type EnrollerOptions, ueidOf } from "../../src/enroll/index.ts";
import { getTime, quote } from "../../src/tpm/attestation.ts";
import { create, createPrimary, load } from "../../src/tpm/object.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { password } from "../../src/tpm/session.ts";
import { parseAttest } from "../../src/tpm/structures/attest.ts";
import { TPM_ALG, TPM_RH, TPMA_OBJECT } from "../../src/tpm/structures/constants.ts";
import { pcrDigest } from "../../src/tpm/structures/pcr.ts";
import { computeName, parsePublic } from "../../src/tpm/structures/public.ts";
import { verifyTpmSignature } from "../../src/tpm/structures/signature.ts";
import { akTemplate } from "../../src/tpm/structures/templates.ts";
import { type EnrollmentRequest, enrollmentDigest } from "../../src/wire/enrollment.ts";
import { parseSigned } from "../../src/wire/objects.ts";
import { type Machines, preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";
import { testSigner } from "../support/keys.ts";

const signer = testSigner("enroller");
const logKey = testSigner("log").key;
const seconds = Math.floor(Date.now() / 1000);
/** Status indexes given out. */
let taken = 0;
const grant = {
  labels: ["web"],
  statusIndex: () => {
    taken++;
    return 7;
  },
  iat: seconds,
  exp: seconds + 3600,
  enrolled: null,
};
const PCRS = [{ hash: TPM_ALG.SHA256, pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }];

let machines: Machines;
let first: SoftwareTpm;
let second: SoftwareTpm;
let folder: string;
let enroller: Enroller;
let now: Date; // once the machines are made: they may be younger than this file

function enrollerWith(options: Partial<EnrollerOptions> = {}): Enroller {
  const { root, issuer } = machines;
  return new Enroller({
    domain: "example.org",
    signer,
    roots: [root],
    intermediates: [issuer],
    ...options,
  });
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => new Error("it was accepted"),
    (cause: unknown) => cause,
  );
  if (!(error instanceof EnrollError)) throw error;
  return error.code;
}

beforeAll(async () => {
  machines = await preparedMachines();
  now = new Date();
  const [one = "", two = ""] = machines.states;
  first = await SoftwareTpm.start({ template: one });
  second = await SoftwareTpm.start({ template: two });
  folder = await mkdtemp(join(tmpdir(), "enrollment "));
  enroller = enrollerWith();
});

afterAll(async () => {
  await first.stop();
  await second.stop();
  await rm(folder, { recursive: true });
});

describe("enrollment", () => {
  test("gives a node credential, and the machine then quotes with the enrolled key", async () => {
    const akFile = join(folder, "ak");
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const pending = await enroller.challenge(node.request, now);
    const answer = await node.answer(pending.challenge);
    const bytes = await enroller.issue(pending, answer, grant);
    await writeAkFile(akFile, node.blob);
    await node.close();

    const { claims } = parseSigned("node", bytes);
    const attest = parseAttest(answer.attest);
    expect(claims).toMatchObject({
      domain: "example.org",
      ueid: ueidOf(node.request.ekPublic),
      publicArea: node.request.akPublic,
      name: computeName(node.request.akPublic),
      qualifiedName: attest.qualifiedSigner,
      labels: ["web"],
      statusIndex: 7,
      logKey,
      nvIndexName: null,
    });
    expect(claims.counters.resetCount).toBe(attest.clockInfo.resetCount);
    expect(claims.counters.firmwareVersion).toBe(attest.firmwareVersion);

    await using agent = await openAgent({ tpm: first.uri, akFile });
    expect(agent.name).toEqual(claims.name);
    const data = createHash("sha256").update("request").digest();
    const evidence = await agent.quote(data, PCRS);
    const ak = parsePublic(agent.publicArea);
    expect(verifyTpmSignature(ak, evidence.attest, evidence.signature)).toBe(true);
    const quoted = parseAttest(evidence.attest);
    expect(quoted.qualifiedSigner).toEqual(claims.qualifiedName);
    expect(quoted.extraData).toEqual(new Uint8Array(data));
    expect(quoted.attested).toMatchObject({
      type: "quote",
      pcrSelect: PCRS,
      pcrDigest: pcrDigest(TPM_ALG.SHA256, evidence.values),
    });
    const counters = await agent.counters();
    expect(counters.firmwareVersion).toBe(quoted.firmwareVersion);
    expect(counters.resetCount).toBe(quoted.clockInfo.resetCount);
    expect(counters.clock).toBeGreaterThanOrEqual(quoted.clockInfo.clock);
  });

  test("an allowlisted EK needs no certificate, and the credential says so", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const request = { ...node.request, ekCertificate: null };
    expect(await refusal(enroller.challenge(request, now))).toBe("enroll.certificate-missing");
    const digest = createHash("sha256").update(request.ekPublic).digest("hex");
    const lenient = enrollerWith({ allowedEks: new Set([digest]) });
    const pending = await lenient.challenge(request, now);
    expect(pending.akName).toEqual(computeName(request.akPublic));
  });
});

describe("what the enroller refuses", () => {
  test("CVE-2021-3406: an EK certificate whose chain leads to no configured root", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const other = enrollerWith({ roots: [machines.issuer], intermediates: [] });
    expect((await other.challenge(node.request, now)).akName).toBeDefined();
    const noIssuer = enrollerWith({ intermediates: [] });
    expect(await refusal(noIssuer.challenge(node.request, now))).toBe(
      "enroll.certificate-untrusted",
    );
    const noRoots = enrollerWith({ roots: [] });
    expect(await refusal(noRoots.challenge(node.request, now))).toBe("enroll.roots");
    const long = new Date("2001-01-01");
    expect(await refusal(enroller.challenge(node.request, long))).toBe(
      "enroll.certificate-expired",
    );
  });

  test("an EK certificate with any byte of its signed part or signature changed", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const { ekCertificate } = node.request;
    if (!ekCertificate) throw new Error("the software TPM has a certificate");
    for (let at = 0; at < ekCertificate.length; at += 31) {
      const changed = ekCertificate.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      const request = { ...node.request, ekCertificate: changed };
      expect(await refusal(enroller.challenge(request, now)), `byte ${at}`).toMatch(
        /^enroll\.cert/,
      );
    }
  });

  test("another machine's EK certificate, or another machine's EK", async () => {
    await using a = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    await using b = await NodeEnrollment.begin({ tpm: second.uri, logKey });
    const mixed = { ...a.request, ekCertificate: b.request.ekCertificate };
    expect(await refusal(enroller.challenge(mixed, now))).toBe("enroll.certificate-key");
    const moved = { ...a.request, ekPublic: b.request.ekPublic };
    expect(await refusal(enroller.challenge(moved, now))).toBe("enroll.certificate-key");
  });

  test("CVE-2022-1053: one AK challenged, another used", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const pending = await enroller.challenge(node.request, now);
    const answer = await node.answer(pending.challenge);
    await node.close();
    await using tpm = await openTpm(first.uri);
    const { key: ek } = await findEndorsementKey(tpm);
    const blob = await createAttestationKey(tpm, ek, "ecc");
    await using ak = await loadAttestationKey(tpm, ek, blob);
    const digest = enrollmentDigest(node.request, answer.secret);
    const forged = await quote(tpm, ak, digest, []);
    const issue = enroller.issue(pending, { ...answer, ...forged }, grant);
    expect(await refusal(issue)).toBe("enroll.attestation");
  });

  test("CVE-2022-1053: an AK cannot activate another one's credential", async () => {
    await using tpm = await openTpm(first.uri);
    const { key: ek } = await findEndorsementKey(tpm);
    const blob = await createAttestationKey(tpm, ek, "ecc");
    await using ak = await loadAttestationKey(tpm, ek, blob);
    const other = new Uint8Array(ak.name);
    other[5] = (other[5] ?? 0) ^ 1;
    const challenge = makeCredential(ek.public, other, new Uint8Array(32));
    await expect(activate(tpm, { ek, ak }, challenge)).rejects.toThrow(/TPM_RC_INTEGRITY/);
  });

  test("a challenge for one machine answered by another", async () => {
    await using a = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    await using b = await NodeEnrollment.begin({ tpm: second.uri, logKey });
    const pending = await enroller.challenge(a.request, now);
    await expect(b.answer(pending.challenge)).rejects.toThrow(/^TPM2_ActivateCredential failed/);
  });

  test("CVE-2023-38201: a wrong secret, also when everything else is right", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const pending = await enroller.challenge(node.request, now);
    const answer = await node.answer(pending.challenge);
    const secret = answer.secret.map((byte, i) => (i === 31 ? byte ^ 1 : byte));
    expect(await refusal(enroller.issue(pending, { ...answer, secret }, grant))).toBe(
      "enroll.challenge",
    );
    // And the challenge is spent: guessing goes on with another one or not at all.
    expect(await refusal(enroller.issue(pending, answer, grant))).toBe("enroll.challenge");
  });

  test("an answer is good once, and only for what challenge() made", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const pending = await enroller.challenge(node.request, now);
    const answer = await node.answer(pending.challenge);
    const alike = { ...pending };
    expect(await refusal(enroller.issue(alike, answer, grant))).toBe("enroll.challenge");
    await enroller.issue(pending, answer, grant);
    expect(await refusal(enroller.issue(pending, answer, grant))).toBe("enroll.challenge");
  });

  test("an attestation that signs another request: the log key cannot be exchanged", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const request: EnrollmentRequest = { ...node.request, logKey: testSigner("thief").key };
    const pending = await enroller.challenge(request, now);
    const answer = await node.answer(pending.challenge);
    expect(await refusal(enroller.issue(pending, answer, grant))).toBe("enroll.attestation");
  });

  test("CVE-2024-29038, GHSA-gwfg-w3jr-xh66: an attestation by no TPM, or no quote", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    for (const change of [
      (attest: Uint8Array) => attest.map((byte, i) => (i === 0 ? byte ^ 1 : byte)),
      (attest: Uint8Array) => attest.map((byte, i) => (i === 5 ? 0x17 : byte)),
      (attest: Uint8Array) => attest.slice(0, -1),
      (attest: Uint8Array) => Uint8Array.of(...attest, 0),
    ]) {
      const pending = await enroller.challenge(node.request, now);
      const answer = await node.answer(pending.challenge);
      const changed = { ...answer, attest: change(answer.attest) };
      expect(await refusal(enroller.issue(pending, changed, grant))).toBe("enroll.attestation");
    }
  });

  test("an attestation of the right key and request that is no quote", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const pending = await enroller.challenge(node.request, now);
    await node.close();
    await using tpm = await openTpm(first.uri);
    const { key: ek } = await findEndorsementKey(tpm);
    await using ak = await loadAttestationKey(tpm, ek, node.blob);
    const secret = await activate(tpm, { ek, ak }, pending.challenge);
    const time = await getTime(tpm, ak, enrollmentDigest(node.request, secret));
    const issue = enroller.issue(pending, { secret, ...time }, grant);
    expect(await refusal(issue)).toBe("enroll.attestation");
  });

  test("CVE-2025-13609: a new TPM cannot take a node's identity", async () => {
    await using a = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    await using b = await NodeEnrollment.begin({ tpm: second.uri, logKey });
    const [one, two] = [
      await enroller.challenge(a.request, now),
      await enroller.challenge(b.request, now),
    ];
    expect(one.ueid).not.toEqual(two.ueid);
    const answer = await b.answer(two.challenge);
    const taken = { ueid: one.ueid, name: one.akName };
    const takeOver = { ...grant, enrolled: taken, replace: true };
    const before = taken;
    expect(await refusal(enroller.issue(two, answer, takeOver))).toBe("enroll.identity");
    expect(taken).toBe(before);
    const three = await enroller.challenge(b.request, now);
    const issued = await enroller.issue(three, await b.answer(three.challenge), grant);
    expect(parseSigned("node", issued).claims.ueid).toEqual(ueidOf(b.request.ekPublic));
  });

  test("CVE-2021-43310: a request does not re-key a node that is enrolled", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const enrolled = { ueid: ueidOf(node.request.ekPublic), name: new Uint8Array(34).fill(1) };
    const again = async (replace: boolean): Promise<Uint8Array> => {
      const pending = await enroller.challenge(node.request, now);
      const answer = await node.answer(pending.challenge);
      return enroller.issue(pending, answer, { ...grant, enrolled, replace });
    };
    const before = taken;
    expect(await refusal(again(false))).toBe("enroll.rekey");
    expect(taken).toBe(before);
    expect(await again(true)).toBeInstanceOf(Uint8Array);
  });
});

describe("keys that are no attestation keys", () => {
  const change = (bits: number) => {
    const template = akTemplate("ecc");
    return { ...template, objectAttributes: template.objectAttributes ^ bits };
  };

  test.each([
    ["not restricted: it signs whatever it is given", TPMA_OBJECT.restricted],
    ["not fixed to its TPM", TPMA_OBJECT.fixedTPM],
    ["may be duplicated", TPMA_OBJECT.encryptedDuplication],
    ["made outside", TPMA_OBJECT.sensitiveDataOrigin],
    ["signs certificates", TPMA_OBJECT.x509sign],
    ["decrypts", TPMA_OBJECT.decrypt],
    ["a reserved bit", 1 << 3],
  ])("%s", async (_, bits) => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const area = node.request.akPublic.slice();
    const view = new DataView(area.buffer);
    view.setUint32(4, view.getUint32(4) ^ bits);
    const request = { ...node.request, akPublic: area };
    expect(await refusal(enroller.challenge(request, now))).toBe("enroll.ak");
    expect(change(bits).objectAttributes).not.toBe(akTemplate("ecc").objectAttributes);
  });

  test("the EK itself, or bytes that are no key", async () => {
    await using node = await NodeEnrollment.begin({ tpm: first.uri, logKey });
    const { request } = node;
    for (const akPublic of [request.ekPublic, request.akPublic.slice(0, -1), Uint8Array.of(0)]) {
      expect(await refusal(enroller.challenge({ ...request, akPublic }, now))).toBe("enroll.ak");
    }
    const swapped = { ...request, ekPublic: request.akPublic };
    expect(await refusal(enroller.challenge(swapped, now))).toBe("enroll.ek");
  });

  test("an AK in the storage hierarchy activates; its qualified name gives it away", async () => {
    await using tpm = await openTpm(second.uri);
    const { key: ek, certificate } = await findEndorsementKey(tpm);
    // A storage primary made by the EK's own template, and our AK below it.
    const template = parsePublic(ek.publicArea);
    await using storage = await createPrimary(tpm, TPM_RH.OWNER, {
      ...akTemplate("ecc"),
      objectAttributes:
        (template.objectAttributes | TPMA_OBJECT.userWithAuth) & ~TPMA_OBJECT.adminWithPolicy,
      symmetric: { algorithm: TPM_ALG.AES, keyBits: 128, mode: TPM_ALG.CFB },
      scheme: null,
    });
    const blob = await create(tpm, storage, akTemplate("ecc"), [password()]);
    await using ak = await load(tpm, storage, blob, [password()]);
    const request: EnrollmentRequest = {
      ekPublic: ek.publicArea,
      akPublic: ak.publicArea,
      ekCertificate: certificate,
      intermediates: [],
      logKey,
      nvIndexName: null,
    };
    const pending = await enroller.challenge(request, now);
    const secret = await activate(tpm, { ek, ak }, pending.challenge);
    const signed = await quote(tpm, ak, enrollmentDigest(request, secret), []);
    expect(await refusal(enroller.issue(pending, { secret, ...signed }, grant))).toBe(
      "enroll.hierarchy",
    );
  });
});
