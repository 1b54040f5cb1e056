/**
 * Multiples of points of P-256 whose keys have no table, four at once: five doublings and an
 * addition for each window of five bits. Points are in Jacobian coordinates, x = X/Z^2 and
 * y = Y/Z^3, with T = 2·Y instead of Y, and W = Z^4 between doublings.
 *
 * Nothing is exceptional. No doubling, as the order n is an odd prime. An addition adds d·Q, d odd
 * and at most 31, to 32·h·Q, h at least 1, and it would have to be 32·h = d or -d modulo n. Before
 * the last window 32·h lies between 32 and n/16. In the last one 32·h + d is the scalar k, odd and
 * below n, as p256-table recodes it: 32·h = -d means k = 0; 32·h = d means k = n + 2·d, but d is
 * k mod 64 - 32, so that d = n - 32 = 49 modulo 64, and no d is.
 */
import {
  add,
  copyLanes,
  HALF,
  invertLanes,
  mul,
  mulDifference,
  mulSub,
  ONE,
  scaledDifference,
  sqr,
  sqrSub,
} from "../field/p256-lanes";
import { gather } from "./p256-table";

/** Bits of a window, and its entries. */
export const UNSEEN_WINDOW: u32 = 5;
const Y: usize = 160;

const X: usize = memory.data(160, 16);
const T: usize = memory.data(160, 16);
const Z: usize = memory.data(160, 16);
const W: usize = memory.data(160, 16);
/** An entry of each lane, x then y. */
const ENTRY: usize = memory.data(320, 16);
const A: usize = memory.data(160, 16);
const B: usize = memory.data(160, 16);
const C: usize = memory.data(160, 16);
const D: usize = memory.data(160, 16);
const E: usize = memory.data(160, 16);

/** (X, T, Z) = twice that, and W too unless nobody wants it: 4 products, 4 squares. */
function double(last: bool): void {
  sqr(B, X);
  scaledDifference(A, 3, B, W); // A = 3·(X^2 - Z^4), the slope's numerator
  sqr(C, T);
  mul(Z, Z, T);
  mul(B, X, C); // B = 4·X·Y^2
  add(D, B, B);
  sqrSub(X, A, D);
  sqr(C, C);
  if (!last) mul(W, W, C);
  scaledDifference(D, 2, B, X);
  mulSub(T, A, D, C); // 2·A·(B - X) - 16·Y^4
}

/**
 * (X, T, Z) += ENTRY, with Z doubled on the way (D. J. Bernstein and T. Lange, Explicit-formulas
 * database, shortw/jacobian madd-2007-bl).
 */
function addEntry(): void {
  sqr(A, Z);
  mul(B, ENTRY, A); // x2 as the sum's Z has it
  mul(A, A, Z);
  add(C, ENTRY + Y, ENTRY + Y);
  mul(C, C, A);
  scaledDifference(C, 1, C, T); // r = 2·(S2 - Y1)
  scaledDifference(D, 2, B, X); // 2·H
  sqr(A, D); // I = (2·H)^2
  mulDifference(B, A, B, X); // J = H·I
  mul(Z, Z, D);
  mul(A, X, A); // V = X1·I
  add(D, A, A);
  add(D, D, B);
  sqrSub(X, C, D); // r^2 - J - 2·V
  mul(B, T, B);
  add(B, B, B);
  scaledDifference(D, 2, A, X);
  mulSub(T, C, D, B); // 2·r·(V - X) - 2·T1·J
}

/**
 * Writes the sums of four lanes as a vector point to `out`: those of lane l take their entries, as
 * `chooseEntries` writes them for `windows` windows, from entries + l·stride.
 */
export function multiplyLanes(out: usize, entries: usize, stride: u32, windows: u32): void {
  for (let i = windows; i-- > 0;) {
    const at = entries + ((<usize>i) << 2);
    const a = load<u32>(at);
    const b = load<u32>(at + <usize>stride);
    const c = load<u32>(at + <usize>(2 * stride));
    const d = load<u32>(at + <usize>(3 * stride));
    gather(ENTRY, a, b, c, d);
    if (i == windows - 1) {
      copyLanes(X, ENTRY);
      add(T, ENTRY + Y, ENTRY + Y);
      copyLanes(Z, ONE);
      continue;
    }
    sqr(W, Z);
    sqr(W, W);
    for (let j: u32 = 0; j < UNSEEN_WINDOW; ++j) double(j == UNSEEN_WINDOW - 1);
    addEntry();
  }
  toAffine(out);
}

/** Divides by Z. */
function toAffine(out: usize): void {
  assert(invertLanes(A, Z));
  sqr(B, A);
  mul(out, X, B);
  mul(B, B, A);
  // y = T/2
  mul(B, B, HALF);
  mul(out + Y, T, B);
}
