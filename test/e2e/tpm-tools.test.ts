/** tpm2-tools, made by others on other code, agrees with what we read and make. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
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
import * as tpm2 from "../../src/tpm/index.ts";
import { concat, hex, u16 } from "../../src/tpm/structures/bytes.ts";
import { TPM_ALG } from "../../src/tpm/structures/constants.ts";
import { computeName, toKeyObject } from "../../src/tpm/structures/public.ts";
import { verifyTpmSignature } from "../../src/tpm/structures/signature.ts";
import { signingKey, softwareTpm } from "./tpm-support.ts";

const run = promisify(execFile);
const { SHA256, SHA384 } = TPM_ALG;
const ALL_PCRS = Array.from({ length: 24 }, (_, i) => i);

const tpms = softwareTpm();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tools "));
});

afterAll(() => rm(folder, { recursive: true }));

async function tool(name: string, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, TPM2TOOLS_TCTI: tpms.machine.tcti, TSS2_LOG: "all+none" };
  return (await run(name, args, { env, cwd: folder })).stdout;
}

describe("tpm2-tools agrees", () => {
  test("tpm2_pcrread reads what PCR_Read reads, in every active bank", async () => {
    const tpm = await tpm2.openTpm(tpms.machine.uri);
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
      const tpm = await tpm2.openTpm(tpms.machine.uri);
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
    const tpm = await tpm2.openTpm(tpms.machine.uri);
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
    const tpm = await tpm2.openTpm(tpms.machine.uri);
    const { key: ek } = await findEndorsementKey(tpm);
    const blob = await createAttestationKey(tpm, ek, "ecc");
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
    await using again = await tpm2.openTpm(tpms.machine.uri);
    const { key: sameEk } = await findEndorsementKey(again);
    await using ak = await loadAttestationKey(again, sameEk, blob);
    expect(await activate(again, { ek: sameEk, ak }, challenge)).toEqual(new Uint8Array(secret));
  });
});
