/**
 * Cases signed by a software TPM: what a TPM itself gives to those who ask for the wrong thing, and
 * what it says after reboots.
 */
import { createAttestationKey, loadAttestationKey } from "../../src/agent/attestation-key.ts";
import { findEndorsementKey } from "../../src/agent/endorsement-key.ts";
import type { ClockFloor, Code, Quote } from "../../src/core/index.ts";
import { getTime, nvCertify, quote } from "../../src/tpm/attestation.ts";
import { pcrExtend, pcrRead } from "../../src/tpm/integrity.ts";
import { COUNTER_ATTRIBUTES, nvDefineSpace, nvIncrement, nvReadPublic } from "../../src/tpm/nv.ts";
import { createPrimary, type LoadedKey } from "../../src/tpm/object.ts";
import { openTpm } from "../../src/tpm/open.ts";
import { clear } from "../../src/tpm/startup.ts";
import { parseAttest } from "../../src/tpm/structures/attest.ts";
import { TPM_ALG, TPM_RH, TPMA_OBJECT } from "../../src/tpm/structures/constants.ts";
import type { TPMS_PCR_SELECTION } from "../../src/tpm/structures/pcr.ts";
import { akTemplate } from "../../src/tpm/structures/templates.ts";
import type { Tpm } from "../../src/tpm/tpm.ts";
import { preparedMachines, reboot, SoftwareTpm } from "../../swtpm/index.ts";
import type { CorpusCase } from "./case.ts";

const DATA = new Uint8Array(32).map((_, i) => i + 1);
const INDEXES = [0, 1, 2, 3, 4, 5, 6, 7];
const SHA256: TPMS_PCR_SELECTION = { hash: TPM_ALG.SHA256, pcrs: INDEXES };
const SHA384: TPMS_PCR_SELECTION = { hash: TPM_ALG.SHA384, pcrs: [0, 7] };
const SHA512: TPMS_PCR_SELECTION = { hash: TPM_ALG.SHA512, pcrs: INDEXES };
const NAMES = new Map([
  [TPM_ALG.SHA256, "sha256"],
  [TPM_ALG.SHA384, "sha384"],
] as const);

interface Key {
  readonly key: LoadedKey;
  readonly ekName?: Uint8Array;
}

/** The values that the TPM has now, and a policy that allows just these. */
async function state(tpm: Tpm, selection: readonly TPMS_PCR_SELECTION[]) {
  const pcrs: Record<string, Record<number, Uint8Array>> = {};
  const allowed: Record<string, Record<number, Uint8Array[]>> = {};
  for (const { hash, pcr, value } of await pcrRead(tpm, selection)) {
    const bank = NAMES.get(hash as typeof TPM_ALG.SHA256) ?? "";
    pcrs[bank] = { ...pcrs[bank], [pcr]: value };
    allowed[bank] = { ...allowed[bank], [pcr]: [value] };
  }
  return { pcrs, policy: { pcrs: allowed } } as Pick<Quote, "pcrs" | "policy">;
}

/** A quote of `asked`, with the values of `shown`. */
async function quoted(
  tpm: Tpm,
  { key, ekName }: Key,
  asked: readonly TPMS_PCR_SELECTION[] = [SHA256],
  shown: readonly TPMS_PCR_SELECTION[] = [SHA256],
): Promise<Quote> {
  const signed = await quote(tpm, key, DATA, asked);
  const parts = { publicArea: key.publicArea, qualifyingData: DATA, ...signed };
  return { ...parts, ...(ekName && { ekName }), ...(await state(tpm, shown)) };
}

function floorOf({ attest }: Quote): ClockFloor {
  const { clockInfo, firmwareVersion } = parseAttest(attest);
  const { resetCount, restartCount, clock } = clockInfo;
  return { resetCount, restartCount, clock, firmwareVersion };
}

const head = (
  name: string,
  about: string,
  codes: readonly Code[] = [],
  mistakes: readonly string[] = [],
) => {
  const from = codes.length === 0 ? null : "accepted-tpm-ecc";
  return { name, about, codes, mistakes, from, signer: "tpm" } as const;
};

/** A fresh attestation key below the EK, for as long as `use` takes: a TPM has few slots. */
async function withKey<T>(
  tpm: Tpm,
  kind: "ecc" | "rsa",
  use: (key: Key) => Promise<T>,
): Promise<T> {
  const { key: ek } = await findEndorsementKey(tpm);
  const blob = await createAttestationKey(tpm, ek, kind);
  await using key = await loadAttestationKey(tpm, ek, blob);
  return await use({ key, ekName: ek.name });
}

/** Impostors: genuine statements of the right key that are no quote, or no quote of this. */
async function impostors(tpm: Tpm, ecc: Key, good: Quote): Promise<CorpusCase[]> {
  const index = 0x01500020;
  await nvDefineSpace(tpm, {
    ...{ nvIndex: index, nameAlg: TPM_ALG.SHA256, attributes: COUNTER_ATTRIBUTES },
    ...{ authPolicy: new Uint8Array(), dataSize: 8 },
  });
  await nvIncrement(tpm, await nvReadPublic(tpm, index));
  const counter = await nvReadPublic(tpm, index);
  const certified = await nvCertify(tpm, ecc.key, counter, DATA, { offset: 0, bytes: 8 });
  const timed = await getTime(tpm, ecc.key, DATA);
  return [
    {
      ...head(
        "impostor-nv-certify",
        "TPM2_NV_Certify of an index, by the right key.",
        ["environment.quote-type"],
        ["GHSA-gwfg-w3jr-xh66"],
      ),
      quote: { ...good, ...certified },
    },
    {
      ...head("impostor-get-time", "TPM2_GetTime, by the right key.", ["environment.quote-type"]),
      quote: { ...good, ...timed },
    },
  ];
}

async function selections(tpm: Tpm, ecc: Key): Promise<CorpusCase[]> {
  const good = await quoted(tpm, ecc);
  const floor = floorOf(good);
  const both = [SHA256, SHA384];
  const selection: readonly Code[] = ["environment.quote-selection"];
  const cases: CorpusCase[] = [
    { ...head("accepted-tpm-ecc", "A quote by a key below the EK."), quote: { ...good, floor } },
    {
      ...head("accepted-tpm-rsa", "A quote by an RSA key below the EK."),
      quote: { ...(await withKey(tpm, "rsa", (key) => quoted(tpm, key))), floor },
    },
    {
      ...head("accepted-tpm-two-banks", "A quote over two banks, in the order asked for."),
      quote: { ...(await quoted(tpm, ecc, both, both)), floor },
    },
    {
      ...head("tpm-nothing-selected", "A quote over nothing.", selection, ["CVE-2022-0317"]),
      quote: await quoted(tpm, ecc, []),
    },
    {
      ...head(
        "tpm-inactive-bank",
        "A quote over a bank that is not active: the TPM empties it.",
        selection,
        ["CVE-2022-0317"],
      ),
      quote: await quoted(tpm, ecc, [SHA512]),
    },
    {
      ...head(
        "tpm-fewer-selected",
        "A quote over PCR 0, presented as one over PCR 0 to 7.",
        ["environment.pcr-uncovered"],
        ["CVE-2022-0317", "values of unselected PCRs trusted"],
      ),
      quote: await quoted(tpm, ecc, [{ hash: TPM_ALG.SHA256, pcrs: [0] }]),
    },
    {
      ...head(
        "tpm-other-key",
        "A quote by another attestation key of the same TPM.",
        ["environment.quote-signature"],
        ["CVE-2022-1053"],
      ),
      quote: {
        ...(await withKey(tpm, "ecc", (key) => quoted(tpm, key))),
        publicArea: good.publicArea,
      },
    },
  ];
  return [...cases, ...(await impostors(tpm, ecc, good))];
}

/** Keys that a TPM makes on request, and that are no attestation keys. */
async function otherKeys(tpm: Tpm): Promise<CorpusCase[]> {
  const ak = akTemplate("ecc");
  const open = { ...ak, objectAttributes: ak.objectAttributes & ~TPMA_OBJECT.restricted };
  await using free = await createPrimary(tpm, TPM_RH.ENDORSEMENT, open);
  const first = await quoted(tpm, { key: free });
  await using stored = await createPrimary(tpm, TPM_RH.OWNER, ak);
  const second = await quoted(tpm, { key: stored });
  const floor = { resetCount: 0, restartCount: 0, clock: 0n };
  return [
    {
      ...head("tpm-unrestricted-key", "A quote by a key that would sign a forged one too.", [
        "environment.quote-key",
      ]),
      quote: first,
    },
    {
      ...head(
        "tpm-storage-hierarchy",
        "A key of the storage hierarchy, with obfuscated counters.",
        ["environment.clock-obfuscated"],
      ),
      quote: { ...second, floor },
    },
  ];
}

/** What a TPM says over reboots, by a primary key that comes back after each of them. */
async function reboots(machine: SoftwareTpm, tpm: Tpm): Promise<CorpusCase[]> {
  const now = async (): Promise<Quote> => {
    await using key = await createPrimary(tpm, TPM_RH.ENDORSEMENT, akTemplate("ecc"));
    return quoted(tpm, { key });
  };
  const before = await now();
  await reboot(machine, tpm, "orderly");
  const after = await now();
  await pcrExtend(tpm, 4, [{ hash: TPM_ALG.SHA256, digest: DATA }]);
  const extended = await now();
  await reboot(machine, tpm, "unorderly");
  const unsafe = await now();
  await reboot(machine, tpm, "orderly");
  const last = await now();
  await clear(tpm);
  const cleared = await now();
  return [
    {
      ...head("accepted-tpm-reboot", "After an orderly reboot, with the floor of before."),
      quote: { ...after, floor: floorOf(before) },
    },
    {
      ...head(
        "tpm-old-boot",
        "A genuine quote of the boot before: stale good evidence.",
        ["environment.clock-reset"],
        ["stale good evidence reused when re-attestation fails"],
      ),
      quote: { ...before, floor: floorOf(after) },
    },
    {
      ...head("tpm-extended", "A PCR was extended since the policy was made.", [
        "environment.pcr-mismatch",
      ]),
      quote: { ...extended, policy: after.policy },
    },
    {
      ...head("tpm-power-lost", "After power was lost: safe is NO.", ["environment.clock-unsafe"]),
      quote: { ...unsafe, floor: floorOf(before) },
    },
    {
      ...head("tpm-cleared", "After TPM2_Clear: the same primary key, counters of zero.", [
        "environment.clock-cleared",
      ]),
      quote: { ...cleared, floor: floorOf(last) },
    },
  ];
}

/** Every case that a TPM signed. Takes a few seconds. */
export async function genuineCases(): Promise<CorpusCase[]> {
  const [template = ""] = (await preparedMachines()).states;
  await using machine = await SoftwareTpm.start({ template });
  await using tpm = await openTpm(machine.uri);
  const cases = await withKey(tpm, "ecc", (key) => selections(tpm, key));
  return [...cases, ...(await otherKeys(tpm)), ...(await reboots(machine, tpm))];
}
