/**
 * Many ECDSA P-256 signatures by keys in slots: those whose keys have tables go to sig/p256-batch, as many together as
 * fit, and the others one by one to sig/ecdsa. The answers are those of sig/ecdsa for each alone.
 */
import { Curve } from "../curve/curve";
import { digestBytes, hash } from "../hash/hash";
import { verifyPlain } from "./ecdsa";
import { Answer, BATCH_MAX, itemOf, verifyItems } from "./p256-batch";
import { keyOf, tableOf, useWindow } from "./prepared-keys";

/** One signature to check, as a host writes it: six u32. */
@unmanaged
class Check {
  slot: u32;
  hashId: u32;
  message: usize;
  messageBytes: u32;
  signature: usize;
  signatureBytes: u32;
}

const CHECK_BYTES: usize = 24;
const DIGESTS: usize = memory.data(64 * 64, 16);
const DIGEST: usize = memory.data(64, 16);
/** The check behind each item. */
const MEMBERS: usize = memory.data(64 * 4, 16);
const WINDOWS: usize = memory.data<u32>([5, 7]);

function checkOf(checks: usize, index: u32): Check {
  return changetype<Check>(checks + <usize>index * CHECK_BYTES);
}

/** Writes 1 or 0 to `answers[i]` for each of `count` checks. */
export function verifyChecks(checks: usize, count: u32, answers: usize): void {
  for (let i: u32 = 0; i < count; ++i) {
    const check = checkOf(checks, i);
    const window = useWindow(check.slot);
    if (SIMD == 0 || window == 0) store<u8>(answers + <usize>i, verifyAlone(check) ? 1 : 0);
  }
  if (SIMD == 0) return;
  for (let w: usize = 0; w < 8; w += 4) {
    const window = load<u32>(WINDOWS + w);
    let members: u32 = 0;
    for (let i: u32 = 0; i < count; ++i) {
      const check = checkOf(checks, i);
      if (useWindow(check.slot) != window) continue;
      if (check.signatureBytes != 64) {
        store<u8>(answers + <usize>i, 0);
        continue;
      }
      store<u32>(MEMBERS + (<usize>members << 2), i);
      ++members;
      if (members == BATCH_MAX) {
        verifyMembers(checks, members, window, answers);
        members = 0;
      }
    }
    if (members > 0) verifyMembers(checks, members, window, answers);
  }
}

function verifyMembers(checks: usize, members: u32, window: u32, answers: usize): void {
  for (let k: u32 = 0; k < members; ++k) {
    const check = checkOf(checks, load<u32>(MEMBERS + (<usize>k << 2)));
    const item = itemOf(k);
    item.table = tableOf(check.slot);
    item.digest = DIGESTS + (<usize>k << 6);
    item.digestBytes = digestBytes(check.hashId);
    item.signature = check.signature;
    hash(check.hashId, check.message, check.messageBytes, item.digest);
  }
  verifyItems(members, window);
  for (let k: u32 = 0; k < members; ++k) {
    const index = load<u32>(MEMBERS + (<usize>k << 2));
    const answer = itemOf(k).answer;
    let valid = answer == Answer.VALID;
    if (answer == Answer.UNDECIDED) valid = verifyAlone(checkOf(checks, index));
    store<u8>(answers + <usize>index, valid ? 1 : 0);
  }
}

function verifyAlone(check: Check): bool {
  hash(check.hashId, check.message, check.messageBytes, DIGEST);
  const bytes = digestBytes(check.hashId);
  const key = keyOf(check.slot);
  return verifyPlain(Curve.P256, key, DIGEST, bytes, check.signature, check.signatureBytes);
}
