/** ECDSA verification over P-256 and P-384: FIPS 186-5 §6.4.2. */
import { Curve, curveBytes, curveOf } from "../curve/curve";
import { hasBaseTable } from "../curve/p256-table";
import { doubleMultiply, isInfinity, readPoint, Weierstrass } from "../curve/weierstrass";
import { addLimbs, compare, fromBigEndian, isZero, subLimbs } from "../field/limbs";
import { invert, mul, toMontgomery } from "../field/montgomery";
import { Answer, itemOf } from "./ecdsa-items";
import { verifyItems } from "./p256-batch";
import { verifyWideItems } from "./p384-batch";
import { findKey, KeyKind, NO_SLOT, tableOf, useWindow } from "./prepared-keys";

const KEY: usize = memory.data(144, 16);
const SUM: usize = memory.data(144, 16);
const R: usize = memory.data(48, 16);
const S: usize = memory.data(48, 16);
const E: usize = memory.data(48, 16);
const U: usize = memory.data(48, 16);
const V: usize = memory.data(48, 16);

/**
 * As many signatures in plain form cost more than the base point's table: who verifies a handful
 * and ends, as `portcullis run` does, has it never made.
 */
const BASE_USES: u32 = 8;
let uses: u32 = 0;

function isBaseDue(): bool {
  return hasBaseTable() || ++uses > BASE_USES;
}

function kindOf(curve: u32): u32 {
  return curve == <u32>Curve.P384 ? KeyKind.P384 : KeyKind.P256;
}

/**
 * Whether x||y are reduced coordinates of a point of the curve. Infinity has no such form. A key in
 * a slot was found to be one when it was taken in.
 */
export function isOnCurve(curve: u32, publicKey: usize): bool {
  if (findKey(kindOf(curve), publicKey) != NO_SLOT) return true;
  return readPoint(curveOf(curve), KEY, publicKey);
}

/**
 * As verifyPlain; by the table of a key that was enrolled, if it has one (the same answer, sooner).
 */
export function verifyEcdsa(
  curve: u32,
  publicKey: usize,
  digest: usize,
  digestLength: u32,
  signature: usize,
  signatureLength: u32,
): bool {
  if (SIMD != 0 && signatureLength == curveBytes(curve) * 2) {
    const wide = curve == <u32>Curve.P384;
    const slot = findKey(kindOf(curve), publicKey);
    const window = slot == NO_SLOT ? 0 : useWindow(slot);
    if (window != 0 || (!wide && isBaseDue())) {
      const item = itemOf(0);
      if (window != 0) item.table = tableOf(slot);
      else item.key = publicKey;
      item.digest = digest;
      item.digestBytes = digestLength;
      item.signature = signature;
      if (wide) verifyWideItems(1, window);
      else verifyItems(1, window);
      if (item.answer != Answer.UNDECIDED) return item.answer == Answer.VALID;
    }
  }
  return verifyPlain(curve, publicKey, digest, digestLength, signature, signatureLength);
}

/**
 * Whether r||s is a signature by `publicKey` (x||y) over the message of that digest.
 * 1. r||s has exactly the curve's width; 1 <= r, s < n.
 * 2. The key is a point of the curve.
 * 3. e = the leftmost bits of the digest, as many as n has; u = e/s, v = r/s mod n.
 * 4. u·G + v·Q is not infinity, and its x, taken mod n, is r.
 */
export function verifyPlain(
  curve: u32,
  publicKey: usize,
  digest: usize,
  digestLength: u32,
  signature: usize,
  signatureLength: u32,
): bool {
  const c = curveOf(curve);
  const bytes = curveBytes(curve);
  if (signatureLength != bytes * 2) return false;
  if (!readScalar(c, R, signature, bytes)) return false;
  if (!readScalar(c, S, signature + <usize>bytes, bytes)) return false;
  if (!readPoint(c, KEY, publicKey)) return false;
  const n = c.order;
  // Both orders fill their bytes, so the leftmost bits are the leftmost bytes, and one subtraction
  // reduces e.
  fromBigEndian(E, n.limbs, digest, min<u32>(digestLength, bytes));
  if (compare(E, n.m, n.limbs) >= 0) subLimbs(E, E, n.m, n.limbs);
  toMontgomery(n, S, S);
  invert(n, S, S);
  mul(n, U, E, S);
  mul(n, V, R, S);
  doubleMultiply(c, SUM, U, V, KEY);
  return !isInfinity(c, SUM) && matches(c);
}

/** Reads a scalar into `out`; false unless it lies in [1, n-1]. */
function readScalar(c: Weierstrass, out: usize, bytes: usize, length: u32): bool {
  const n = c.order;
  fromBigEndian(out, n.limbs, bytes, length);
  return !isZero(out, n.limbs) && compare(out, n.m, n.limbs) < 0;
}

/**
 * x mod n = r for the x of SUM. As x < p < 2n, x is r or r + n; and x = X/Z is compared as X = x·Z.
 */
function matches(c: Weierstrass): bool {
  const p = c.field;
  const limbs = p.limbs;
  const z = SUM + (<usize>limbs << 3);
  toMontgomery(p, U, R);
  mul(p, U, U, z);
  if (compare(U, SUM, limbs) == 0) return true;
  const carry = addLimbs(R, R, c.order.m, limbs);
  if (carry != 0 || compare(R, p.m, limbs) >= 0) return false;
  toMontgomery(p, U, R);
  mul(p, U, U, z);
  return compare(U, SUM, limbs) == 0;
}
