/** Endorsement keys of every template, as a software TPM makes and keeps them. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  activate,
  createAttestationKey,
  loadAttestationKey,
} from "../../src/agent/attestation-key.ts";
import { findEndorsementKey } from "../../src/agent/endorsement-key.ts";
import { NodeEnrollment } from "../../src/agent/index.ts";
import { makeCredential } from "../../src/enroll/credential.ts";
import { parseEk } from "../../src/enroll/endorsement-key.ts";
import { Enroller } from "../../src/enroll/index.ts";
import {
  createPrimary,
  readPublic,
  makeCredential as tpmMakeCredential,
} from "../../src/tpm/object.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { TPM_ALG, TPM_RH, TPMA_OBJECT } from "../../src/tpm/structures/constants.ts";
import { encodePublic, type TPMT_PUBLIC } from "../../src/tpm/structures/public.ts";
import { EK_TEMPLATES, ekTemplateOf } from "../../src/tpm/structures/templates.ts";
import { manufacture, preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";
import { testSigner } from "../support/keys.ts";

const logKey = testSigner("log").key;
const run = promisify(execFile);
let first: SoftwareTpm;
let folder: string;

beforeAll(async () => {
  const [template = ""] = (await preparedMachines()).states;
  first = await SoftwareTpm.start({ template });
  folder = await mkdtemp(join(tmpdir(), "endorsement-"));
});

afterAll(async () => {
  await first.stop();
  await rm(folder, { recursive: true });
});

describe("MakeCredential", () => {
  test.each(EK_TEMPLATES)("ours activates for an EK of template $id", async (kind) => {
    await using tpm = await openTpm(first.uri);
    await using ek = await createPrimary(tpm, TPM_RH.ENDORSEMENT, kind.template);
    expect(ekTemplateOf(ek.public)).toBe(kind);
    const blob = await createAttestationKey(tpm, ek, "ecc");
    await using ak = await loadAttestationKey(tpm, ek, blob);
    for (const length of [1, 16, 32]) {
      const credential = new Uint8Array(length).fill(length);
      const challenge = makeCredential(ek.public, ak.name, credential);
      expect(await activate(tpm, { ek, ak }, challenge)).toEqual(credential);
    }
    // And has the TPM's own form. The EK takes a slot, and so does the AK.
    const theirs = await tpmMakeCredential(tpm, ek, new Uint8Array(32), ak.name);
    const ours = makeCredential(ek.public, ak.name, new Uint8Array(32));
    expect(theirs.credentialBlob).toHaveLength(ours.credentialBlob.length);
    expect(theirs.secret).toHaveLength(ours.secret.length);
  });

  test.each([
    [0x81010001, "L-1"],
    [0x81010016, "H-3"],
  ])("the factory made its EK at 0x%s by template %s", async (handle, id) => {
    await using tpm = await openTpm(first.uri);
    const { key } = await readPublic(tpm, handle);
    expect(ekTemplateOf(key.public)?.id).toBe(id);
  });
});

describe("what the vendor left in NV", () => {
  /** Writes an index as a factory does: readable by anybody with its empty authorization. */
  async function provision(tpm: SoftwareTpm, index: number, content: Uint8Array): Promise<void> {
    const env = { ...process.env, TPM2TOOLS_TCTI: tpm.tcti };
    const [name, file] = [`0x${index.toString(16)}`, join(folder, `nv-${index}`)];
    await writeFile(file, content);
    await (await openTpm(tpm.uri)).close();
    const rights = "ownerread|authread|ownerwrite|authwrite|no_da";
    await run("tpm2_nvdefine", [name, "-C", "o", "-s", `${content.length}`, "-a", rights], { env });
    await run("tpm2_nvwrite", [name, "-C", "o", "-i", file], { env });
  }

  async function publicOf(tpm: SoftwareTpm): Promise<Uint8Array> {
    await using open = await openTpm(tpm.uri);
    const { key } = await findEndorsementKey(open);
    await using _key = key;
    return key.publicArea;
  }

  test("a nonce makes another key of the same template, every time the same", async () => {
    await using plain = await SoftwareTpm.start();
    const without = await publicOf(plain);
    await provision(plain, 0x01c00003, new Uint8Array(64).fill(9));
    const nonced = await publicOf(plain);
    expect(nonced).not.toEqual(without);
    expect(ekTemplateOf(parseEk(nonced))?.id).toBe("L-1");
    expect(await publicOf(plain)).toEqual(nonced);
  });

  test("a template of its own is followed, and the node enrolls with such a key", async () => {
    const [profile] = EK_TEMPLATES;
    if (profile?.template.type !== TPM_ALG.RSA) throw new Error("L-1 is RSA");
    const own: TPMT_PUBLIC = {
      ...profile.template,
      objectAttributes: profile.template.objectAttributes | TPMA_OBJECT.userWithAuth,
    };
    await using machine = await SoftwareTpm.start();
    await provision(machine, 0x01c00004, encodePublic(own));
    const ekPublic = await publicOf(machine);
    expect(ekTemplateOf(parseEk(ekPublic))).toBeNull();
    await using node = await NodeEnrollment.begin({ tpm: machine.uri, logKey });
    expect(node.request.ekPublic).toEqual(ekPublic);
    const digest = Buffer.from(await crypto.subtle.digest("SHA-256", ekPublic.slice()));
    const allowedEks = new Set([digest.toString("hex")]);
    const signer = testSigner("enroller");
    const enroller = new Enroller({ domain: "example.org", signer, roots: [], allowedEks });
    const pending = await enroller.challenge(node.request, new Date());
    const answer = await node.answer(pending.challenge);
    const grant = { labels: [], statusIndex: () => 0, iat: 1, exp: 2, enrolled: null };
    expect(await enroller.issue(pending, answer, grant)).toBeInstanceOf(Uint8Array);
  });
});

describe("an EK of RSA-3072", () => {
  test("has its certificate in the high range, and enrolls by it", async () => {
    const { states, root, issuer } = await manufacture(folder, 1, { rsaBits: 3072 });
    const [template = ""] = states;
    await using machine = await SoftwareTpm.start({ template });
    const tpm = await openTpm(machine.uri);
    const { key } = await readPublic(tpm, 0x8101001c);
    expect(ekTemplateOf(key.public)?.id).toBe("H-6");
    await tpm.close();
    // The factory gives it a P-384 EK too, which is looked for first.
    const env = { ...process.env, TPM2TOOLS_TCTI: machine.tcti };
    await run("tpm2_nvundefine", ["0x01c00016", "-C", "p"], { env });
    await using node = await NodeEnrollment.begin({ tpm: machine.uri, logKey });
    expect(node.request.ekPublic).toEqual(key.publicArea);
    const signer = testSigner("enroller");
    const options = { domain: "example.org", signer, roots: [root], intermediates: [issuer] };
    const enroller = new Enroller(options);
    const pending = await enroller.challenge(node.request, new Date());
    const answer = await node.answer(pending.challenge);
    const grant = { labels: [], statusIndex: () => 0, iat: 1, exp: 2, enrolled: null };
    expect(await enroller.issue(pending, answer, grant)).toBeInstanceOf(Uint8Array);
  });
});

describe("keys that are no endorsement keys", () => {
  const [profile] = EK_TEMPLATES;
  if (profile?.template.type !== TPM_ALG.RSA) throw new Error("L-1 is RSA");
  const n = new Uint8Array(256).fill(0xff);
  const good = { ...profile.template, n };
  const without = (bit: number) => ({ ...good, objectAttributes: good.objectAttributes ^ bit });

  test("the template's own is one", () => expect(() => parseEk(encodePublic(good))).not.toThrow());

  test.each([
    ["not restricted: it decrypts for anybody", without(TPMA_OBJECT.restricted)],
    ["not fixed to its TPM", without(TPMA_OBJECT.fixedTPM)],
    ["not fixed to its parent", without(TPMA_OBJECT.fixedParent)],
    ["made outside", without(TPMA_OBJECT.sensitiveDataOrigin)],
    ["signs", without(TPMA_OBJECT.sign)],
    ["may be duplicated", without(TPMA_OBJECT.encryptedDuplication)],
    ["a reserved bit", without(1 << 3)],
    ["a Name by SHA-1", { ...good, nameAlg: TPM_ALG.SHA1 }],
    ["a scheme", { ...good, scheme: { scheme: TPM_ALG.RSAES, hash: null } }],
    ["no symmetric algorithm", { ...good, symmetric: null }],
    ["1024 bits", { ...good, keyBits: 1024, n: n.slice(128) }],
    ["a modulus of another size", { ...good, n: n.slice(1) }],
  ])("%s", (_, key: TPMT_PUBLIC) => {
    expect(() => parseEk(encodePublic(key))).toThrow(/enroll.ek|no endorsement key|does not parse/);
  });
});
