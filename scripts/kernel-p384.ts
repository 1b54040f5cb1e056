/**
 * Writes assembly/field/p384-lanes.generated.ts: multiplication modulo the prime of P-384 in four
 * lanes, 30 limbs of 13 bits, in Montgomery's form with R = 2^390 (kernel-montgomery; kernel-lanes
 * explains numbers and vectors).
 *
 * Limbs come out balanced, within 2^12 and a little (limb 9 within 10,240, three p having been
 * taken off at most): a column sums 30 products, which stay below 2^31 - 2^29 when one factor is a
 * result and the other a sum or difference of two. As R is 64 times p, the product of two numbers
 * of a few p is again p and a little.
 */
import { preamble, product } from "./kernel-lanes.ts";
import { type Prime, reductions } from "./kernel-montgomery.ts";

/** 2^384 - 2^128 - 2^96 + 2^32 - 1. */
const P384: Prime = {
  limbs: 30,
  powers: [
    { exponent: 32, operation: "add" },
    { exponent: 96, operation: "sub" },
    { exponent: 128, operation: "sub" },
    { exponent: 384, operation: "add" },
  ],
  balanced: true,
};

/** The text of assembly/field/p384-lanes.generated.ts. */
export function p384Kernels(): string {
  return [
    ...preamble("kernel-p384.ts", P384.limbs),
    "/** Columns of a·b. */",
    "export function multiply(a: usize, b: usize): void {",
    ...product(P384.limbs),
    "}",
    "",
    ...reductions(P384),
  ].join("\n");
}
