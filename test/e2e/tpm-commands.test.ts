/** One suite over every transport, on a TPM implementation of others; tpm2-tools is the independent check. */
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createConnection, createServer, type Server } from "node:net";
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
import { makeCredential } from "../../src/enroll/credential.ts";
import * as tpm2 from "../../src/tpm/index.ts";
import { COUNTER_ATTRIBUTES } from "../../src/tpm/nv.ts";
import { concat, hex, u16, u32 } from "../../src/tpm/structures/bytes.ts";
import {
  TPM_ALG,
  TPM_ECC,
  TPM_HT,
  TPM_PT,
  TPM_RH,
  TPMA_OBJECT,
} from "../../src/tpm/structures/constants.ts";
import {
  computeName,
  parsePublic,
  qualifiedName,
  type TPMT_PUBLIC,
  toKeyObject,
} from "../../src/tpm/structures/public.ts";
import { verifyTpmSignature } from "../../src/tpm/structures/signature.ts";
import { akTemplate } from "../../src/tpm/structures/templates.ts";
import type { Tpm } from "../../src/tpm/tpm.ts";
import { openTransport, parseTpmUri } from "../../src/tpm/uri.ts";
import { preparedMachines, SoftwareTpm } from "../../swtpm/index.ts";

const run = promisify(execFile);
const DEVICE = "/dev/tpmrm0";
const { SHA1, SHA256, SHA384, SHA512 } = TPM_ALG;
const ALL_PCRS = Array.from({ length: 24 }, (_, i) => i);

let machine: SoftwareTpm;
let relay: Server;
let folder: string;

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
  const [template = ""] = (await preparedMachines()).states;
  machine = await SoftwareTpm.start({ template });
  relay = await relayTo(machine.tcti.slice("swtpm:path=".length));
  folder = await mkdtemp(join(tmpdir(), "commands "));
});

afterAll(async () => {
  relay.close();
  await machine.stop();
  await rm(folder, { recursive: true });
});

async function tool(name: string, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, TPM2TOOLS_TCTI: machine.tcti, TSS2_LOG: "all+none" };
  return (await run(name, args, { env, cwd: folder })).stdout;
}

/** A storage key of the owner's hierarchy, to have something to salt with and to create under. */
const STORAGE: TPMT_PUBLIC = {
  ...akTemplate("ecc"),
  type: TPM_ALG.ECC,
  objectAttributes:
    TPMA_OBJECT.fixedTPM |
    TPMA_OBJECT.fixedParent |
    TPMA_OBJECT.sensitiveDataOrigin |
    TPMA_OBJECT.userWithAuth |
    TPMA_OBJECT.noDA |
    TPMA_OBJECT.restricted |
    TPMA_OBJECT.decrypt,
  symmetric: { algorithm: TPM_ALG.AES, keyBits: 128, mode: TPM_ALG.CFB },
  scheme: null,
  curveID: TPM_ECC.NIST_P256,
  kdf: null,
  x: new Uint8Array(),
  y: new Uint8Array(),
};

const tcpPort = (): number => {
  const address = relay.address();
  return typeof address === "object" && address !== null ? address.port : 0;
};

const transports: readonly (readonly [name: string, uri: () => string, real: boolean])[] = [
  ["swtpm's socket", () => machine.uri, false],
  ["swtpm over TCP", () => `swtpm:host=127.0.0.1,port=${tcpPort()}`, false],
  ["tpm2-tss' TCTI", () => machine.tctiUri, false],
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
      await using key = await tpm2.createPrimary(tpm, TPM_RH.NULL, STORAGE);
      names.push(hex(key.name));
    }
    expect(new Set(names).size).toBe(1);
    expect(await tpm2.handles(tpm, TPM_HT.TRANSIENT)).toEqual([]);
  });

  it("salted sessions: HMAC, and parameters encrypted both ways", async () => {
    await using tpm = await tpm2.openTpm(uri());
    await using storage = await tpm2.createPrimary(tpm, TPM_RH.NULL, STORAGE);
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
    const blob = await createAttestationKey(tpm, ek);
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
    await using key = await tpm2.createPrimary(tpm, TPM_RH.OWNER, STORAGE);
    await tpm2.evictControl(tpm, key, handle);
    const { key: persistent } = await tpm2.readPublic(tpm, handle);
    expect(persistent.name).toEqual(key.name);
    await tpm2.evictControl(tpm, persistent, handle);
    await expect(tpm2.readPublic(tpm, handle)).rejects.toThrow(/TPM_RC_HANDLE/);
  });

  software("leftovers of a connection that ended badly are flushed by the next", async () => {
    const abandoned = await tpm2.openTpm(uri());
    for (let i = 0; i < 3; i++) await tpm2.createPrimary(abandoned, TPM_RH.NULL, STORAGE);
    await tpm2.startSession(abandoned, "policy", null);
    await tpm2.startSession(abandoned, "hmac", null);
    await abandoned.close();
    await using tpm = await tpm2.openTpm(uri());
    for (const type of [TPM_HT.TRANSIENT, TPM_HT.LOADED_SESSION, TPM_HT.SAVED_SESSION]) {
      expect(await tpm2.handles(tpm, type)).toEqual([]);
    }
  });
});

/** A restricted signing primary: quick to have, and good for any attestation. */
function signingKey(tpm: Tpm, kind: "ecc" | "rsa" = "ecc"): Promise<tpm2.LoadedKey> {
  return tpm2.createPrimary(tpm, TPM_RH.ENDORSEMENT, akTemplate(kind));
}

describe("tpm2-tools agrees", () => {
  test("tpm2_pcrread reads what PCR_Read reads, in every active bank", async () => {
    const tpm = await tpm2.openTpm(machine.uri);
    await tpm2.pcrExtend(tpm, 9, [
      { hash: SHA256, digest: new Uint8Array(32).fill(9) },
      { hash: SHA384, digest: new Uint8Array(48).fill(9) },
    ]);
    const selection = [SHA256, SHA384].map((hash) => ({ hash, pcrs: ALL_PCRS }));
    const ours = await tpm2.pcrRead(tpm, selection);
    await tpm.close();
    await tool("tpm2_pcrread", "sha256:all+sha384:all", "-o", "pcrs.bin");
    const theirs = await readFile(join(folder, "pcrs.bin"));
    expect(ours).toHaveLength(48);
    expect(hex(concat(...ours.map(({ value }) => value)))).toBe(theirs.toString("hex"));
  });

  test.each(["ecc", "rsa"] as const)(
    "tpm2_checkquote verifies our quote by an %s key",
    async (kind) => {
      const tpm = await tpm2.openTpm(machine.uri);
      const key = await signingKey(tpm, kind);
      const data = new Uint8Array(randomBytes(32));
      const selection = [{ hash: SHA256, pcrs: [0, 7, 9, 23] }];
      const { attest, signature } = await tpm2.quote(tpm, key, data, selection);
      const values = await tpm2.pcrRead(tpm, selection);
      await tpm.close();
      expect(verifyTpmSignature(key.public, attest, signature)).toBe(true);
      const at = (name: string): string => join(folder, name);
      await writeFile(
        at("ak.pem"),
        toKeyObject(key.public).export({ type: "spki", format: "pem" }),
      );
      await writeFile(at("quote"), attest);
      await writeFile(at("signature"), signature);
      await writeFile(at("values"), concat(...values.map(({ value }) => value)));
      const files = [
        "-m",
        "quote",
        "-s",
        "signature",
        "-f",
        "values",
        "-l",
        "sha256:0,7,9,23",
        "-g",
        "sha256",
      ];
      await tool("tpm2_checkquote", "-u", "ak.pem", ...files, "-q", hex(data));
      const other = tool("tpm2_checkquote", "-u", "ak.pem", ...files, "-q", "00".repeat(32));
      await expect(other).rejects.toThrow();
    },
  );

  test("tpm2_readpublic and tpm2_nvreadpublic give the Names that we compute", async () => {
    const tpm = await tpm2.openTpm(machine.uri);
    const { key: ek } = await findEndorsementKey(tpm);
    const index = await tpm2.nvReadPublic(tpm, 0x01c00002);
    const certificate = await tpm2.nvRead(tpm, index);
    await tpm.close();
    await tool("tpm2_readpublic", "-c", "0x81010001", "-n", "ek.name", "-o", "ek.tss");
    expect(await readFile(join(folder, "ek.name"), "hex")).toBe(hex(ek.name));
    expect(await readFile(join(folder, "ek.tss"), "hex")).toBe(
      hex(concat(u16(ek.publicArea.length), ek.publicArea)),
    );
    await tool("tpm2_nvread", "-C", "o", "-o", "ek.crt", "0x01c00002");
    expect(await readFile(join(folder, "ek.crt"), "hex")).toBe(hex(certificate));
    expect(await tool("tpm2_nvreadpublic", "0x01c00002")).toContain(hex(index.name));
  });

  test("a credential that tpm2_makecredential makes, our side activates", async () => {
    const tpm = await tpm2.openTpm(machine.uri);
    const { key: ek } = await findEndorsementKey(tpm);
    const blob = await createAttestationKey(tpm, ek);
    await tpm.close();
    const at = (name: string): string => join(folder, name);
    const secret = randomBytes(24);
    await writeFile(at("ek.pub"), concat(u16(ek.publicArea.length), ek.publicArea));
    await writeFile(at("secret"), secret);
    const name = hex(computeName(blob.publicArea));
    await tool(
      "tpm2_makecredential",
      "-T",
      "none",
      "-u",
      "ek.pub",
      "-s",
      "secret",
      "-n",
      name,
      "-o",
      "credential",
    );
    // tpm2-tools' file: magic, version, TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET.
    const file = await readFile(at("credential"));
    const size = file.readUInt16BE(8);
    const challenge = {
      credentialBlob: new Uint8Array(file.subarray(10, 10 + size)),
      secret: new Uint8Array(file.subarray(12 + size)),
    };
    await using again = await tpm2.openTpm(machine.uri);
    const { key: sameEk } = await findEndorsementKey(again);
    await using ak = await loadAttestationKey(again, sameEk, blob);
    expect(await activate(again, { ek: sameEk, ak }, challenge)).toEqual(new Uint8Array(secret));
  });
});

describe("someone between us and the TPM", () => {
  /** The software TPM behind a wire on which every response may be read and changed. */
  async function tapped(change: (response: Uint8Array, command: Uint8Array) => Uint8Array) {
    const inner = await openTransport(parseTpmUri(machine.uri));
    const seen: Uint8Array[] = [];
    const tpm = new tpm2.Tpm({
      managed: false,
      close: () => inner.close(),
      transmit: async (command) => {
        seen.push(command);
        const response = change(await inner.transmit(command), command);
        seen.push(response);
        return response;
      },
    });
    return { tpm, seen };
  }

  test("who changes any byte of an authenticated response is found out", async () => {
    const attempt = async (change: (response: Uint8Array) => Uint8Array): Promise<Uint8Array> => {
      await (await tpm2.openTpm(machine.uri)).close();
      const isRandom = (command: Uint8Array): boolean =>
        Buffer.from(command).readUInt32BE(6) === 0x17b;
      const wire = await tapped((response, command) =>
        isRandom(command) ? change(response) : response,
      );
      await using tpm = wire.tpm;
      const key = await tpm2.createPrimary(tpm, TPM_RH.NULL, STORAGE);
      const session = await tpm2.startSession(tpm, "hmac", key);
      return await tpm2.getRandom(tpm, 8, [{ session, encrypt: true }]);
    };
    let length = 0;
    const untouched = await attempt((response) => {
      length = response.length;
      return response;
    });
    expect(untouched).toHaveLength(8);
    expect(length).toBeGreaterThan(80);
    for (let at = 0; at < length; at += 5) {
      const flipped = attempt((response) =>
        response.map((byte, i) => (i === at ? byte ^ 1 : byte)),
      );
      await expect(flipped, `byte ${at}`).rejects.toThrow();
    }
  });

  test("who listens learns no activated credential", async () => {
    const { tpm: wire, seen } = await tapped((response) => response);
    await using tpm = wire;
    const { key: ek } = await findEndorsementKey(tpm);
    await using ak = await loadAttestationKey(tpm, ek, await createAttestationKey(tpm, ek));
    const secret = new Uint8Array(randomBytes(32));
    const challenge = makeCredential(ek.public, ak.name, secret);
    expect(await activate(tpm, { ek, ak }, challenge)).toEqual(secret);
    const all = hex(concat(...seen));
    expect(all).not.toContain(hex(secret));
    expect(all).toContain(hex(ak.name));
  });
});

describe("every response parser", () => {
  test("refuses its response cut at any length, and with a byte more", async () => {
    // Opening flushes what the tests above left behind.
    await (await tpm2.openTpm(machine.uri)).close();
    const inner = await openTransport(parseTpmUri(machine.uri));
    let last = new Uint8Array();
    await using real = new tpm2.Tpm({
      managed: false,
      close: () => inner.close(),
      transmit: async (command) => {
        last = Uint8Array.from(await inner.transmit(command));
        return last;
      },
    });
    const nv = {
      nvIndex: 0x01500022,
      nameAlg: SHA256,
      attributes: COUNTER_ATTRIBUTES,
      authPolicy: new Uint8Array(),
      dataSize: 8,
    };
    await tpm2.nvDefineSpace(real, nv);
    await tpm2.nvIncrement(real, await tpm2.nvReadPublic(real, nv.nvIndex));
    const index = await tpm2.nvReadPublic(real, nv.nvIndex);
    const { key: ek } = await findEndorsementKey(real);
    // A persistent key takes a slot only while a command uses it; there are three.
    const storageHandle = 0x81000043;
    const transient = await tpm2.createPrimary(real, TPM_RH.OWNER, STORAGE);
    await tpm2.evictControl(real, transient, storageHandle);
    await transient.flush();
    const { key: storage } = await tpm2.readPublic(real, storageHandle);
    const key = await signingKey(real);
    const policy = await tpm2.startSession(real, "policy", null);
    const blob = await tpm2.create(real, storage, akTemplate("ecc"), [tpm2.password()]);
    const data = new Uint8Array(32);
    const commands: Readonly<Record<string, (tpm: Tpm) => Promise<unknown>>> = {
      GetRandom: (tpm) => tpm2.getRandom(tpm, 8),
      "GetCapability handles": (tpm) => tpm2.handles(tpm, TPM_HT.PERSISTENT),
      "GetCapability PCRs": (tpm) => tpm2.pcrBanks(tpm),
      "GetCapability properties": (tpm) => tpm2.tpmProperties(tpm),
      "GetCapability algorithms": (tpm) => tpm2.algorithms(tpm),
      PCR_Read: (tpm) => tpm2.pcrRead(tpm, [{ hash: SHA256, pcrs: [0, 1] }]),
      PCR_Extend: (tpm) => tpm2.pcrExtend(tpm, 16, [{ hash: SHA256, digest: data }]),
      ReadPublic: (tpm) => tpm2.readPublic(tpm, 0x81010001),
      ReadClock: (tpm) => tpm2.readClock(tpm),
      StartAuthSession: (tpm) => tpm2.startSession(tpm, "hmac", null),
      PolicySecret: (tpm) => tpm2.policySecret(tpm, policy),
      Create: (tpm) => tpm2.create(tpm, storage, akTemplate("ecc"), [tpm2.password()]),
      MakeCredential: (tpm) => tpm2.makeCredential(tpm, ek, data, key.name),
      Quote: (tpm) =>
        tpm2
          .quote(tpm, key, data, [])
          .then(({ attest, signature }) => [
            tpm2.parseAttest(attest),
            verifyTpmSignature(key.public, attest, signature),
          ]),
      NV_ReadPublic: (tpm) => tpm2.nvReadPublic(tpm, nv.nvIndex),
      NV_Increment: (tpm) => tpm2.nvIncrement(tpm, index),
      FlushContext: (tpm) => tpm.flush(policy.handle),
      Load: (tpm) => tpm2.load(tpm, storage, blob, [tpm2.password()]),
    };
    for (const [name, command] of Object.entries(commands)) {
      await command(real);
      const response = last;
      const replay = (bytes: Uint8Array): Promise<unknown> =>
        command(
          new tpm2.Tpm({
            managed: false,
            close: async () => undefined,
            transmit: async () => bytes,
          }),
        );
      const resized = (bytes: Uint8Array): Uint8Array =>
        concat(bytes.subarray(0, 2), u32(bytes.length), bytes.subarray(6));
      await replay(response);
      for (let length = 0; length < response.length; length++) {
        const cut = length < 10 ? response.slice(0, length) : resized(response.slice(0, length));
        await expect(replay(cut), `${name} cut to ${length}`).rejects.toThrow(tpm2.TpmFormatError);
      }
      await expect(replay(resized(concat(response, Uint8Array.of(0)))), name).rejects.toThrow(
        tpm2.TpmFormatError,
      );
    }
    await tpm2.evictControl(real, storage, storageHandle);
    await tpm2.nvUndefineSpace(real, index);
  });
});

test("SHA-512 exists in this TPM and is inactive", async () => {
  await using tpm = await tpm2.openTpm(machine.uri);
  expect((await tpm2.pcrBanks(tpm)).find(({ hash }) => hash === SHA512)?.pcrs).toEqual([]);
  expect(parsePublic((await findEndorsementKey(tpm)).key.publicArea).type).toBe(TPM_ALG.RSA);
});
