/**
 * The signatures of many cases, or quotes, verified together before any of them is judged, so that
 * they share inversions and lanes. Nothing is judged here: a case is read for who says to have signed what,
 * and what does verify is kept (cose/kept), true whatever becomes of the case. A decision then finds
 * these signatures verified, and computes in plain form what it does not find.
 *
 * Governance and policies are left out: they are the same
 * in every case, and are kept from the first decision on.
 */
import { Span, lenOf, ptrOf, same, span } from "./abi";
import { readCase } from "./case";
import { Fault } from "./codec/cbor";
import { TPM_READER_BYTES, TpmReader } from "./codec/reader";
import { Key, Keyset } from "./cose/key";
import { Kind, ask, keepVerified } from "./cose/kept";
import * as cose from "./cose/message";
import * as evidence from "./evidence";
import { Code, limits } from "./generated";
import * as chain from "./grant/chain";
import { openChain } from "./grant/chain";
import { Role, keyset, readUnverifiedCharter } from "./grant/charter";
import { Holder, elementAt } from "./grant/element";
import * as node from "./grant/node";
import { openNode } from "./grant/node";
import { CHECK_BYTES, Check, verifyChecks } from "./sig/batch";
import { noteSlot, noteVerified } from "./sig/known-keys";
import { KeyKind, NO_SLOT, findKey, keyOf, kindOf, useWindow } from "./sig/prepared-keys";
import { hashOf } from "./tpm/algorithm";
import * as area from "./tpm/public";
import { parsePublic } from "./tpm/public";
import { ecdsaKind, unverifiedEcdsa } from "./tpm/signature";

/** A case as the host writes it. */
@unmanaged
class Case {
  address: usize;
  length: u32;
}

/** What a signature that verifies is a fact about. */
@unmanaged
class Origin {
  kind: u32;
  place: u32;
  first: Span;
  second: Span;
  third: Span;
}

const CHECKS_MAX: u32 = 256;
const CHECKS = memory.data(256 * 28, 16);
const ORIGINS = memory.data(256 * 32, 16);
const ANSWERS = memory.data(256, 16);
/** Of one case at most: of a grant, four links, the proof, the credential and the quote. */
const CASE_CHECKS: u32 = 8 + 4 + 3;
/** Messages and signatures of all checks; and room for those of one more case. */
const BYTES: u32 = 1048576;
const CASE_BYTES: u32 = 15 * (8192 + 1024);
const MESSAGES = memory.data(1048576, 16);

const READER = changetype<TpmReader>(memory.data(TPM_READER_BYTES, 8));

let count: u32 = 0;
let used: u32 = 0;
/** The charters read last. */
let charters: Span = 0;

/** Verifies together what the cases need; `cases` are pairs of u32, address and length. */
export function prepareCases(cases: usize, length: u32): void {
  if (SIMD == 0) return;
  charters = 0;
  for (let i: u32 = 0; i < length; i++) {
    if (count + CASE_CHECKS > CHECKS_MAX || used + CASE_BYTES > BYTES) verifyAll();
    const one = changetype<Case>(cases + (<usize>i << 3));
    collect(span(one.address, one.length));
  }
  verifyAll();
}

/**
 * The same for quotes without a case: for each its public area, attestation and signature, parts with
 * four bytes of length before them. They are the host's own work: what is not well-formed traps.
 */
export function prepareQuotes(parts: Span, quotes: u32): void {
  const r = READER.open(parts);
  const most = lenOf(parts);
  for (let i: u32 = 0; i < quotes && !r.faulty; i++) {
    const publicArea = r.sized32(most);
    const attest = r.sized32(most);
    const signature = r.sized32(most);
    if (SIMD == 0 || r.faulty) continue;
    if (count == CHECKS_MAX || used + CASE_BYTES > BYTES) verifyAll();
    addQuote(publicArea, attest, signature);
  }
  assert(r.done, "the host writes the parts");
  if (SIMD != 0) verifyAll();
}

function collect(bytes: Span): void {
  if (!readCase(bytes)) return;
  if (charters == 0 || !same(charters, evidence.charters)) {
    charters = 0;
    if (!readUnverifiedCharter(evidence.charters)) return;
    charters = evidence.charters;
  }
  if (openNode(evidence.node)) {
    addSigners(keyset(Role.ENROLLER));
    addQuote(node.publicArea, evidence.attest, evidence.signature);
  }
  if (!openChain(evidence.elements)) return;
  chain.openMessage(elementAt(0));
  addSigners(keyset(Role.AUTHORITY));
  for (let i: u32 = 1; i < chain.count; i++) {
    chain.openMessage(elementAt(i));
    addHolder(i - 1);
  }
  if (evidence.proof == 0) return;
  if (cose.openSign1(evidence.proof, "proof", limits.payloadBytes) != Fault.NONE) return;
  addHolder(chain.count - 1);
}

/** The opened object, by those keys of the set that it names. */
function addSigners(keys: Keyset): void {
  for (let i: u32 = 0; i < cose.signatureCount(); i++) {
    const at = keys.find(cose.kidAt(i));
    if (at >= 0) addSigner(i, keys.key(at));
  }
}

/** The opened object, by the holder of the element at this place. */
function addHolder(place: u32): void {
  const e = elementAt(place);
  if (e.holder == <u8>Holder.KEY && e.key.hasKid(cose.kidAt(0))) addSigner(0, e.key);
}

function addSigner(place: u32, key: Key): void {
  if (!isWorthCompany(key.kind, key.coordinates)) return;
  if (lenOf(cose.signatureAt(place)) != key.width << 1) return;
  const message = cose.unverifiedAt(place, key);
  if (message == 0) return;
  const o = addCheck(key.kind, key.coordinates, key.hashId, message, cose.signatureAt(place));
  o.kind = Kind.MESSAGE;
  o.place = place;
  o.first = cose.openedObject();
  o.second = 0;
  o.third = 0;
}

function addQuote(publicArea: Span, attest: Span, signature: Span): void {
  if (parsePublic(publicArea) != Code.NONE) return;
  const whole = lenOf(attest) <= limits.attestBytes;
  const rs = whole ? unverifiedEcdsa(attest, signature) : 0;
  if (rs == 0) return;
  if (!isWorthCompany(ecdsaKind(), area.POINT)) return;
  const o = addCheck(ecdsaKind(), area.POINT, hashOf(area.schemeHash), attest, rs);
  o.kind = Kind.QUOTE;
  o.place = 0;
  o.first = publicArea;
  o.second = attest;
  o.third = signature;
}

/** P-256 gains from company with and without a table, the others with one. */
function isWorthCompany(kind: u32, key: usize): bool {
  if (kind == <u32>KeyKind.P256) return true;
  const slot = findKey(kind, key);
  return slot != NO_SLOT && useWindow(slot) != 0;
}

function checkAt(i: u32): Check {
  return changetype<Check>(CHECKS + <usize>i * <usize>CHECK_BYTES);
}

/** One more check, whose origin the caller fills in. */
function addCheck(kind: u32, key: usize, hashId: u32, message: Span, signature: Span): Origin {
  const check = checkAt(count);
  check.slot = findKey(kind, key);
  check.hashId = hashId;
  check.message = keep(message);
  check.messageBytes = lenOf(message);
  check.signature = keep(signature);
  check.signatureBytes = lenOf(signature);
  check.key = check.slot == NO_SLOT ? keep(span(key, 64)) : 0;
  return changetype<Origin>(ORIGINS + (<usize>(count++) << 5));
}

function keep(bytes: Span): usize {
  const at = MESSAGES + <usize>used;
  assert(lenOf(bytes) <= BYTES - used, "a case was counted");
  memory.copy(at, ptrOf(bytes), lenOf(bytes));
  used += (lenOf(bytes) + 15) & ~15;
  return at;
}

function verifyAll(): void {
  assert(offsetof<Check>() == <usize>CHECK_BYTES && offsetof<Case>() == 8);
  verifyChecks(CHECKS, count, ANSWERS);
  for (let i: u32 = 0; i < count; i++) {
    if (load<u8>(ANSWERS + i) == 0) continue;
    const o = changetype<Origin>(ORIGINS + (<usize>i << 5));
    ask(<Kind>o.kind, o.first, o.second, o.third);
    keepVerified(o.place);
    const check = checkAt(i);
    if (check.slot == NO_SLOT) noteVerified(KeyKind.P256, check.key);
    else noteSlot(check.slot, kindOf(check.slot), keyOf(check.slot));
  }
  count = 0;
  used = 0;
}
