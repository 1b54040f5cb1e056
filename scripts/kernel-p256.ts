/**
 * Writes assembly/field/p256-lanes.generated.ts: the reduction of products (kernel-products) modulo
 * the prime of P-256 in four lanes, in Montgomery's form with R = 2^260 (kernel-montgomery;
 * kernel-lanes explains numbers and vectors).
 *
 * Bounds that keep each 32-bit column from overflowing: a column sums 20 products; with one
 * factor's limbs below 2^13 and the other's (a difference) below 12,288, limb 14 of both perhaps
 * 2,048 more, they stay below 2^31 - 2^26, which leaves room for the reduction.
 */
import { LIMBS, reductionPreamble } from "./kernel-lanes.ts";
import { type Prime, reductions } from "./kernel-montgomery.ts";

/** 2^256 - 2^224 + 2^192 + 2^96 - 1. */
const P256: Prime = {
  limbs: LIMBS,
  powers: [
    { exponent: 96, operation: "add" },
    { exponent: 192, operation: "add" },
    { exponent: 224, operation: "sub" },
    { exponent: 256, operation: "add" },
  ],
  balanced: false,
};

/** The text of assembly/field/p256-lanes.generated.ts. */
export function p256Kernels(): string {
  return [...reductionPreamble("kernel-p256.ts"), ...reductions(P256)].join("\n");
}
