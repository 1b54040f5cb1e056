/**
 * The context: what the deciding verifier holds itself. The host looks most of it up by untrusted
 * evidence, so the core compares the two wherever they name the same thing.
 */
import { Span } from "./abi";
import { Reader, keyOrder } from "./codec/cbor";
import { limits } from "./generated";
import { readName } from "./grant/claims";

export const enum Role {
  GATE,
  PLANE,
}

export const enum Purpose {
  START,
  LEASE,
}

export let role: u32 = Role.GATE;
export let pin: Span = 0;
export let now: u64 = 0;
export let floorNumber: u64 = 0;
export let floorVersion: u64 = 0;
export let floorDigest: Span = 0;
export let floorTime: u64 = 0;
export let nonce: Span = 0;
export let akName: Span = 0;
/** Whether this verifier has seen counters of this key before. */
export let hasCounters: bool = false;
export let resetCount: u64 = 0;
export let restartCount: u64 = 0;
export let clock: u64 = 0;
export let firmwareVersion: u64 = 0;
/** [[element digest, uses so far]], as it stands. */
export let uses: Span = 0;
/** There is an IMA prefix to resume from: of this boot session, judged under these policies. */
export let hasPrefix: bool = false;
export let prefixResetCount: u64 = 0;
export let prefixRestartCount: u64 = 0;
/** A list of policy digests, as it stands. */
export let prefixPolicies: Span = 0;
export let prefixEntries: u64 = 0;
/** A list of values of PCR 10, as it stands: the length of each says which bank it is of. */
export let prefixValues: Span = 0;
export let purpose: u32 = Purpose.START;
/** Start: the parent's run id, or 0. Lease: the run's own id. */
export let runId: Span = 0;
export let startJob: Span = 0;
export let startChain: Span = 0;

function readFloors(r: Reader): void {
  r.array(4, 4);
  floorNumber = r.uint();
  floorVersion = r.uint();
  floorDigest = r.nullable() ? 0 : r.digest();
  floorTime = r.uint();
  r.require((floorVersion == 0) == (floorDigest == 0));
}

function readCounters(r: Reader): void {
  r.array(2, 2);
  akName = readName(r);
  hasCounters = !r.nullable();
  if (!hasCounters) return;
  r.array(4, 4);
  resetCount = r.uint(u32.MAX_VALUE);
  restartCount = r.uint(u32.MAX_VALUE);
  clock = r.u64();
  firmwareVersion = r.u64();
}

function readUses(r: Reader): Span {
  const start = r.at;
  const count = r.array(0, limits.elements);
  for (let i: u32 = 0; i < count; i++) {
    r.array(2, 2);
    r.digest();
    r.uint();
  }
  return r.since(start);
}

function readPrefix(r: Reader): void {
  hasPrefix = !r.nullable();
  if (!hasPrefix) return;
  r.array(5, 5);
  prefixResetCount = r.uint(u32.MAX_VALUE);
  prefixRestartCount = r.uint(u32.MAX_VALUE);
  let start = r.at;
  const policies = r.array(1, limits.policies);
  for (let i: u32 = 0; i < policies; i++) r.digest();
  prefixPolicies = r.since(start);
  prefixEntries = r.uint();
  r.require(prefixEntries != 0);
  start = r.at;
  const values = r.array(1, 8);
  for (let i: u32 = 0; i < values; i++) r.bytes(20, 64);
  prefixValues = r.since(start);
}

function readPurpose(r: Reader): void {
  const members = r.array(2, 4);
  purpose = <u32>r.uint(Purpose.LEASE);
  if (purpose == Purpose.START) {
    r.require(members == 2);
    runId = r.nullable() ? 0 : r.digest();
    startJob = 0;
    startChain = 0;
  } else {
    r.require(members == 4);
    runId = r.digest();
    startJob = r.digest();
    startChain = r.digest();
  }
}

/** Reads the context; faults stay in the reader. */
export function readContext(r: Reader): void {
  r.map(9, 9);
  let order: u64 = 0;
  for (let i: i64 = 1; i <= 9; i++) {
    const key = r.key(order);
    order = keyOrder(key);
    r.require(key == i);
    if (i == 1) role = <u32>r.uint(Role.PLANE);
    else if (i == 2) pin = r.digest();
    else if (i == 3) now = r.uint();
    else if (i == 4) readFloors(r);
    else if (i == 5) nonce = r.digest();
    else if (i == 6) readCounters(r);
    else if (i == 7) uses = readUses(r);
    else if (i == 8) readPrefix(r);
    else readPurpose(r);
  }
}
