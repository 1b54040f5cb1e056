import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  activate,
  createAttestationKey,
  loadAttestationKey,
} from "../../src/agent/attestation-key.ts";
import { findEndorsementKey } from "../../src/agent/endorsement-key.ts";
import { makeCredential } from "../../src/enroll/credential.ts";
import * as tpm2 from "../../src/tpm/index.ts";
import { COUNTER_ATTRIBUTES } from "../../src/tpm/nv.ts";
import { concat, hex, u32 } from "../../src/tpm/structures/bytes.ts";
import { TPM_ALG, TPM_HT, TPM_RH } from "../../src/tpm/structures/constants.ts";
import { verifyTpmSignature } from "../../src/tpm/structures/signature.ts";
import { akTemplate, STORAGE_TEMPLATE } from "../../src/tpm/structures/templates.ts";
import type { Tpm } from "../../src/tpm/tpm.ts";
import { openTransport, parseTpmUri } from "../../src/tpm/uri.ts";
import { signingKey, softwareTpm } from "./tpm-support.ts";

const { SHA256 } = TPM_ALG;

const tpms = softwareTpm();
describe("someone between us and the TPM", () => {
  /** The software TPM behind a wire on which every response may be read and changed. */
  async function tapped(change: (response: Uint8Array, command: Uint8Array) => Uint8Array) {
    const inner = await openTransport(parseTpmUri(tpms.machine.uri));
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
      await (await tpm2.openTpm(tpms.machine.uri)).close();
      const isRandom = (command: Uint8Array): boolean =>
        Buffer.from(command).readUInt32BE(6) === 0x17b;
      const wire = await tapped((response, command) =>
        isRandom(command) ? change(response) : response,
      );
      await using tpm = wire.tpm;
      const key = await tpm2.createPrimary(tpm, TPM_RH.NULL, STORAGE_TEMPLATE);
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
    await using ak = await loadAttestationKey(tpm, ek, await createAttestationKey(tpm, ek, "ecc"));
    const secret = new Uint8Array(randomBytes(32));
    const challenge = makeCredential(ek.public, ak.name, secret);
    expect(await activate(tpm, { ek, ak }, challenge)).toEqual(secret);
    const all = hex(concat(...seen));
    expect(all).not.toContain(hex(secret));
    expect(all).toContain(hex(ak.name));
  });
});

/** Gives the command its good response, then the same cut at every length and with a byte more. */
async function refusesOtherLengths(
  name: string,
  command: (tpm: Tpm) => Promise<unknown>,
  response: Uint8Array,
): Promise<void> {
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
  const longer = resized(concat(response, Uint8Array.of(0)));
  await expect(replay(longer), name).rejects.toThrow(tpm2.TpmFormatError);
}

describe("every response parser", () => {
  test("refuses its response cut at any length, and with a byte more", async () => {
    // Opening flushes what the tests above left behind.
    await (await tpm2.openTpm(tpms.machine.uri)).close();
    const inner = await openTransport(parseTpmUri(tpms.machine.uri));
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
    const transient = await tpm2.createPrimary(real, TPM_RH.OWNER, STORAGE_TEMPLATE);
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
      await refusesOtherLengths(name, command, last);
    }
    await tpm2.evictControl(real, storage, storageHandle);
    await tpm2.nvUndefineSpace(real, index);
  });
});
