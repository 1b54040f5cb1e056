/**
 * Boot event logs: TCG PC Client Platform Firmware Profile §10, in the SHA-1 format
 * (TCG_PCR_EVENT), the crypto-agile format (a Spec ID event, then TCG_PCR_EVENT2), and as CCEL,
 * whose register field counts measurement registers.
 *
 *     openEventLog(log, false);
 *     while (nextEvent()) look at `event`, digestOffset(hash), event-data.ts, or extendEvent(...);
 *     isFaulty, faultOffset, startupLocality, paddingBytes, and the PCRs in registers.ts
 *
 * A log is text until a quoted PCR equals its replay. Nothing in it is trusted before: every length
 * is compared with what is left, every event costs its own bytes once, and nothing is kept but the
 * registers.
 */
import { Span, lenOf, ptrOf, span, startsWithAscii } from "../abi";
import { TPM_READER_BYTES, TpmReader } from "../codec/reader";
import { limits } from "../generated";
import {
  algorithmAt,
  algorithms,
  announceFrom,
  announceSha1,
  digestOf,
  readDigests,
  readSha1Digest,
} from "./digest-list";
import { HASHES, REGISTERS_MAX, extend, resetRegisters, startFrom } from "./registers";
import { hashOf } from "../tpm/algorithm";

export const EV_NO_ACTION: u32 = 3;
const EV_EFI_HCRTM_EVENT: u32 = 0x80000010;
const SPEC_ID = "Spec ID Event03\0";
const STARTUP_LOCALITY = "StartupLocality\0";
const STARTUP_LOCALITY_BYTES: u32 = 17;
/** Locality 4 stands for an H-CRTM sequence before TPM2_Startup. */
const LOCALITY_MAX: u32 = 4;
/** MRTD and RTMR 0 to 3: Guest-Hypervisor Communication Interface for Intel TDX, §4.3. */
const CCEL_REGISTERS: u32 = 5;

@unmanaged
export class LogEvent {
  /** Where it begins. */
  at: usize;
  pcr: u32;
  type: u32;
  data: Span;
}

/** The event that `nextEvent` read last. */
export const event = changetype<LogEvent>(memory.data(24, 8));

export let isAgile: bool = false;
/** The log is none, or stops being one at `faultOffset`. */
export let isFaulty: bool = true;
export let faultOffset: u32 = 0;
/** The locality that PCR 0 started from, -1 where the log does not say. */
export let startupLocality: i32 = -1;
/** Bytes 0xFF or 0x00 behind the last event: areas of fixed size are filled up with one of them. */
export let paddingBytes: u32 = 0;

/**
 * The first event of PCR 0 is an H-CRTM's. A TPM starts PCR 0 at 4 then (Part 1 §34.3), but not
 * every firmware that logs such an event had one: this replay starts at 0 unless the log tells a
 * locality, and who has a quote may try both.
 */
export let isHcrtm: bool = false;

/** PCR 0 had an event, whatever it extends. */
let isStarted: bool = false;
let isCcel: bool = false;
/** Registers that an event can extend. */
let registers: u32 = 0;
let start: usize = 0;
/** From here to the end, all bytes are the same filler. */
let fillerAt: usize = 0;
const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));

/**
 * Opens a log and tells its format by its first event; false where it is none. PCRs start as after
 * a reset.
 */
export function openEventLog(log: Span, ccel: bool): bool {
  resetRegisters();
  startupLocality = -1;
  isHcrtm = false;
  isStarted = false;
  paddingBytes = 0;
  faultOffset = 0;
  isCcel = ccel;
  registers = ccel ? CCEL_REGISTERS : REGISTERS_MAX;
  isAgile = false;
  isFaulty = lenOf(log) == 0 || lenOf(log) > limits.eventLogBytes;
  if (isFaulty) return false;
  const r = READER.open(log);
  start = r.at;
  fillerAt = findFiller(r.end);
  readSha1Event(r);
  isAgile = event.type == EV_NO_ACTION && startsWithAscii(event.data, SPEC_ID);
  if (isAgile) r.require(announceFrom(event.data));
  else announceSha1();
  // An empty log, or an area that was never written, must not read as "every PCR is as after a
  // reset".
  isFaulty = r.faulty || fillerAt == start || (ccel && !isAgile);
  READER.open(log);
  return !isFaulty;
}

/**
 * Found once, from the end: looking for it at each event would cost the square of the log's length.
 */
function findFiller(end: usize): usize {
  const filler = load<u8>(end - 1);
  if (filler != 0 && filler != 0xff) return end;
  let at = end;
  while (at > start && load<u8>(at - 1) == filler) at--;
  return at;
}

/** Reads the next event, and extends nothing; false behind the last, and at a fault. */
export function nextEvent(): bool {
  const r = READER;
  if (isFaulty || r.at == r.end) return false;
  if (r.at >= fillerAt) {
    paddingBytes = <u32>(r.end - r.at);
    r.at = r.end;
    return false;
  }
  if (isAgile && r.at != start) readAgileEvent(r);
  else readSha1Event(r);
  if (event.type == EV_NO_ACTION) readNoAction(r);
  else r.require(event.pcr < registers);
  if (r.faulty) {
    isFaulty = true;
    faultOffset = <u32>(event.at - start);
    return false;
  }
  if (event.type != EV_NO_ACTION && event.pcr == 0) noteStart();
  return true;
}

/** TCG_PCR_EVENT, PFP §10.2.1. */
function readSha1Event(r: TpmReader): void {
  event.at = r.at;
  event.pcr = r.little32();
  event.type = r.little32();
  readSha1Digest(r);
  event.data = r.take(r.little32());
}

/** TCG_PCR_EVENT2, PFP §10.2.2. */
function readAgileEvent(r: TpmReader): void {
  event.at = r.at;
  event.pcr = r.little32();
  event.type = r.little32();
  readDigests(r);
  event.data = r.take(r.little32());
}

/**
 * EV_NO_ACTION is never extended, wherever it stands. One of them tells where PCR 0 started, before
 * any event of it.
 */
function readNoAction(r: TpmReader): void {
  if (isCcel || event.pcr != 0 || !startsWithAscii(event.data, STARTUP_LOCALITY)) return;
  r.require(lenOf(event.data) == STARTUP_LOCALITY_BYTES && startupLocality < 0);
  r.require(!isStarted);
  if (r.faulty) return;
  const locality: u32 = load<u8>(ptrOf(event.data) + STARTUP_LOCALITY_BYTES - 1);
  r.require(locality <= LOCALITY_MAX);
  startupLocality = <i32>locality;
  startFrom(locality);
}

/** The first event of PCR 0 tells how the PCR started. */
function noteStart(): void {
  isHcrtm = isHcrtm || (event.type == EV_EFI_HCRTM_EVENT && !isStarted);
  isStarted = true;
}

/** Extends what the event says, in the banks of these hashes: bit 1 for number 1, and so on. */
export function extendEvent(banks: u32): void {
  if (event.type == EV_NO_ACTION) return;
  for (let hash: u32 = 1; hash <= HASHES; hash++) {
    const digest = ((banks >> hash) & 1) == 0 ? <usize>0 : digestOf(hash);
    if (digest != 0) extend(hash, event.pcr, digest);
  }
}

/** Takes up what a replay of this very log, without a fault, found before: measure/known-logs.ts. */
export function assumeReplayed(hcrtm: bool): void {
  isFaulty = false;
  isHcrtm = hcrtm;
}

/** Whether the log has this bank. */
export function hasBank(hash: u32): bool {
  for (let i: u32 = 0; i < algorithms; i++) if (hashOf(algorithmAt(i)) == hash) return true;
  return false;
}

/** Where the event's data begins in the log. */
export function dataOffset(): u32 {
  return <u32>(ptrOf(event.data) - start);
}

/** Where the event's digest begins in the log, 0 where it carries none of this hash. */
export function digestOffset(hash: u32): u32 {
  const digest = digestOf(hash);
  return digest == 0 ? 0 : <u32>(digest - start);
}
