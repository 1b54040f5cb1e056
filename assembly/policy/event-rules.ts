/**
 * Event-log rules of a reference policy: bank -> PCR -> the events that it may have been extended
 * with (docs/wire-format.md). Their form is judged here; what they say of a log, in
 * event-judgement.ts.
 */
import { Span, lenOf, ptrOf } from "../abi";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import { limits } from "../generated";
import { digestBytes } from "../hash/hash";
import { hashOf } from "../tpm/algorithm";

/** PCR 10 is IMA's, and any program can reset 16 and 23: no boot log explains them. */
const NO_BOOT_PCRS: u32 = (1 << 10) | (1 << 16) | (1 << 23);
const PCRS: u32 = 24;

/** Whether an event must occur, or only may. */
export const enum Need {
  ALLOWED,
  REQUIRED,
}

/** The rules of one PCR, as `loadBank` found them. */
@unmanaged
export class PcrRules {
  /** There are rules for this PCR. */
  present: bool;
  /** Exactly one separator, and no error. */
  separator: bool;
  /** Places of its sets, variables and types among those of the bank: the first, and their count. */
  sets: u32;
  setCount: u32;
  variables: u32;
  variableCount: u32;
  types: u32;
  typeCount: u32;
}
const PCR_RULES_BYTES: u32 = 32;
const ALL = memory.data(24 * 32, 8);

/** Digests of which one satisfies the need: they stand behind one another at an even distance. */
@unmanaged
export class DigestSet {
  /** Of the first digest. */
  at: usize;
  count: u32;
  need: Need;
  isSeen: bool;
}
const SET_BYTES: u32 = 16;
const SETS = memory.data(24 * 256 * 16, 8);

/** A UEFI variable, of any value. */
@unmanaged
export class VariableRule {
  guid: Span;
  name: Span;
  need: Need;
  isSeen: bool;
}
const VARIABLE_BYTES: u32 = 24;
const VARIABLES = memory.data(24 * 64 * 24, 8);
const TYPES = memory.data(24 * 32 * 4, 8);

let sets: u32 = 0;
let variables: u32 = 0;
let types: u32 = 0;
/** Bytes of a digest of the bank, and from one digest of a set to the next. */
export let width: u32 = 0;
export let stride: u32 = 0;

export function pcrRulesAt(pcr: u32): PcrRules {
  return changetype<PcrRules>(ALL + pcr * PCR_RULES_BYTES);
}

export function setAt(place: u32): DigestSet {
  return changetype<DigestSet>(SETS + place * SET_BYTES);
}

export function variableAt(place: u32): VariableRule {
  return changetype<VariableRule>(VARIABLES + place * VARIABLE_BYTES);
}

export function typeAt(place: u32): u32 {
  return load<u32>(TYPES + (place << 2));
}

/** Whether the rules read last demand anything: an empty log satisfies what only allows. */
export let isDemanding: bool = false;

/** Reads the rules of every bank, and gives them as they stand. */
export function readEventRules(r: Reader): Span {
  const start = r.at;
  isDemanding = false;
  const banks = r.map(1, 4);
  let order: u64 = 0;
  for (let i: u32 = 0; i < banks && r.fault == Fault.NONE; i++) {
    const bank = r.key(order);
    order = keyOrder(bank);
    r.require(bank > 0 && bank <= 0xffff && hashOf(<u32>bank) != 0);
    readBank(r, <u32>bank);
  }
  return r.since(start);
}

const AGAIN = changetype<Reader>(memory.data(READER_BYTES, 8));

/** Loads the rules of the bank at this place among those of a policy; gives the bank, 0 if none. */
export function loadBank(rules: Span, place: u32): u32 {
  const r = AGAIN.open(rules);
  const banks = r.map(0, u32.MAX_VALUE);
  if (place >= banks) return 0;
  let bank: u32 = 0;
  for (let i: u32 = 0; i <= place; i++) {
    bank = <u32>r.int();
    readBank(r, bank);
  }
  return r.fault == Fault.NONE ? bank : 0;
}

function readBank(r: Reader, bank: u32): void {
  memory.fill(ALL, 0, PCRS * PCR_RULES_BYTES);
  sets = 0;
  variables = 0;
  types = 0;
  width = digestBytes(hashOf(bank));
  // A byte string below 24 bytes has a head of one byte, below 256 of two (RFC 8949 §3).
  stride = width + (width < 24 ? 1 : 2);
  const pcrs = r.map(1, PCRS);
  let order: u64 = 0;
  for (let i: u32 = 0; i < pcrs && r.fault == Fault.NONE; i++) {
    const pcr = r.key(order);
    order = keyOrder(pcr);
    r.require(pcr >= 0 && pcr < <i64>PCRS && ((NO_BOOT_PCRS >> <u32>pcr) & 1) == 0);
    if (r.fault == Fault.NONE) readPcr(r, pcrRulesAt(<u32>pcr));
  }
}

function readPcr(r: Reader, rules: PcrRules): void {
  r.array(4, 4);
  rules.present = true;
  rules.separator = r.uint(1) == 1;
  isDemanding = isDemanding || rules.separator;
  rules.sets = sets;
  rules.setCount = r.array(0, limits.eventRules);
  for (let i: u32 = 0; i < rules.setCount && r.fault == Fault.NONE; i++) readSet(r);
  rules.variables = variables;
  rules.variableCount = r.array(0, limits.eventVariables);
  for (let i: u32 = 0; i < rules.variableCount && r.fault == Fault.NONE; i++) readVariable(r, i);
  rules.types = types;
  rules.typeCount = r.array(0, limits.eventTypes);
  let last: i64 = -1;
  for (let i: u32 = 0; i < rules.typeCount && r.fault == Fault.NONE; i++) {
    const type = <i64>r.uint(u32.MAX_VALUE);
    r.require(type > last);
    last = type;
    store<u32>(TYPES + (types++ << 2), <u32>type);
  }
}

function readNeed(r: Reader): Need {
  const need = <Need>r.uint(1);
  isDemanding = isDemanding || need == Need.REQUIRED;
  return need;
}

function readSet(r: Reader): void {
  const set = setAt(sets++);
  r.array(3, 3);
  set.need = readNeed(r);
  set.isSeen = false;
  set.count = r.array(1, limits.eventDigests);
  let last: Span = 0;
  for (let i: u32 = 0; i < set.count && r.fault == Fault.NONE; i++) {
    const digest = r.exactly(width);
    if (i == 0) set.at = ptrOf(digest);
    r.ascending(last, digest);
    last = digest;
  }
  // What people call it: never judged.
  if (!r.nullable()) r.bytes(1, limits.fieldBytes);
}

function readVariable(r: Reader, place: u32): void {
  const rule = variableAt(variables++);
  r.array(3, 3);
  rule.need = readNeed(r);
  rule.isSeen = false;
  rule.guid = r.exactly(16);
  rule.name = r.ident();
  if (place == 0 || r.fault != Fault.NONE) return;
  const before = variableAt(variables - 2);
  const order = memory.compare(ptrOf(before.guid), ptrOf(rule.guid), 16);
  r.require(order <= 0);
  if (order == 0) r.ascending(before.name, rule.name);
}

/** Whether a set holds this digest: its digests ascend. */
export function holdsDigest(set: DigestSet, digest: usize): bool {
  let from: u32 = 0;
  let to = set.count;
  while (from < to) {
    const middle = (from + to) >> 1;
    const order = memory.compare(set.at + middle * stride, digest, width);
    if (order == 0) return true;
    if (order < 0) from = middle + 1;
    else to = middle;
  }
  return false;
}
