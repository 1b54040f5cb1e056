/**
 * This machine as a node: its state, its log, its TPM; opened for `run`, `check` and what looks
 * after them.
 */
import { mkdirSync } from "node:fs";
import type { Agent } from "../agent/index.ts";
import { loadCore } from "../core/index.ts";
import type { StateCounter } from "../gate/anchor.ts";
import { AttestationKeyLost, type EvidenceSource } from "../gate/evidence.ts";
import { Gate } from "../gate/gate.ts";
import type { PlaneSource } from "../gate/plane.ts";
import { CaseFolder } from "../log/cases.ts";
import { Journal } from "../log/journal.ts";
import { noteSigner } from "../log/note.ts";
import { requirePrivate } from "../private.ts";
import type { StoreReader } from "../store/contract.ts";
import { openSqliteStore, type SqliteStore } from "../store/sqlite.ts";
import { readKeyFile, writeKeyFile } from "../wire/key-files.ts";
import { generateKey, type Signer, signerOf } from "../wire/keys.ts";
import { merkleRoot } from "../wire/merkle.ts";
import type { ReferencePolicy } from "../wire/objects.ts";
import { UsageError } from "./error.ts";
import { type Config, type Home, readConfig } from "./home.ts";
import { nodeFiles } from "./node-files.ts";

export interface Machine extends AsyncDisposable {
  readonly home: Home;
  readonly config: Config;
  readonly store: SqliteStore;
  readonly journal: Journal;
  readonly gate: Gate;
  readonly coreDigest: Uint8Array;
  /** Signs receipts, with the key that signs the log. */
  readonly signer: Signer;
}

/**
 * The log's private key; made at the first use, so that a denial before enrollment is recorded too.
 */
export async function logKeyOf(home: Home) {
  const file = nodeFiles(home).log;
  if (requirePrivate(home.node, "folder") === null) mkdirSync(home.node, { mode: 0o700 });
  if (requirePrivate(file, "file") === null) {
    await writeKeyFile(file, generateKey("Ed25519"));
  }
  return readKeyFile(file);
}

/**
 * The address of the TPM: the option, else the configuration's, else the kernel's resource manager.
 */
export function tpmAddress(config: Config, option: string | undefined): string {
  return option ?? config.tpm ?? "device:/dev/tpmrm0";
}

/** What a policy reads; the rest of it does not matter for the choice of what to quote. */
export type ReadPolicy = Pick<ReferencePolicy, "pcrs" | "eventLog" | "ima">;

/** Throws StoreError, WireError, PrivateError or UsageError where the state cannot be opened. */
export async function openMachine(
  home: Home,
  tpm: string | undefined,
  policies: readonly ReadPolicy[],
  plane: PlaneSource | null = null,
): Promise<Machine> {
  const config = readConfig(home);
  const [core, logKey] = await Promise.all([loadCore(), logKeyOf(home)]);
  if (core.wasmDigest === null) throw new UsageError("The core has no digest.");
  const store = openSqliteStore(home.state);
  const { origin } = config;
  const journal = new Journal({ store, origin, signer: noteSigner(origin, logKey) });
  const coreDigest = core.wasmDigest;
  const gate = new Gate({
    core,
    store,
    journal,
    cases: new CaseFolder(home.cases),
    evidence: tpmEvidence(home, tpmAddress(config, tpm), policies, store, config),
    counter: tpmCounter(home, tpmAddress(config, tpm), store),
    coreDigest,
    ...(plane && { plane }),
  });
  const signer = signerOf(logKey);
  const dispose = () => store.close();
  return { home, config, store, journal, gate, coreDigest, signer, [Symbol.asyncDispose]: dispose };
}

/**
 * Number of the pinned charter; 1 where the state cannot say, so that all charters travel and the
 * core decides.
 */
export async function pinnedNumber(home: Home): Promise<number> {
  try {
    const store = openSqliteStore(home.state);
    const floors = await store.floors().finally(() => store.close());
    return floors?.charterNumber ?? 1;
  } catch {
    // The same failure meets openMachine, which turns it into a denial.
    return 1;
  }
}

/** TPM_ALG_ID of the banks, by the names of the wire format. */
const BANKS = { sha1: 0x0004, sha256: 0x000b, sha384: 0x000c, sha512: 0x000d } as const;

/** Where IMA extends. */
const PCR_IMA = 10;
/** The PCRs of a boot, which boot_aggregate is over. */
const BOOT = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

const FIRMWARE = [0, 1, 2, 3, 4, 5, 6, 7];
const ascending = (pcrs: readonly number[]): number[] => [...new Set(pcrs)].sort((a, b) => a - b);

/**
 * What to quote: every PCR that a policy reads; PCR 0 to 7 where none says. IMA rules read PCR 10,
 * and those of the boot for its aggregate, in every bank that is quoted anyway; SHA-256 where no
 * other is.
 */
function selectionOf(policies: readonly ReadPolicy[]) {
  const measured = policies.some(({ ima }) => ima !== undefined) ? [PCR_IMA] : [];
  const booted = policies.some(({ ima }) => ima?.aggregate === true) ? BOOT : [];
  const wanted = Object.entries(BANKS).map(([bank, hash]) => {
    const name = bank as keyof typeof BANKS;
    const maps = policies.flatMap(({ pcrs, eventLog }) => [pcrs?.[name], eventLog?.[name]]);
    const read = maps.flatMap((map) => [...(map?.keys() ?? [])]);
    return { hash, pcrs: read.length === 0 ? [] : ascending([...read, ...measured, ...booted]) };
  });
  const selection = wanted.filter(({ pcrs }) => pcrs.length > 0);
  const others = { hash: BANKS.sha256, pcrs: ascending([...FIRMWARE, ...measured, ...booted]) };
  return selection.length > 0 ? selection : [others];
}

/**
 * The TPM with the enrolled key. TPM2_Load answers TPM_RC_INTEGRITY where the key was made under
 * another EK, or before TPM2_Clear changed the proof of its hierarchy (Part 1 §14.4).
 * @throws AttestationKeyLost
 */
async function openEnrolled(home: Home, tpm: string): Promise<Agent> {
  const { openAgent } = await import("../agent/index.ts");
  try {
    return await openAgent({ tpm, akFile: nodeFiles(home).ak });
  } catch (cause) {
    const refused = cause instanceof Error && "rcName" in cause && cause.rcName;
    if (refused === "TPM_RC_INTEGRITY") throw new AttestationKeyLost(cause);
    throw cause;
  }
}

/** Raises the counter that guards this home's state. */
export function tpmCounter(home: Home, tpm: string, store: StoreReader): StateCounter {
  return {
    raise: async (value) => {
      const anchor = await store.anchor();
      if (anchor === null) throw new UsageError("No counter guards this state.");
      const { openAgent } = await import("../agent/index.ts");
      await using agent = await openAgent({ tpm, akFile: nodeFiles(home).ak });
      return await agent.raiseCounter(anchor, value);
    },
  };
}

/**
 * One quote for each request, from the TPM, with the enrolled key; and the boot event log from this
 * file, or where the kernel shows it, if a policy has rules over it.
 */
export function tpmEvidence(
  home: Home,
  tpm: string,
  policies: readonly ReadPolicy[],
  store: StoreReader,
  files: Pick<Config, "eventLog" | "ima">,
): EvidenceSource {
  const measured = policies.some(({ ima }) => ima !== undefined);
  return {
    attest: async (request) => {
      const { readImaList } = await import("../agent/index.ts");
      await using agent = await openEnrolled(home, tpm);
      const quoted = await agent.quote(merkleRoot([request]), selectionOf(policies));
      const { attest, signature, values } = quoted;
      const ima = measured ? await readImaList(files.ima ?? undefined) : null;
      const anchor = await store.anchor();
      const counter = anchor && { counter: await agent.counter(anchor) };
      const ruled = policies.some(({ eventLog }) => eventLog !== undefined);
      const log = ruled ? await bootLog(files.eventLog) : {};
      const place = { index: 0, size: 1, path: [] };
      return { attest, signature, ...place, pcrs: values, ima, ...counter, ...log };
    },
  };
}

/** The log, or why there is none: the core denies without one, and people are told the reason. */
async function bootLog(file: string | null) {
  const { EvidenceError, readEventLog } = await import("../agent/index.ts");
  try {
    return { eventLog: await readEventLog(file ?? undefined) };
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    return { missing: error.message };
  }
}
