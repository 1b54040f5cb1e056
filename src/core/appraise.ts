/**
 * One quote on its own: shapes are checked here and written in one frame, values are judged in the
 * core.
 */
import { LIMITS } from "../limits.ts";
import { BANK_NAMES, BANKS, PCRS, type Pcrs } from "./banks.ts";
import { CODE_LIST, type Code } from "./codes.ts";
import { CoreError } from "./errors.ts";
import { ARRAY, BYTES, Frame, MAP, UNSIGNED } from "./frame.ts";
import type { Exports } from "./instance.ts";
import { type HashName, hashId, needBytes } from "./signature.ts";

/** For each PCR that the policy reads, the values that it allows. */
export interface PcrPolicy {
  readonly pcrs: {
    readonly [bank in HashName]?: { readonly [index: number]: readonly Uint8Array[] };
  };
}

/** What has been seen before of the same TPM. `clock` in milliseconds, as the TPM counts. */
export interface ClockFloor {
  readonly resetCount: number;
  readonly restartCount: number;
  readonly clock: bigint;
  readonly firmwareVersion?: bigint;
}

/**
 * A quote and what it is compared with. Everything that came from the other side may be any bytes
 * at all.
 */
export interface Quote {
  /** TPMT_PUBLIC of the attestation key, without a TPM2B around it. */
  readonly publicArea: Uint8Array;
  /**
   * Name of the attestation key's parent, where that is the EK; absent where the key is a primary.
   */
  readonly ekName?: Uint8Array;
  /** TPMS_ATTEST and TPMT_SIGNATURE, without a TPM2B around them. */
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  /** Values of the quoted PCRs; what the signed selection does not hold does not exist. */
  readonly pcrs: Pcrs;
  /** What extraData must be. Empty data is answered by no quote. */
  readonly qualifyingData: Uint8Array;
  /** The payload of a reference policy (its signatures are not judged here), or rules over PCRs. */
  readonly policy: Uint8Array | PcrPolicy;
  /**
   * The boot event log of this boot: given, it must replay to every quoted PCR that is not as a
   * reset leaves it.
   */
  readonly eventLog?: Uint8Array;
  /**
   * The IMA list of this boot, from its beginning: given, it must lead to the quoted PCR 10.
   * Entries behind the one that does are not proven. Not given, nothing is asked of PCR 10.
   */
  readonly ima?: Uint8Array;
  /**
   * What the list continues, where it is not from the boot's beginning: how many entries an earlier
   * quote of this boot proved, and PCR 10 after them, one value for each quoted bank. The caller's
   * own knowledge: the policy does not judge these entries again.
   */
  readonly imaPrefix?: { readonly entries: number; readonly values: readonly Uint8Array[] };
  readonly floor?: ClockFloor;
}

/** Never an `Allowed`: it permits nothing. */
export interface Appraisal {
  readonly ok: boolean;
  /** The first of `codes`, null where there is none. */
  readonly code: Code | null;
  /** Every fault, in the order of the table; what depends on one is not evaluated. */
  readonly codes: readonly Code[];
  /**
   * What was not compared: `eventLog`, `ima`, `floor` and `floor.firmwareVersion` where they were
   * not given, and `qualifiedSigner` where no floor was given and the key does not lie in the
   * endorsement hierarchy.
   */
  readonly unchecked: readonly string[];
  /** Index of the IMA entry that the policy denies, from the boot's first; absent without one. */
  readonly deniedImaEntry?: number;
}

// The frame and the answer: assembly/appraise.ts.
const RULES_PAYLOAD = 0;
const RULES_PCRS = 1;
const FLOOR_COUNTERS = 1;
const FLOOR_FIRMWARE = 2;
const LOG_EVENTS = 1;
const LOG_IMA = 2;
const LOG_PREFIX = 4;
const UNCHECKED_QUALIFIED_SIGNER = 1;
const FOUND_AT = 8;
const DENIED_AT = FOUND_AT + 256;
const APPRAISAL_BYTES = DENIED_AT + 8;

/** Whole numbers below are listed in ascending order (ECMA-262, OrdinaryOwnPropertyKeys). */
const INDEX_END = 1e9;
const PCR_KEYS = new Map(Array.from({ length: PCRS }, (_, pcr) => [String(pcr), pcr]));

/**
 * No Name, digest or extraData is longer (Part 2 §10.4): one byte more is as wrong as a million.
 */
const FIELD_MAX = 66;

/**
 * Appraises a quote. Malformed evidence is a code, never an exception; see assembly/appraise.ts for
 * the checks.
 *
 * @throws CoreError `input` when a member is missing, is of another type, or when the policy or the
 * floor (which are
 *   the caller's own) hold a bank, index, digest or number that cannot be.
 */
export function appraiseQuote(core: Exports, quote: Quote): Appraisal {
  if (!isObject(quote)) throw new CoreError("input", "A quote is missing.");
  core.appraiseQuote(writeFrame(new Frame(core), quote));
  const answer = new DataView(core.memory.buffer, core.appraisal(), APPRAISAL_BYTES);
  const found = new Uint8Array(
    core.memory.buffer,
    core.appraisal() + FOUND_AT,
    CODE_LIST.length + 1,
  );
  const codes = found.includes(1) ? CODE_LIST.filter((_, i) => found[i + 1] === 1) : [];
  const denied = Number(answer.getBigUint64(DENIED_AT, true));
  return Object.freeze({
    ok: answer.getUint32(0, true) === 1 && codes.length === 0,
    code: codes[0] ?? null,
    codes: Object.freeze(codes),
    unchecked: Object.freeze(uncheckedOf(quote, answer.getUint32(4, true))),
    ...(denied === 0 ? {} : { deniedImaEntry: denied - 1 }),
  });
}

/** Quotes whose signatures are verified together. */
const TOGETHER_MAX = 64;

/**
 * Appraises many quotes, each as `appraiseQuote` does; their signatures share the core's batches.
 *
 * @throws CoreError as `appraiseQuote`, with the quote's index.
 */
export function appraiseQuotes(core: Exports, quotes: readonly Quote[]): Appraisal[] {
  if (!Array.isArray(quotes)) throw new CoreError("input", "The quotes must be an array.");
  return Array.from(quotes, (quote, index) => {
    try {
      if (index % TOGETHER_MAX === 0) prepare(core, quotes.slice(index, index + TOGETHER_MAX));
      return appraiseQuote(core, quote);
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      throw new CoreError(error.code, error.message, { index, cause: error });
    }
  });
}

/** What is of a wrong shape is left to the appraisal, which says so. */
function prepare(core: Exports, quotes: readonly Quote[]): void {
  const frame = new Frame(core);
  let written = 0;
  for (const quote of quotes) {
    if (!isObject(quote)) continue;
    const { publicArea, attest, signature } = quote;
    if (![publicArea, attest, signature].every((part) => part instanceof Uint8Array)) continue;
    frame.part(clip(publicArea, LIMITS.publicAreaBytes));
    frame.part(clip(attest, LIMITS.attestBytes));
    frame.part(clip(signature, LIMITS.tpmSignatureBytes));
    written++;
  }
  core.prepareQuotes(frame.length, written);
}

function uncheckedOf({ floor, eventLog, ima }: Quote, bits: number): string[] {
  const unchecked = bits & UNCHECKED_QUALIFIED_SIGNER ? ["qualifiedSigner"] : [];
  if (floor === undefined) unchecked.push("floor");
  if (floor?.firmwareVersion === undefined) unchecked.push("floor.firmwareVersion");
  if (eventLog === undefined) unchecked.push("eventLog");
  if (ima === undefined) unchecked.push("ima");
  return unchecked;
}

/** Writes the quote and gives the frame's length. */
function writeFrame(frame: Frame, quote: Quote): number {
  const { ekName, floor, eventLog, ima, imaPrefix } = quote;
  frame.part(evidence(quote.publicArea, "publicArea", LIMITS.publicAreaBytes));
  frame.number(1, ekName === undefined ? 0 : 1);
  if (ekName !== undefined) frame.part(evidence(ekName, "ekName", FIELD_MAX));
  frame.part(evidence(quote.attest, "attest", LIMITS.attestBytes));
  frame.part(evidence(quote.signature, "signature", LIMITS.tpmSignatureBytes));
  frame.part(evidence(quote.qualifyingData, "qualifyingData", FIELD_MAX));
  writePolicy(frame, quote.policy);
  writeFloor(frame, floor);
  const events = eventLog === undefined ? 0 : LOG_EVENTS;
  const lists = ima === undefined ? 0 : LOG_IMA | (imaPrefix === undefined ? 0 : LOG_PREFIX);
  frame.number(1, events | lists);
  if (eventLog !== undefined) frame.part(evidence(eventLog, "eventLog", LIMITS.eventLogBytes));
  if (ima !== undefined) frame.part(evidence(ima, "ima", LIMITS.imaBytes));
  if (ima !== undefined && imaPrefix !== undefined) writePrefix(frame, imaPrefix);
  writeValues(frame, quote.pcrs);
  return frame.length;
}

function writePolicy(frame: Frame, policy: Quote["policy"]): void {
  if (policy instanceof Uint8Array) {
    frame.number(1, RULES_PAYLOAD);
    frame.part(clip(policy, LIMITS.policyBytes));
    return;
  }
  if (!isObject(policy)) throw new CoreError("input", "policy is bytes, or an object with pcrs.");
  frame.number(1, RULES_PCRS);
  const length = frame.later();
  writeRules(frame, policy.pcrs);
  frame.settle(length, frame.length - length - 4);
}

const NO_FLOOR: ClockFloor = { resetCount: 0, restartCount: 0, clock: 0n };

function writeFloor(frame: Frame, floor: ClockFloor | undefined): void {
  if (floor !== undefined && !isObject(floor)) {
    throw new CoreError("input", "floor is an object with resetCount, restartCount and clock.");
  }
  const { resetCount, restartCount, clock, firmwareVersion } = floor ?? NO_FLOOR;
  const firmware = firmwareVersion === undefined ? 0 : FLOOR_FIRMWARE;
  frame.number(1, floor === undefined ? 0 : FLOOR_COUNTERS | firmware);
  frame.number(4, counter(resetCount, "floor.resetCount"));
  frame.number(4, counter(restartCount, "floor.restartCount"));
  frame.long(long(clock, "floor.clock"));
  frame.long(long(firmwareVersion ?? 0n, "floor.firmwareVersion"));
}

function writePrefix(frame: Frame, prefix: NonNullable<Quote["imaPrefix"]>): void {
  if (!isObject(prefix) || !Number.isSafeInteger(prefix.entries) || prefix.entries < 1) {
    throw new CoreError("input", "imaPrefix has entries, one or more, and values.");
  }
  const { values } = prefix;
  const widths = Array.isArray(values) ? values.map((value: unknown) => widthOf(value)) : [];
  if (widths.length === 0 || new Set(widths).size !== widths.length || widths.includes(null)) {
    throw new CoreError("input", "imaPrefix.values has one value of PCR 10 for each quoted bank.");
  }
  frame.long(BigInt(prefix.entries));
  frame.number(1, values.length);
  for (const value of values) frame.part(value);
}

/** Bytes of a PCR value; null for what is none. */
function widthOf(value: unknown): number | null {
  const known = Object.values(BANKS).map(({ bytes }) => bytes as number);
  return value instanceof Uint8Array && known.includes(value.length) ? value.length : null;
}

/** PCRs that no TPM selects are left out: they do not exist. */
function writeValues(frame: Frame, pcrs: Pcrs): void {
  const count = frame.later();
  let values = 0;
  for (const bank of banksOf(pcrs, "pcrs")) {
    const indexes = pcrs[bank];
    for (const key of keysOf(indexes, "pcrs", bank)) {
      const index = indexOf(key, "pcrs", bank);
      if (index >= PCRS) continue;
      const value = indexes?.[index];
      if (!(value instanceof Uint8Array)) needBytes(value, `pcrs.${bank}[${index}]`);
      frame.number(2, BANKS[bank].id);
      frame.number(1, index);
      frame.part(clip(value, FIELD_MAX));
      values++;
    }
  }
  frame.settle(count, values);
}

/**
 * The map of claim -70502 in deterministic CBOR (docs/wire-format.md): banks by TPM_ALG_ID, indexes
 * ascending.
 */
function writeRules(frame: Frame, pcrs: PcrPolicy["pcrs"]): void {
  const banks = banksOf(pcrs, "policy.pcrs");
  frame.head(MAP, banks.length);
  for (const bank of banks) {
    const indexes = pcrs[bank];
    const keys = keysOf(indexes, "policy.pcrs", bank);
    frame.head(UNSIGNED, BANKS[bank].id);
    frame.head(MAP, keys.length);
    for (const key of keys) {
      const index = indexOf(key, "policy.pcrs", bank);
      const allowed = indexes?.[index];
      if (!Array.isArray(allowed)) {
        throw new CoreError("input", `policy.pcrs.${bank}[${index}] must be an array.`);
      }
      frame.head(UNSIGNED, index);
      frame.head(ARRAY, allowed.length);
      for (const digest of allowed) {
        needDigest(digest, bank, index);
        frame.head(BYTES, digest.length);
        frame.raw(digest);
      }
    }
  }
}

function needDigest(digest: unknown, bank: HashName, index: number): asserts digest is Uint8Array {
  if (digest instanceof Uint8Array && digest.length === BANKS[bank].bytes) return;
  const what = `A digest of policy.pcrs.${bank}[${index}]`;
  needBytes(digest, what);
  throw new CoreError("input", `${what} has ${digest.length} bytes.`);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The banks of an object, by TPM_ALG_ID. One that is undefined is not there. */
function banksOf(banks: { readonly [bank in HashName]?: unknown }, what: string): HashName[] {
  if (!isObject(banks)) throw new CoreError("input", `${what} must be an object of banks.`);
  for (const bank of Object.keys(banks)) hashId(bank as HashName);
  return BANK_NAMES.filter((bank) => banks[bank] !== undefined);
}

/** The PCRs of a bank, ascending, as an object lists its whole numbers. */
function keysOf(indexes: unknown, where: string, bank: HashName): string[] {
  if (isObject(indexes)) return Object.keys(indexes);
  throw new CoreError("input", `${where}.${bank} must be an object of PCRs.`);
}

/** Text is put together for errors alone: this is the hot path. */
function indexOf(key: string, where: string, bank: HashName): number {
  const pcr = PCR_KEYS.get(key);
  if (pcr !== undefined) return pcr;
  const index = Number(key);
  if (String(index) === key && Number.isInteger(index) && index >= 0 && index < INDEX_END) {
    return index;
  }
  const message = `${where}.${bank} has a member "${key}", which is no PCR index.`;
  throw new CoreError("input", message);
}

/**
 * What came from the other side. A byte more than the bound is enough for the core to see that it
 * is too long.
 */
function evidence(value: unknown, what: string, bound: number): Uint8Array {
  needBytes(value, what);
  return clip(value, bound);
}

function clip(value: Uint8Array, bound: number): Uint8Array {
  return value.length <= bound ? value : value.subarray(0, bound + 1);
}

function counter(value: unknown, what: string): number {
  const fits = typeof value === "number" && Number.isInteger(value);
  if (!fits || value < 0 || value > 0xffff_ffff) {
    throw new CoreError("input", `${what} must be a whole number of 32 bits.`);
  }
  return value;
}

function long(value: unknown, what: string): bigint {
  if (typeof value !== "bigint" || value < 0n || value >= 1n << 64n) {
    throw new CoreError("input", `${what} must be a bigint of 64 bits.`);
  }
  return value;
}
