/** The prime of P-256, p = 2^256 - 2^224 + 2^192 + 2^96 - 1 (SP 800-186 §3.2.1.3). */
import { Modulus, prepare } from "./montgomery";

/** p, little-endian 32-bit limbs. */
export const PRIME: usize = memory.data<u32>([
  0xffffffff, 0xffffffff, 0xffffffff, 0x00000000,
  0x00000000, 0x00000000, 0x00000001, 0xffffffff,
]);

const RECORD: usize = memory.data(96, 16);

/** Arithmetic modulo p. */
export const FIELD: Modulus = definePrime();

function definePrime(): Modulus {
  const modulus = changetype<Modulus>(RECORD);
  prepare(modulus, 8, PRIME, RECORD + 32, RECORD + 64);
  return modulus;
}
