/**
 * Quotes of a software TPM, appraised by the core: what a TPM does to its clock and counters, and
 * what is made of it.
 */
import { beforeAll, describe, expect, test } from "vitest";
import {
  type ClockFloor,
  type Core,
  loadCore,
  type Pcrs,
  type Quote,
} from "../../src/core/index.ts";
import { getTime, quote } from "../../src/tpm/attestation.ts";
import { pcrExtend, pcrRead } from "../../src/tpm/integrity.ts";
import { createPrimary } from "../../src/tpm/object.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { clear } from "../../src/tpm/startup.ts";
import { parseAttest } from "../../src/tpm/structures/attest.ts";
import { TPM_ALG, TPM_RH } from "../../src/tpm/structures/constants.ts";
import { akTemplate } from "../../src/tpm/structures/templates.ts";
import type { Tpm } from "../../src/tpm/tpm.ts";
import { preparedMachines, reboot, SoftwareTpm } from "../../swtpm/index.ts";
import { rebootEarly } from "./tpm-support.ts";

const DATA = new Uint8Array(32).fill(7);
const INDEXES = [0, 1, 2, 3, 4, 5, 6, 7];
const SELECTION = [{ hash: TPM_ALG.SHA256, pcrs: INDEXES }];

let core: Core;
let template: string;
beforeAll(async () => {
  core = await loadCore();
  [template = ""] = (await preparedMachines()).states;
});

interface Options {
  readonly hierarchy?: number;
  readonly kind?: "ecc" | "rsa";
  readonly hash?: number;
}

/**
 * A quote by a primary key, over the values that the TPM has, with a policy that allows just these.
 */
async function quoted(tpm: Tpm, options: Options = {}): Promise<Quote> {
  const { hierarchy = TPM_RH.ENDORSEMENT, kind = "ecc", hash } = options;
  await using key = await createPrimary(tpm, hierarchy, akTemplate(kind));
  const selection = hash === undefined ? SELECTION : [{ hash, pcrs: INDEXES }];
  const values = await pcrRead(tpm, SELECTION);
  const { attest, signature } = await quote(tpm, key, DATA, selection);
  const pcrs: Pcrs = { sha256: Object.fromEntries(values.map(({ pcr, value }) => [pcr, value])) };
  const allowed = Object.fromEntries(values.map(({ pcr, value }) => [pcr, [value]]));
  const policy = { pcrs: { sha256: allowed } };
  return { publicArea: key.publicArea, attest, signature, pcrs, qualifyingData: DATA, policy };
}

/** What a verifier keeps of a quote. */
function floorOf({ attest }: Quote): ClockFloor {
  const { clockInfo, firmwareVersion } = parseAttest(attest);
  const { resetCount, restartCount, clock } = clockInfo;
  return { resetCount, restartCount, clock, firmwareVersion };
}

describe("a software TPM", () => {
  test.each(["ecc", "rsa"] as const)(
    "quotes, %s, and every floor of its own is met",
    async (kind) => {
      await using machine = await SoftwareTpm.start({ template });
      await using tpm = await openTpm(machine.uri);
      const first = await quoted(tpm, { kind });
      const second = await quoted(tpm, { kind });
      const floor = floorOf(first);
      expect(core.appraiseQuote({ ...second, floor })).toEqual({
        ok: true,
        code: null,
        codes: [],
        unchecked: ["eventLog", "ima"],
      });
      const { codes } = core.appraiseQuote({ ...first, floor: floorOf(second) });
      expect(codes).toEqual(["environment.clock-rollback"]);
    },
  );

  test("extends a PCR: the policy of before is no longer met", async () => {
    await using machine = await SoftwareTpm.start({ template });
    await using tpm = await openTpm(machine.uri);
    const { policy } = await quoted(tpm);
    await pcrExtend(tpm, 4, [{ hash: TPM_ALG.SHA256, digest: DATA }]);
    const after = await quoted(tpm);
    expect(core.appraiseQuote(after).codes).toEqual([]);
    expect(core.appraiseQuote({ ...after, policy }).codes).toEqual(["environment.pcr-mismatch"]);
  });

  test("reboots: an orderly one is met by the old floor, an old quote not by the new one", async () => {
    await using machine = await SoftwareTpm.start({ template });
    await using tpm = await openTpm(machine.uri);
    const before = await quoted(tpm);
    await reboot(machine, tpm, "orderly");
    const after = await quoted(tpm);
    expect(core.appraiseQuote({ ...after, floor: floorOf(before) }).codes).toEqual([]);
    const { codes } = core.appraiseQuote({ ...before, floor: floorOf(after) });
    expect(codes).toEqual(["environment.clock-reset"]);
  });

  test("loses power: its clock is unsafe", async () => {
    await using machine = await SoftwareTpm.start({ template });
    await using tpm = await openTpm(machine.uri);
    await rebootEarly(machine, tpm);
    const before = await quoted(tpm);
    await reboot(machine, tpm, "unorderly");
    const { codes } = core.appraiseQuote({ ...(await quoted(tpm)), floor: floorOf(before) });
    expect(codes).toEqual(["environment.clock-unsafe"]);
  });

  test("is cleared: the same primary key comes back with counters of zero", async () => {
    await using machine = await SoftwareTpm.start({ template });
    await using tpm = await openTpm(machine.uri);
    await reboot(machine, tpm, "orderly");
    const before = await quoted(tpm);
    await clear(tpm);
    const after = await quoted(tpm);
    expect(after.publicArea).toEqual(before.publicArea);
    const { codes } = core.appraiseQuote({ ...after, floor: floorOf(before) });
    expect(codes).toEqual(["environment.clock-cleared"]);
  });

  test("obfuscates its counters to a key of the storage hierarchy", async () => {
    await using machine = await SoftwareTpm.start({ template });
    await using tpm = await openTpm(machine.uri);
    const stored = await quoted(tpm, { hierarchy: TPM_RH.OWNER });
    const plain = floorOf(await quoted(tpm));
    expect(floorOf(stored).resetCount).not.toBe(plain.resetCount);
    expect(core.appraiseQuote(stored)).toMatchObject({ ok: true });
    expect(core.appraiseQuote(stored).unchecked).toContain("qualifiedSigner");
    const { codes } = core.appraiseQuote({ ...stored, floor: plain });
    expect(codes).toEqual(["environment.clock-obfuscated"]);
  });

  test("silently quotes nothing of a bank that is not active", async () => {
    await using machine = await SoftwareTpm.start({ template });
    await using tpm = await openTpm(machine.uri);
    const { codes } = core.appraiseQuote(await quoted(tpm, { hash: TPM_ALG.SHA512 }));
    expect(codes).toEqual(["environment.quote-selection"]);
  });

  test("signs the time too, which is no quote", async () => {
    await using machine = await SoftwareTpm.start({ template });
    await using tpm = await openTpm(machine.uri);
    await using key = await createPrimary(tpm, TPM_RH.ENDORSEMENT, akTemplate("ecc"));
    const { attest, signature } = await getTime(tpm, key, DATA);
    const { codes } = core.appraiseQuote({ ...(await quoted(tpm)), attest, signature });
    expect(codes).toEqual(["environment.quote-type"]);
  });
});
