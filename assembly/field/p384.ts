/** The prime of P-384, p = 2^384 - 2^128 - 2^96 + 2^32 - 1 (SP 800-186 §3.2.1.4). */
import { Modulus, prepare } from "./montgomery";

/** p, little-endian 32-bit limbs. */
export const PRIME: usize = memory.data<u32>([
  0xffffffff, 0x00000000, 0x00000000, 0xffffffff,
  0xfffffffe, 0xffffffff, 0xffffffff, 0xffffffff,
  0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
]);

const RECORD: usize = memory.data(128, 16);

/** Arithmetic modulo p. */
export const FIELD: Modulus = definePrime();

function definePrime(): Modulus {
  const modulus = changetype<Modulus>(RECORD);
  prepare(modulus, 12, PRIME, RECORD + 32, RECORD + 80);
  return modulus;
}
