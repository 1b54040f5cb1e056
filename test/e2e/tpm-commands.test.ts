import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAttestationKey, loadAttestationKey } from "../../src/agent/attestation-key.ts";
import { findEndorsementKey } from "../../src/agent/endorsement-key.ts";
import * as tpm2 from "../../src/tpm/index.ts";
import { COUNTER_ATTRIBUTES } from "../../src/tpm/nv.ts";
import { hex } from "../../src/tpm/structures/bytes.ts";
import { TPM_ALG, TPM_HT, TPM_PT, TPM_RH } from "../../src/tpm/structures/constants.ts";
import { parsePublic, qualifiedName } from "../../src/tpm/structures/public.ts";
import { verifyTpmSignature } from "../../src/tpm/structures/signature.ts";
import { akTemplate, STORAGE_TEMPLATE } from "../../src/tpm/structures/templates.ts";
import { signingKey, softwareTpm } from "./tpm-support.ts";

const DEVICE = "/dev/tpmrm0";
const { SHA1, SHA256, SHA512 } = TPM_ALG;
const ALL_PCRS = Array.from({ length: 24 }, (_, i) => i);

const tpms = softwareTpm();
let relay: Server;

/** swtpm's data socket behind TCP, as another host would offer it. */
function relayTo(path: string): Promise<Server> {
  const server = createServer((client) => {
    const upstream = createConnection({ path });
    client.pipe(upstream).pipe(client);
    for (const one of [client, upstream])
      one.on("error", () => [client, upstream].map((x) => x.destroy()));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

beforeAll(async () => {
  relay = await relayTo(tpms.machine.tcti.slice("swtpm:path=".length));
});

afterAll(() => {
  relay.close();
});

const tcpPort = (): number => {
  const address = relay.address();
  return typeof address === "object" && address !== null ? address.port : 0;
};

const transports: readonly (readonly [name: string, uri: () => string, real: boolean])[] = [
  ["swtpm's socket", () => tpms.machine.uri, false],
  ["swtpm over TCP", () => `swtpm:host=127.0.0.1,port=${tcpPort()}`, false],
  ["tpm2-tss' TCTI", () => tpms.machine.tctiUri, false],
  ["tpm2-tss' TCTI for the device", () => `tcti:device:${DEVICE}`, true],
  ["the kernel's device", () => `device:${DEVICE}`, true],
];

describe.each(transports)("over %s", (_, uri, real) => {
  const absent = real && !existsSync(DEVICE);
  const it = absent ? test.skip : test;
  const software = real ? test.skip : test;

  it("random bytes of any length, all different", async () => {
    await using tpm = await tpm2.openTpm(uri());
    const [a, b] = [await tpm2.getRandom(tpm, 100), await tpm2.getRandom(tpm, 100)];
    expect(a).toHaveLength(100);
    expect(hex(a)).not.toBe(hex(b));
    expect(await tpm2.getRandom(tpm, 0)).toHaveLength(0);
  });

  it("capabilities", async () => {
    await using tpm = await tpm2.openTpm(uri());
    const properties = await tpm2.tpmProperties(tpm);
    // "2.0\0" as a number, Part 2 §6.13.
    expect(properties.get(TPM_PT.FAMILY_INDICATOR)).toBe(0x322e3000);
    expect(await tpm2.algorithms(tpm)).toEqual(expect.arrayContaining([TPM_ALG.RSA, SHA256]));
    const banks = await tpm2.pcrBanks(tpm);
    expect(banks.find(({ hash }) => hash === SHA256)?.pcrs).toEqual(ALL_PCRS);
    expect(await tpm2.handles(tpm, TPM_HT.TRANSIENT)).toEqual([]);
    await tpm2.selfTest(tpm);
  });

  it("more commands at once than a TPM takes are queued", async () => {
    await using tpm = await tpm2.openTpm(uri());
    const all = await Promise.all(Array.from({ length: 20 }, () => tpm2.getRandom(tpm, 8)));
    expect(new Set(all.map(hex)).size).toBe(20);
  });

  it("PCR 16: extend in all active banks, read, reset", async () => {
    await using tpm = await tpm2.openTpm(uri());
    await tpm2.pcrReset(tpm, 16);
    const digest = new Uint8Array(randomBytes(32));
    await tpm2.pcrExtend(tpm, 16, [{ hash: SHA256, digest }]);
    const [read] = await tpm2.pcrRead(tpm, [{ hash: SHA256, pcrs: [16] }]);
    const expected = createHash("sha256").update(new Uint8Array(32)).update(digest).digest("hex");
    expect(hex(read?.value ?? new Uint8Array())).toBe(expected);
    await tpm2.pcrReset(tpm, 16);
    const [after] = await tpm2.pcrRead(tpm, [{ hash: SHA256, pcrs: [16] }]);
    expect(after?.value).toEqual(new Uint8Array(32));
  });

  it("a refusal names command, code and place, and the connection goes on", async () => {
    await using tpm = await tpm2.openTpm(uri());
    const error = await tpm2.readPublic(tpm, 0x81777777).catch((cause: unknown) => cause);
    expect(error).toMatchObject({
      code: "tpm.refused",
      command: "TPM2_ReadPublic",
      rcName: "TPM_RC_HANDLE",
      position: { kind: "handle", number: 1 },
    });
    expect(await tpm2.getRandom(tpm, 4)).toHaveLength(4);
  });

  it("objects are freed: more keys than slots, one after the other", async () => {
    await using tpm = await tpm2.openTpm(uri());
    const names: string[] = [];
    for (let i = 0; i < 5; i++) {
      await using key = await tpm2.createPrimary(tpm, TPM_RH.NULL, STORAGE_TEMPLATE);
      names.push(hex(key.name));
    }
    expect(new Set(names).size).toBe(1);
    expect(await tpm2.handles(tpm, TPM_HT.TRANSIENT)).toEqual([]);
  });

  it("salted sessions: HMAC, and parameters encrypted both ways", async () => {
    await using tpm = await tpm2.openTpm(uri());
    await using storage = await tpm2.createPrimary(tpm, TPM_RH.NULL, STORAGE_TEMPLATE);
    await using session = await tpm2.startSession(tpm, "hmac", storage);
    const value = new Uint8Array(randomBytes(16));
    const crypted = { session, decrypt: true, encrypt: true };
    const blob = await tpm2.create(
      tpm,
      storage,
      akTemplate("ecc"),
      [tpm2.password(), crypted],
      value,
    );
    await using key = await tpm2.load(tpm, storage, blob, [{ session, value: new Uint8Array() }]);
    // The key's own value authorizes it, by password and by HMAC; a wrong one does not.
    const data = new Uint8Array(randomBytes(32));
    for (const authorization of [tpm2.password(value), { session, value }]) {
      const { attest, signature } = await tpm2.quote(tpm, key, data, [], authorization);
      expect(verifyTpmSignature(key.public, attest, signature)).toBe(true);
    }
    const wrong = tpm2.quote(tpm, key, data, [], { session, value: data });
    await expect(wrong).rejects.toThrow(/TPM_RC_(AUTH_FAIL|BAD_AUTH).*\(session 1\)/);
    expect(await tpm2.getRandom(tpm, 32, [{ session, encrypt: true }])).toHaveLength(32);
  });

  software("an AK below the EK: qualified name, quote, time, and nothing left over", async () => {
    await using tpm = await tpm2.openTpm(uri());
    const { key: ek } = await findEndorsementKey(tpm);
    const blob = await createAttestationKey(tpm, ek, "ecc");
    await using ak = await loadAttestationKey(tpm, ek, blob);
    const { qualifiedName: told } = await tpm2.readPublic(tpm, ak.handle);
    expect(told).toEqual(qualifiedName(TPM_RH.ENDORSEMENT, [ek.name, ak.name]));
    const data = new Uint8Array(randomBytes(32));
    const time = await tpm2.getTime(tpm, ak, data);
    const read = tpm2.parseAttest(time.attest);
    expect(read).toMatchObject({
      qualifiedSigner: told,
      extraData: data,
      attested: { type: "time" },
    });
    expect(verifyTpmSignature(ak.public, time.attest, time.signature)).toBe(true);
    const clock = await tpm2.readClock(tpm);
    expect(clock.clockInfo.resetCount).toBe(read.clockInfo.resetCount);
    expect(await tpm2.handles(tpm, TPM_HT.TRANSIENT)).toEqual([ak.handle]);
    expect(await tpm2.handles(tpm, TPM_HT.LOADED_SESSION)).toEqual([]);
  });

  software(
    "an inactive bank is silently missing from a quote, and the parser shows it",
    async () => {
      await using tpm = await tpm2.openTpm(uri());
      await using key = await signingKey(tpm);
      const asked = [SHA1, SHA256].map((hash) => ({ hash, pcrs: [0, 1] }));
      const { attest } = await tpm2.quote(tpm, key, new Uint8Array(32), asked);
      const { attested } = tpm2.parseAttest(attest);
      const pcrSelect = attested.type === "quote" ? attested.pcrSelect : [];
      expect(pcrSelect).toEqual([
        { hash: SHA1, pcrs: [] },
        { hash: SHA256, pcrs: [0, 1] },
      ]);
      const values = await tpm2.pcrRead(tpm, asked);
      expect(values.map(({ hash }) => hash)).toEqual([SHA256, SHA256]);
    },
  );

  software("an NV counter: define, increment, certify, read, undefine", async () => {
    await using tpm = await tpm2.openTpm(uri());
    const nvIndex = 0x01500021;
    const nv = {
      nvIndex,
      nameAlg: SHA256,
      attributes: COUNTER_ATTRIBUTES,
      authPolicy: new Uint8Array(),
      dataSize: 8,
    };
    await tpm2.nvDefineSpace(tpm, nv);
    const fresh = await tpm2.nvReadPublic(tpm, nvIndex);
    await expect(tpm2.nvRead(tpm, fresh)).rejects.toThrow(/TPM_RC_NV_UNINITIALIZED/);
    await tpm2.nvIncrement(tpm, fresh);
    const written = await tpm2.nvReadPublic(tpm, nvIndex);
    expect(hex(written.name)).not.toBe(hex(fresh.name));
    await tpm2.nvIncrement(tpm, written);
    const content = await tpm2.nvRead(tpm, written);
    expect(content).toHaveLength(8);
    await using key = await signingKey(tpm);
    const data = new Uint8Array(randomBytes(32));
    const { attest, signature } = await tpm2.nvCertify(tpm, key, written, data, {
      offset: 0,
      bytes: 8,
    });
    expect(verifyTpmSignature(key.public, attest, signature)).toBe(true);
    expect(tpm2.parseAttest(attest).attested).toEqual({
      type: "nv",
      indexName: written.name,
      offset: 0,
      nvContents: content,
    });
    await tpm2.nvUndefineSpace(tpm, written);
    await expect(tpm2.nvReadPublic(tpm, nvIndex)).rejects.toThrow(/TPM_RC_HANDLE/);
  });

  software("a key made persistent is found again, and evicted", async () => {
    await using tpm = await tpm2.openTpm(uri());
    const handle = 0x81000042;
    await using key = await tpm2.createPrimary(tpm, TPM_RH.OWNER, STORAGE_TEMPLATE);
    await tpm2.evictControl(tpm, key, handle);
    const { key: persistent } = await tpm2.readPublic(tpm, handle);
    expect(persistent.name).toEqual(key.name);
    await tpm2.evictControl(tpm, persistent, handle);
    await expect(tpm2.readPublic(tpm, handle)).rejects.toThrow(/TPM_RC_HANDLE/);
  });

  software("leftovers of a connection that ended badly are flushed by the next", async () => {
    const abandoned = await tpm2.openTpm(uri());
    for (let i = 0; i < 3; i++) await tpm2.createPrimary(abandoned, TPM_RH.NULL, STORAGE_TEMPLATE);
    await tpm2.startSession(abandoned, "policy", null);
    await tpm2.startSession(abandoned, "hmac", null);
    await abandoned.close();
    await using tpm = await tpm2.openTpm(uri());
    for (const type of [TPM_HT.TRANSIENT, TPM_HT.LOADED_SESSION, TPM_HT.SAVED_SESSION]) {
      expect(await tpm2.handles(tpm, type)).toEqual([]);
    }
  });
});
test("SHA-512 exists in this TPM and is inactive", async () => {
  await using tpm = await tpm2.openTpm(tpms.machine.uri);
  expect((await tpm2.pcrBanks(tpm)).find(({ hash }) => hash === SHA512)?.pcrs).toEqual([]);
  expect(parsePublic((await findEndorsementKey(tpm)).key.publicArea).type).toBe(TPM_ALG.RSA);
});
