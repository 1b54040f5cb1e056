/**
 * Many signatures: those by P-256 keys, and by others that have tables, go to sig/p256-batch,
 * p384-batch and ed25519-lanes, as many together as fit, and the rest one by one to sig/ecdsa,
 * sig/ed25519, sig/rsassa and sig/rsapss. The answers are those for each alone.
 */
import { Curve } from "../curve/curve";
import { digestBytes, hash, HashId } from "../hash/hash";
import { hashFour, LANE_BYTES_MAX, setMessage } from "../hash/sha256-lanes";
import { verifyPlain } from "./ecdsa";
import { verifyPlain as verifyEdPlain } from "./ed25519";
import { ED_BATCH_MAX, edItemOf, verifyEdItems } from "./ed25519-lanes";
import { Answer, itemOf } from "./ecdsa-items";
import { BATCH_MAX, verifyItems } from "./p256-batch";
import { verifyWideItems, WIDE_BATCH_MAX } from "./p384-batch";
import { KeyKind, keyOf, kindOf, NO_SLOT, recordOf, tableOf, useWindow } from "./prepared-keys";
import { verifyRsapss } from "./rsapss";
import { verifyRsassa } from "./rsassa";

/** One signature to check, as a host writes it: seven u32. */
@unmanaged
export class Check {
  slot: u32;
  hashId: u32;
  message: usize;
  messageBytes: u32;
  signature: usize;
  signatureBytes: u32;
  /** Where the slot is NO_SLOT: x||y of a P-256 key that is in no slot. */
  key: usize;
}

export const CHECK_BYTES: i32 = 28;
const DIGESTS: usize = memory.data(64 * 64, 16);
const DIGEST: usize = memory.data(64, 16);
/** The check behind each item. */
const MEMBERS: usize = memory.data(64 * 4, 16);
/** Digests of four lanes, and the items that wait for them. */
const LANES: usize = memory.data(4 * 32, 16);
const WAITING: usize = memory.data(4 * 4, 16);
/** The widest window of any table. */
const WINDOW_MAX: u32 = 8;

function checkOf(checks: usize, index: u32): Check {
  return changetype<Check>(checks + <usize>index * <usize>CHECK_BYTES);
}

function kindOfCheck(check: Check): u32 {
  return check.slot == NO_SLOT ? <u32>KeyKind.P256 : kindOf(check.slot);
}

function keyOfCheck(check: Check): usize {
  return check.slot == NO_SLOT ? check.key : keyOf(check.slot);
}

/** The window of the key's table, 0 without one. */
function windowOfCheck(check: Check): u32 {
  return check.slot == NO_SLOT ? 0 : useWindow(check.slot);
}

/** Writes 1 or 0 to `answers[i]` for each of `count` checks. */
export function verifyChecks(checks: usize, count: u32, answers: usize): void {
  for (let i: u32 = 0; i < count; ++i) {
    const check = checkOf(checks, i);
    const alone = windowOfCheck(check) == 0 && kindOfCheck(check) != <u32>KeyKind.P256;
    if (SIMD == 0 || alone) store<u8>(answers + <usize>i, verifyAlone(check) ? 1 : 0);
  }
  if (SIMD == 0) return;
  verifyKind(checks, count, answers, KeyKind.P256, BATCH_MAX);
  verifyKind(checks, count, answers, KeyKind.ED25519, ED_BATCH_MAX);
  verifyKind(checks, count, answers, KeyKind.P384, WIDE_BATCH_MAX);
}

/**
 * Verifies the checks by keys of one kind, `room` of one window at a time; window 0, no table, is
 * P-256's alone.
 */
function verifyKind(checks: usize, count: u32, answers: usize, kind: u32, room: u32): void {
  for (let window: u32 = kind == <u32>KeyKind.P256 ? 0 : 1; window <= WINDOW_MAX; ++window) {
    let members: u32 = 0;
    for (let i: u32 = 0; i < count; ++i) {
      const check = checkOf(checks, i);
      if (kindOfCheck(check) != kind || windowOfCheck(check) != window) continue;
      if (check.signatureBytes != (kind == <u32>KeyKind.P384 ? 96 : 64)) {
        store<u8>(answers + <usize>i, 0);
        continue;
      }
      store<u32>(MEMBERS + (<usize>members << 2), i);
      ++members;
      if (members < room) continue;
      verifyMembers(checks, members, window, kind, answers);
      members = 0;
    }
    if (members > 0) verifyMembers(checks, members, window, kind, answers);
  }
}

function verifyMembers(
  checks: usize,
  members: u32,
  window: u32,
  kind: u32,
  answers: usize,
): void {
  if (kind != <u32>KeyKind.ED25519) verifyEcdsas(checks, members, window, kind, answers);
  else verifyEd(checks, members, window, answers);
}

function verifyEd(checks: usize, members: u32, window: u32, answers: usize): void {
  for (let k: u32 = 0; k < members; ++k) {
    const check = checkOf(checks, load<u32>(MEMBERS + (<usize>k << 2)));
    const item = edItemOf(k);
    item.table = tableOf(check.slot);
    item.key = keyOf(check.slot);
    item.message = check.message;
    item.messageBytes = check.messageBytes;
    item.signature = check.signature;
  }
  verifyEdItems(members, window);
  for (let k: u32 = 0; k < members; ++k) {
    const index = load<u32>(MEMBERS + (<usize>k << 2));
    store<u8>(answers + <usize>index, edItemOf(k).valid ? 1 : 0);
  }
}

function verifyEcdsas(
  checks: usize,
  members: u32,
  window: u32,
  kind: u32,
  answers: usize,
): void {
  for (let k: u32 = 0; k < members; ++k) {
    const check = checkOf(checks, load<u32>(MEMBERS + (<usize>k << 2)));
    const item = itemOf(k);
    if (window != 0) item.table = tableOf(check.slot);
    else item.key = keyOfCheck(check);
    item.digest = DIGESTS + (<usize>k << 6);
    item.digestBytes = digestBytes(check.hashId);
    item.signature = check.signature;
  }
  hashMembers(checks, members);
  if (kind == <u32>KeyKind.P384) verifyWideItems(members, window);
  else verifyItems(members, window);
  for (let k: u32 = 0; k < members; ++k) {
    const index = load<u32>(MEMBERS + (<usize>k << 2));
    const answer = itemOf(k).answer;
    let valid = answer == Answer.VALID;
    if (answer == Answer.UNDECIDED) valid = verifyAlone(checkOf(checks, index));
    store<u8>(answers + <usize>index, valid ? 1 : 0);
  }
}

/** Hashes the messages, the short ones of SHA-256 four at a time. */
function hashMembers(checks: usize, members: u32): void {
  let waiting: u32 = 0;
  for (let k: u32 = 0; k < members; ++k) {
    const check = checkOf(checks, load<u32>(MEMBERS + (<usize>k << 2)));
    if (check.hashId != <u32>HashId.SHA256 || check.messageBytes > LANE_BYTES_MAX) {
      hash(check.hashId, check.message, check.messageBytes, DIGESTS + (<usize>k << 6));
      continue;
    }
    setMessage(waiting, check.message, check.messageBytes);
    store<u32>(WAITING + (<usize>waiting << 2), k);
    if (++waiting == 4) {
      hashFour(LANES, 32);
      spread(4);
      waiting = 0;
    }
  }
  if (waiting == 0) return;
  if (waiting == 1) {
    const k = load<u32>(WAITING);
    const check = checkOf(checks, load<u32>(MEMBERS + (<usize>k << 2)));
    hash(check.hashId, check.message, check.messageBytes, DIGESTS + (<usize>k << 6));
    return;
  }
  for (let lane = waiting; lane < 4; ++lane) setMessage(lane, LANES, 0);
  hashFour(LANES, 32);
  spread(waiting);
}

/** Gives the digests of the lanes to the items that wait for them. */
function spread(waiting: u32): void {
  for (let lane: u32 = 0; lane < waiting; ++lane) {
    const k = load<u32>(WAITING + (<usize>lane << 2));
    memory.copy(DIGESTS + (<usize>k << 6), LANES + (<usize>lane << 5), 32);
  }
}

/** For RSA a check's hash has the scheme above its number: 256 for PSS, and 2^16 times salt + 1. */
function verifyRsa(check: Check): bool {
  const id = check.hashId & 0xff;
  const record = recordOf(check.slot);
  const bytes = check.signatureBytes;
  hash(id, check.message, check.messageBytes, DIGEST);
  if ((check.hashId & 0x100) == 0) return verifyRsassa(record, id, DIGEST, check.signature, bytes);
  const salt = <i32>(check.hashId >> 16) - 1;
  return verifyRsapss(record, id, DIGEST, check.signature, bytes, salt);
}

function verifyAlone(check: Check): bool {
  if (kindOfCheck(check) == <u32>KeyKind.ED25519) {
    return verifyEdPlain(
      keyOf(check.slot),
      check.message,
      check.messageBytes,
      check.signature,
      check.signatureBytes,
    );
  }
  if (kindOfCheck(check) == <u32>KeyKind.RSA) return verifyRsa(check);
  hash(check.hashId, check.message, check.messageBytes, DIGEST);
  const bytes = digestBytes(check.hashId);
  const key = keyOfCheck(check);
  const curve: u32 = kindOfCheck(check) == <u32>KeyKind.P384 ? Curve.P384 : Curve.P256;
  return verifyPlain(curve, key, DIGEST, bytes, check.signature, check.signatureBytes);
}
