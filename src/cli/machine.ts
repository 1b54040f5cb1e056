/**
 * This machine as a node: its state, its log, its TPM; opened for `run`, `check` and what looks
 * after them.
 */
import { existsSync, mkdirSync } from "node:fs";
import { askQuote, askRaise } from "../agent/client.ts";
import type { Agent } from "../agent/index.ts";
import type { BankSelection, CounterPlace, Quoted } from "../agent/messages.ts";
import { loadCore } from "../core/index.ts";
import type { StateCounter } from "../gate/anchor.ts";
import { EVIDENCE_SECONDS_MAX } from "../gate/bounds.ts";
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
 * From then on the credential names it, and no other takes its place.
 */
export async function logKeyOf(home: Home) {
  const { log, credential } = nodeFiles(home);
  if (requirePrivate(home.node, "folder") === null) mkdirSync(home.node, { mode: 0o700 });
  if (requirePrivate(log, "file") === null) {
    if (existsSync(credential)) {
      const remedy = "restore it from a backup, for it signs this machine's log";
      throw new UsageError(`${log} is absent: ${remedy}.`);
    }
    await writeKeyFile(log, generateKey("Ed25519"));
  }
  return readKeyFile(log);
}

/**
 * The address of the TPM: the option, else the configuration's, else the kernel's resource manager.
 */
export function tpmAddress(config: Config, option: string | undefined): string {
  return option ?? config.tpm ?? "device:/dev/tpmrm0";
}

/** How long a TPM may take for one answer, where a gate, or somebody who waits, depends on it. */
export const TPM_MS_MAX = EVIDENCE_SECONDS_MAX * 1000;

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
  const way = wayOf(home, config, tpm);
  const gate = new Gate({
    core,
    store,
    journal,
    cases: new CaseFolder(home.cases),
    evidence: tpmEvidence(way, policies, store, config),
    counter: tpmCounter(way, store),
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

/** How this machine's TPM is reached, and the key that it holds. */
export interface TpmWay {
  readonly address: string;
  readonly ak: string;
  /** Where its agent listens, if one runs; null: none is asked. */
  readonly socket: string | null;
}

/** Who names a TPM asks that one, and no agent. */
function wayOf(home: Home, config: Config, option: string | undefined): TpmWay {
  const { ak, socket } = nodeFiles(home);
  return { address: tpmAddress(config, option), ak, socket: option === undefined ? socket : null };
}

/**
 * What the TPM says through its agent, if one runs, else as it is asked from here. TPM2_Load answers
 * TPM_RC_INTEGRITY where the key was made under another EK, or before TPM2_Clear changed the proof
 * of its hierarchy (Part 1 §14.4).
 * @throws AttestationKeyLost
 */
async function askTpm<T>(
  { address, ak, socket }: TpmWay,
  asked: (socket: string) => Promise<T | null>,
  own: (agent: Agent) => Promise<T>,
): Promise<T> {
  try {
    const answer = socket === null ? null : await asked(socket);
    if (answer !== null) return answer;
    const { openAgent } = await import("../agent/index.ts");
    await using agent = await openAgent({ tpm: address, akFile: ak, timeoutMs: TPM_MS_MAX });
    return await own(agent);
  } catch (cause) {
    const refused = cause instanceof Error && "rcName" in cause && cause.rcName;
    if (refused === "TPM_RC_INTEGRITY") throw new AttestationKeyLost(cause);
    throw cause;
  }
}

/** Raises the counter that guards this home's state. */
function tpmCounter(way: TpmWay, store: StoreReader): StateCounter {
  return {
    raise: async (value) => {
      const counter = await store.anchor();
      if (counter === null) throw new UsageError("No counter guards this state.");
      return askTpm(
        way,
        (socket) => askRaise(socket, { kind: "raise", counter, value }),
        (agent) => agent.raiseCounter(counter, value),
      );
    },
  };
}

/** A quote for this request alone. */
async function quoteAlone(
  agent: Agent,
  request: Uint8Array,
  selection: readonly BankSelection[],
  counter: CounterPlace | null,
): Promise<Quoted> {
  const { attest, signature, values } = await agent.quote(merkleRoot([request]), selection);
  const held = counter && (await agent.counter(counter));
  return { attest, signature, values, counter: held, index: 0, size: 1, path: [] };
}

/**
 * One quote for each request, with the enrolled key; and the boot event log from this file, or where
 * the kernel shows it, if a policy has rules over it.
 */
export function tpmEvidence(
  way: TpmWay,
  policies: readonly ReadPolicy[],
  store: StoreReader,
  files: Pick<Config, "eventLog" | "ima">,
): EvidenceSource {
  const measured = policies.some(({ ima }) => ima !== undefined);
  const ruled = policies.some(({ eventLog }) => eventLog !== undefined);
  const selection = selectionOf(policies);
  return {
    attest: async (request) => {
      const place = await store.anchor();
      const { values, counter, ...quoted } = await askTpm(
        way,
        (socket) => askQuote(socket, { kind: "quote", request, selection, counter: place }),
        (agent) => quoteAlone(agent, request, selection, place),
      );
      const ima = measured ? await imaList(files.ima) : null;
      const log = ruled ? await bootLog(files.eventLog) : {};
      return { ...quoted, pcrs: values, ima, ...(counter !== null && { counter }), ...log };
    },
  };
}

async function imaList(file: string | null): Promise<Uint8Array | null> {
  const { readImaList } = await import("../agent/index.ts");
  return readImaList(file ?? undefined);
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
