/**
 * The machine's side on a software TPM: evidence that belongs together, and errors that say what to
 * do.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bestKind } from "../../src/agent/attestation-key.ts";
import {
  EvidenceError,
  findEndorsementKey,
  NodeEnrollment,
  openAgent,
  quotePcrs,
  readAkFile,
  writeAkFile,
} from "../../src/agent/index.ts";
import { Enroller } from "../../src/enroll/index.ts";
import { handles } from "../../src/tpm/capability.ts";
import { pcrExtend } from "../../src/tpm/integrity.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { parseAttest } from "../../src/tpm/structures/attest.ts";
import { TPM_ALG, TPM_CC, TPM_HT } from "../../src/tpm/structures/constants.ts";
import { pcrDigest } from "../../src/tpm/structures/pcr.ts";
import { parsePublic } from "../../src/tpm/structures/public.ts";
import { verifyTpmSignature } from "../../src/tpm/structures/signature.ts";
import { Tpm } from "../../src/tpm/tpm.ts";
import { openTransport, parseTpmUri } from "../../src/tpm/uri.ts";
import { parseSigned } from "../../src/wire/objects.ts";
import { preparedMachines, reboot, SoftwareTpm } from "../../swtpm/index.ts";
import { testSigner } from "../support/keys.ts";
import { signingKey, softwareTpm } from "./tpm-support.ts";

const { SHA256 } = TPM_ALG;
const PCRS = [{ hash: SHA256, pcrs: [0, 7, 10, 16] }];
const DATA = new Uint8Array(32).fill(5);
const logKey = testSigner("log").key;
const tpms = softwareTpm();
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "agent "));
});
afterAll(() => rm(folder, { recursive: true }));

/** An AK of this machine in a file, as enrollment leaves it. */
async function enrolled(name: string, akKind: "ecc" | "rsa" = "ecc"): Promise<string> {
  const akFile = join(folder, name);
  await using node = await NodeEnrollment.begin({ tpm: tpms.machine.uri, logKey, akKind });
  await writeAkFile(akFile, node.blob);
  return akFile;
}

describe("evidence", () => {
  /** The TPM with a busy machine on it: a PCR is extended after each quote, `times` times. */
  async function busy(times: number): Promise<{ tpm: Tpm; quotes: () => number }> {
    await (await openTpm(tpms.machine.uri)).close();
    const inner = await openTransport(parseTpmUri(tpms.machine.uri));
    const other = new Tpm({
      managed: false,
      transmit: (bytes) => inner.transmit(bytes),
      close: async () => undefined,
    });
    let quotes = 0;
    const tpm = new Tpm({
      managed: false,
      close: () => inner.close(),
      transmit: async (command) => {
        const response = await inner.transmit(command);
        if (Buffer.from(command).readUInt32BE(6) === TPM_CC.TPM2_Quote && quotes++ < times) {
          await pcrExtend(other, 10, [{ hash: SHA256, digest: DATA }]);
        }
        return response;
      },
    });
    return { tpm, quotes: () => quotes };
  }

  test("a PCR that changes between quote and reading: both are taken again", async () => {
    const machine = await busy(3);
    await using tpm = machine.tpm;
    await using key = await signingKey(tpm);
    const evidence = await quotePcrs(tpm, key, DATA, PCRS);
    expect(machine.quotes()).toBe(4);
    expect(verifyTpmSignature(key.public, evidence.attest, evidence.signature)).toBe(true);
    const { attested } = parseAttest(evidence.attest);
    expect(attested.type === "quote" && attested.pcrDigest).toEqual(
      pcrDigest(SHA256, evidence.values),
    );
  });

  test("a PCR that never rests: a clear end, no evidence that does not match", async () => {
    const machine = await busy(1000);
    await using tpm = machine.tpm;
    await using key = await signingKey(tpm);
    const quote = quotePcrs(tpm, key, DATA, PCRS);
    await expect(quote).rejects.toThrow(EvidenceError);
    expect(machine.quotes()).toBe(10);
  });

  test("what an inactive bank leaves out is left out of the values too", async () => {
    await using tpm = await openTpm(tpms.machine.uri);
    await using key = await signingKey(tpm);
    const asked = [{ hash: TPM_ALG.SHA1, pcrs: [0] }, ...PCRS];
    const { selection, values } = await quotePcrs(tpm, key, DATA, asked);
    expect(selection).toEqual([{ hash: TPM_ALG.SHA1, pcrs: [] }, ...PCRS]);
    expect(values.map(({ length }) => length)).toEqual([32, 32, 32, 32]);
  });
});

describe("an agent", () => {
  test.each(["ecc", "rsa"] as const)(
    "quotes with an %s key, over both ways to the TPM",
    async (kind) => {
      const akFile = await enrolled(`ak-${kind}`, kind);
      for (const tpm of [tpms.machine.uri, tpms.machine.tctiUri]) {
        await using agent = await openAgent({ tpm, akFile });
        const evidence = await agent.quote(DATA, PCRS);
        const ak = parsePublic(agent.publicArea);
        expect(verifyTpmSignature(ak, evidence.attest, evidence.signature)).toBe(true);
        expect(evidence.values).toHaveLength(4);
        const counters = await agent.counters();
        expect(counters.firmwareVersion).toBe(evidence.firmwareVersion);
      }
    },
  );

  test("prefers ECC where the TPM has it", async () => {
    await using tpm = await openTpm(tpms.machine.uri);
    expect(await bestKind(tpm)).toBe("ecc");
  });

  test("counters before a quote are a floor that it meets, also over reboots", async () => {
    const akFile = await enrolled("ak-floor");
    const readings: { resetCount: number; clock: bigint }[] = [];
    for (const how of ["orderly", "unorderly"] as const) {
      const agent = await openAgent({ tpm: tpms.machine.uri, akFile });
      const floor = await agent.counters();
      const { clockInfo } = await agent.quote(DATA, PCRS);
      expect(clockInfo.resetCount).toBe(floor.resetCount);
      expect(clockInfo.clock).toBeGreaterThanOrEqual(floor.clock);
      readings.push(clockInfo);
      await agent.close();
      await using tpm = await openTpm(tpms.machine.uri);
      await reboot(tpms.machine, tpm, how);
    }
    expect(readings[1]?.resetCount).toBe((readings[0]?.resetCount ?? 0) + 1);
  });

  test("a TPM reset under an open agent: its key is gone, and the error says so", async () => {
    const akFile = await enrolled("ak-reset");
    await using agent = await openAgent({ tpm: tpms.machine.uri, akFile });
    await tpms.machine.reset();
    await expect(agent.quote(DATA, PCRS)).rejects.toThrow(/TPM_RC_INITIALIZE/);
    await agent.close();
    await using again = await openAgent({ tpm: tpms.machine.uri, akFile });
    await again.quote(DATA, PCRS);
  });

  test("another TPM does not load the key", async () => {
    const akFile = await enrolled("ak-moved");
    const [, template = ""] = (await preparedMachines()).states;
    await using other = await SoftwareTpm.start({ template });
    const open = openAgent({ tpm: other.uri, akFile });
    await expect(open).rejects.toThrow(/TPM2_Load failed with TPM_RC_INTEGRITY/);
  });

  test("a TPM without EK certificate: its EK is made, and enrolls by allowlist", async () => {
    await using blank = await SoftwareTpm.start();
    await using node = await NodeEnrollment.begin({ tpm: blank.uri, logKey });
    expect(node.request.ekCertificate).toBeNull();
    const digest = createHash("sha256").update(node.request.ekPublic).digest("hex");
    const signer = testSigner("enroller");
    const enroller = new Enroller({
      domain: "d",
      signer,
      roots: [],
      allowedEks: new Set([digest]),
    });
    const pending = await enroller.challenge(node.request, new Date());
    const answer = await node.answer(pending.challenge);
    const grant = { labels: [], statusIndex: () => 0, iat: 1, exp: 2, enrolled: null };
    const { claims } = parseSigned("node", await enroller.issue(pending, answer, grant));
    expect(claims.ekCertificate).toBeNull();
    await node.close();
    await using tpm = await openTpm(blank.uri);
    const { key } = await findEndorsementKey(tpm);
    expect(key.publicArea).toEqual(node.request.ekPublic);
    // It was made persistent, so that it need not be made for every run.
    expect(key.handle).toBe(0x81010001);
  });

  test("an owner's authorization keeps the EK from being persistent, not from use", async () => {
    await using blank = await SoftwareTpm.start();
    const tools = { ...process.env, TPM2TOOLS_TCTI: blank.tcti };
    await (await openTpm(blank.uri)).close();
    await promisify(execFile)("tpm2_changeauth", ["-c", "owner", "secret"], { env: tools });
    await using node = await NodeEnrollment.begin({ tpm: blank.uri, logKey });
    await node.close();
    await using tpm = await openTpm(blank.uri);
    expect(await handles(tpm, TPM_HT.PERSISTENT)).toEqual([]);
  });
});

describe("the key file", () => {
  test("is private, replaced whole, and read as it was written", async () => {
    const path = join(folder, "file");
    const blob = { publicArea: Uint8Array.of(1), privateArea: Uint8Array.of(2) };
    await writeAkFile(path, { ...blob, publicArea: Uint8Array.of(9, 9) });
    await writeAkFile(path, blob);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readAkFile(path)).toEqual(blob);
  });

  test("absent, open to others, or damaged: refused, each with its reason", async () => {
    const path = join(folder, "bad");
    await expect(readAkFile(path)).rejects.toThrow(/does not exist: enroll this machine/);
    await writeAkFile(path, { publicArea: Uint8Array.of(1), privateArea: Uint8Array.of(2) });
    await chmod(path, 0o640);
    await expect(readAkFile(path)).rejects.toThrow(/chmod 600/);
    await chmod(path, 0o600);
    const whole = await readFile(path);
    for (let length = 0; length < whole.length; length++) {
      await writeFile(path, whole.subarray(0, length));
      await expect(readAkFile(path), `${length} bytes`).rejects.toThrow(/is damaged/);
    }
  });
});
